// What the server cases of `framecall check` work with: connections, frames whose effect is known, and looking at it.
#pragma once

#include <initializer_list>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "check/case.hpp"
#include "check/peer.hpp"
#include "framecall/wire/frame.hpp"

namespace framecall::cli::check {

/// What the server turned out to have.
struct Features {
  bool calls = false, uploads = false;
  bool uploads_seen = false;      ///< not only taken without a word
  std::set<std::string> methods;  ///< of echo, rpc.ping, upper, rpc.discover: those that answer with a result
  std::string greeting;           ///< what it sends before it is asked

  /// The method for calls about something else; it may be unknown to the server, and is answered all the same.
  std::string method() const;
  bool gives_bodies_back() const { return methods.contains("echo") || methods.contains("rpc.ping"); }
};

/// The server under test.
struct Target {
  Endpoint endpoint;
  milliseconds timeout{5000};
  std::string root;  ///< where it stores uploads; empty: we do not know
  Dialect dialect;   ///< of which the frames are used
  Features features;
  std::int64_t next_id = 1, next_name = 1;  ///< no case uses those of another
};

/// Length and header of a frame. Throws Skip if the length has no room for it.
std::string framed(std::string_view header, const PrefixFormat& format);

/// A frame, and what has to come of it.
struct Message {
  bool is_upload = false;
  std::string header, body;
  std::string id;      ///< of a call: JSON text
  std::string method;  ///< of a call
  std::string name;    ///< of an upload
  PrefixFormat format;

  std::string bytes() const { return framed(header, format) + body; }
  std::size_t prefix_size() const { return format.width; }
  std::size_t head_size() const { return prefix_size() + header.size(); }
};

/// One case under way.
class ServerTrial {
 public:
  ServerTrial(Target& target, Transcript& transcript, Clock::time_point deadline);
  /// Removes what its uploads left in the root.
  ~ServerTrial();
  ServerTrial(const ServerTrial&) = delete;

  const Features& features() const { return target_.features; }
  const std::string& root() const { return target_.root; }
  const Dialect& dialect() const { return target_.dialect; }
  /// Length and header of a frame.
  std::string head_of(std::string_view header) const { return framed(header, target_.dialect.prefixes.front()); }
  /// The length of a header of this size.
  std::string prefix_of(std::size_t size) const { return encode_prefix(size, target_.dialect.prefixes.front()); }
  Clock::time_point deadline() const { return deadline_; }
  /// For cases that last: the deadline moves.
  void extend(milliseconds time) { deadline_ += time; }

  /// A new connection; its greeting, if the server has one, is behind it. Throws Gone.
  Peer connect();

  /// `extra`: more members, `, "key": value`. `method`: empty is features().method(). `id`: JSON text.
  Message call(std::string body = "hello", std::string_view extra = {}, std::string_view method = {},
               std::string_view id = {});
  /// `name`: as JSON text without its quotes is the same; empty: a new one.
  Message upload(std::string body = "hello", std::string_view extra = {}, std::string_view name = {});
  /// A new name for an upload.
  std::string new_name();
  /// One call if the server answers calls, one upload if it takes some.
  std::vector<Message> samples(const std::string& body = "hello", std::string_view extra = {});

  /// Reads the replies to the calls among `messages`, in any order, then ends our direction and reads to the end, where
  /// nothing more may come; the uploads must be stored. Throws Failure.
  void settle(Peer& peer, std::span<const Message> messages);
  /// Only the replies.
  void read_replies(Peer& peer, std::span<const Message> messages);
  /// The reply to `message`. Throws Failure.
  Frame read_reply(Peer& peer, const Message& message);
  void check_reply(const Frame& frame, const Message& message) const;
  void check_stored(const Message& message);
  /// For each sample: a connection, `send` with it, settle().
  void each_sample(void (*send)(Peer& peer, const Message& message), const std::string& body = "hello",
                   std::string_view extra = {});

  /// What was sent must be refused: one error reply with one of `codes`, and the end of the connection. An end without
  /// a reply is a warning; `what`: for messages. Our direction stays open.
  void refused(Peer& peer, std::initializer_list<int> codes, std::string_view what);
  /// The same on a connection of its own.
  void refuses(std::string_view bytes, std::initializer_list<int> codes, std::string_view what);
  /// One error reply with the id of `message`, or none at all, with one of `codes`.
  Frame refused_call(Peer& peer, const Message& message, std::initializer_list<int> codes);
  /// The server still serves somebody else.
  void goes_on();
  /// Nothing but the end of the stream may come from here on.
  void nothing_more(Peer& peer);

  void warn(std::string text, std::string hint = {});
  const std::string& warning() const { return warning_; }
  const std::string& warning_hint() const { return warning_hint_; }

 private:
  Target& target_;
  Transcript& transcript_;
  Clock::time_point deadline_;
  std::string warning_, warning_hint_;
  std::vector<std::string> names_;  // of uploads, to remove
  int connections_ = 0;
};

using ServerCase = Case<ServerTrial>;
std::span<const ServerCase> framing_cases();
std::span<const ServerCase> json_cases();
std::span<const ServerCase> upload_cases();
std::span<const ServerCase> rpc_cases();
std::span<const ServerCase> refusal_cases();
std::span<const ServerCase> robust_cases();

/// Finds out what the server has; the result of the case `framing/speaks-frames`. `speaks`: what it is known to have,
/// "calls", "uploads"; empty: to be found out. Throws Gone if there is nobody.
Result probe(Target& target, const std::vector<std::string>& speaks);
/// Whether the server does anything at all about a plain frame, after a case that failed.
bool responds(Target& target);

/// Removes from the root what bears a name of ours: a server may store later than the case that sent it looked.
void sweep(const Target& target);

/// `size` bytes, all values of a byte among them, without a period of a power of two.
std::string pattern(std::size_t size);

}  // namespace framecall::cli::check
