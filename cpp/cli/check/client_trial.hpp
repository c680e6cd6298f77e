// What the client cases of `framecall check --listen` work with: the client that connects, and what we answer.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "check/case.hpp"
#include "check/child.hpp"
#include "check/peer.hpp"

namespace framecall::cli::check {

/// What the client has to make of a scene. Only its exit status tells, where we started it.
enum class Outcome : std::uint8_t {
  success,
  error,          ///< it ends, and says that it failed
  perhaps_error,  ///< the same, but success is only a warning
  either,         ///< it ends
};

/// What a client asked, or brought.
struct Request {
  bool is_upload = false;
  std::string text;  ///< of the header
  Json header;
  std::string body;
  std::string size_key;  ///< as it was spelt; empty: there was none

  const Json& member(const char* key) const;
};

/// The client under test, from case to case.
struct ClientTarget {
  Listener* listener = nullptr;
  std::string command;                          ///< starts it; empty: somebody else does
  std::string result = "null";                  ///< what calls are answered with, JSON text
  milliseconds timeout{5000}, patience{60000};  ///< of a case; for a client that we do not start
  bool calls = false, uploads = false;          ///< what it was seen to do
};

/// One case under way.
class ClientTrial {
 public:
  ClientTrial(ClientTarget& target, Transcript& transcript) : target_(target), transcript_(transcript) {}

  using Scene = void (*)(ClientTrial& trial, Peer& peer);
  /// Waits for the client, plays the scene with it, as often as it connects, and judges how it ends. Throws Failure,
  /// and Gone if no client comes.
  void play(Outcome wanted, Scene scene);

  /// The next whole frame. Throws Failure if it is none.
  Request read_request(Peer& peer);
  /// The same; nothing at the end of the stream.
  std::optional<Request> next_request(Peer& peer);
  /// Answers whatever more it asks, until it ends the connection.
  void serve_on(Peer& peer);
  /// Takes what comes until the client ends the connection.
  void await_end(Peer& peer);

  /// A good reply as one frame. `extra`: more members. `body`: instead of the right one.
  std::string reply_to(const Request& request, std::string_view extra = {}, const std::string* body = nullptr) const;
  /// Its header alone, with the size of the body.
  std::string reply_header(const Request& request, std::string_view extra, std::string& body) const;

  /// Before play(), for scenes that last.
  void extend(milliseconds time) { extra_ += time; }
  bool saw_call() const { return saw_call_; }
  bool saw_upload() const { return saw_upload_; }

  void warn(std::string text, std::string hint = {});
  const std::string& warning() const { return warning_; }
  const std::string& warning_hint() const { return warning_hint_; }

 private:
  void play_once(int socket, Scene scene);
  void judge(Outcome wanted, Child& child);

  ClientTarget& target_;
  Transcript& transcript_;
  Clock::time_point deadline_;
  milliseconds extra_{0};
  std::string warning_, warning_hint_;
  bool saw_call_ = false, saw_upload_ = false;
};

using ClientCase = Case<ClientTrial>;
/// What clients send, and how they take it when it is read slowly; the first one is to be run first, always.
std::span<const ClientCase> client_request_cases();
/// How they take what comes back.
std::span<const ClientCase> client_reply_cases();

}  // namespace framecall::cli::check
