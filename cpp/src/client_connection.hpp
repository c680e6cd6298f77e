// One connection of a blocking client: frames out, replies in, within a deadline.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "framecall/buffer.hpp"
#include "framecall/digest.hpp"
#include "framecall/endpoint.hpp"
#include "framecall/error.hpp"
#include "framecall/frame.hpp"
#include "framecall/header.hpp"
#include "sockets.hpp"

namespace framecall {

/// A reply, or a piece of one.
struct CallReply {
  std::string id;  ///< JSON text; empty: of an answer to nothing that the peer could read
  std::optional<RemoteError> error;
  std::string result, metadata;
  Buffer body;
  std::optional<CallError> damage;  ///< the body is not what the peer's digest says
  bool more = false;
  bool continues = false;  ///< more of its body comes with the next one
};

class ClientConnection {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  /// Connects. `shown` and `check` must outlive it. Throws std::system_error.
  ClientConnection(const Endpoint& endpoint, std::string shown, const WaitCheck& check, std::uint32_t max_header,
                   std::uint64_t max_body, Deadline deadline);
  ~ClientConnection() { abandon(); }
  ClientConnection(const ClientConnection&) = delete;

  /// Nothing has come while nothing was asked, the end of the connection neither.
  bool healthy() const;
  /// Both in one segment if they fit. Whatever the peer says meanwhile is kept for receive(). A connection that breaks under
  /// it is told by receive(), behind the replies that came before. Throws std::system_error with timed_out.
  void send(std::string_view head, std::string_view body, Deadline deadline);
  /// The next reply. With `in_pieces` a body above max_body comes in pieces, else it is a ProtocolError. Throws
  /// std::system_error: timed_out, or whatever ended the connection.
  void receive(CallReply& reply, Deadline deadline, bool in_pieces = false);
  /// Nothing of what was sent last has left: the peer cannot know of it.
  bool sent_nothing() const { return sent_nothing_; }
  const std::string& shown() const { return shown_; }
  /// The peer asked for another connection.
  bool closing() const { return closing_; }
  std::uint64_t next_id() { return ++last_id_; }
  /// Closes our end without a word.
  void abandon();

 private:
  void begin(CallReply& reply);
  void end(CallReply& reply);
  Decoder::Event next_event();
  void fill(Buffer& body, Deadline deadline);
  std::size_t receive_some(char* to, std::size_t size, Deadline deadline);
  bool receive_while_sending();
  void wait(short events, Deadline deadline) const;
  [[noreturn]] void lost(int errno_value) const;

  const std::string shown_;
  const WaitCheck& check_;
  const std::uint64_t max_body_;
  int socket_;
  int broken_ = 0;  // errno of a send that failed
  Decoder decoder_;
  Header header_;
  std::uint64_t last_id_ = 0;
  std::string digest_;         // that the reply under way announces
  std::optional<Digest> sum_;  // of the pieces of a large body
  bool in_body_ = false, large_ = false, closing_ = false, ended_ = false, sent_nothing_ = true;
};

}  // namespace framecall
