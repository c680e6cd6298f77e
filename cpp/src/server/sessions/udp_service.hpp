// The server's datagrams: at most one out for each one in.
#pragma once

#include <sys/socket.h>
#include <asio/posix/stream_descriptor.hpp>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "framecall/call.hpp"
#include "framecall/router.hpp"
#include "server/event_loop.hpp"
#include "server/rate_table.hpp"

namespace framecall {

/// One UDP socket on one loop (PROTOCOL.md, section 9). A datagram that is exactly one frame with a method is a call, and its
/// reply one datagram; another one is answered in ASCII upper case, or with a fixed reply. A sender's address can be forged,
/// so: what this service could have sent itself is not answered, an answer has at most max_udp_ratio times the bytes of its
/// request, and each source has a rate. What cannot be sent is dropped, as UDP may. Errors never end it.
class UdpService : public std::enable_shared_from_this<UdpService> {
 public:
  /// Takes the bound, non-blocking socket.
  UdpService(EventLoop& loop, int socket, std::optional<std::string> reply);

  void start();
  void close();

 private:
  /// The dialect has no login: datagrams cannot come behind one.
  bool admits_all() const { return loop_.state.options.dialect.login == Dialect::Login::none; }
  struct Sender {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
  };
  /// Who asked, and how much the answer may have.
  struct Asker {
    Sender sender;
    std::string id;         ///< JSON text; empty: a notification, which is not answered
    std::size_t max_reply;  ///< bytes
  };
  /// Calls that wait for their answers, and the bytes of their datagrams.
  struct InFlight {
    std::atomic<std::size_t> calls{0};
    std::atomic<std::uint64_t> bytes{0};
  };
  enum class Kind : std::uint8_t { call, reply, text };

  void answer_some();
  void answer(std::string_view datagram, const Sender& sender);
  void answer_text(std::string_view datagram, const Sender& sender);
  bool is_own(std::string_view datagram) const;
  std::size_t max_reply_to(std::string_view datagram) const;
  Kind kind_of(std::string_view datagram, std::string_view& body);
  void call(std::string_view datagram, std::string_view body, const Sender& sender);
  void run(const Method& method, Request& request, const Asker& asker, std::size_t size);
  std::shared_ptr<void> take_place(std::size_t size);
  void run_elsewhere(const Method& method, Request& request, const Asker& asker, std::shared_ptr<void> place);
  void log(const Asker& asker, const std::string& problem);
  void reply(const Asker& asker, const Response& response);
  void fail(const Asker& asker, const Failure& failure);
  void send(std::string_view head, std::string_view body, const Sender& sender);
  bool drop();
  void log_dropped(const std::string& reason);

  EventLoop& loop_;
  asio::posix::stream_descriptor stream_;
  bool waiting_ = false;
  std::optional<std::string> reply_;
  std::shared_ptr<InFlight> in_flight_ = std::make_shared<InFlight>();  // outlives the service with an unanswered call
  RateTable sources_;                                                   // datagrams of each address
  RateTable fixed_replies_;                                             // to each address and port
  std::int64_t next_log_ = 0;
  std::uint64_t dropped_ = 0;  // since the last log line
};

}  // namespace framecall
