// The server's datagrams: one in, one out.
#pragma once

#include <sys/socket.h>
#include <asio/posix/stream_descriptor.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "event_loop.hpp"
#include "framecall/call.hpp"
#include "framecall/router.hpp"

namespace framecall {

/// One UDP socket on one loop. A datagram that is exactly one frame with a method is a call, and its reply one datagram; every
/// other one, an empty one too, is answered in ASCII upper case, or with a fixed reply. What cannot be sent is dropped, as UDP
/// may. Errors never end it.
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

  void answer_some();
  void answer(std::string_view datagram, const Sender& sender);
  bool is_call(std::string_view datagram, std::string_view& body);
  void call(std::string_view body, const Sender& sender);
  void run(const Method& method, const CallHead& head, Request& request, const Sender& sender);
  void reply(std::string_view id, const Response& response, const Sender& sender);
  void fail(std::string_view id, const Failure& failure, const Sender& sender);
  bool send(std::string_view head, std::string_view body, const Sender& sender);

  EventLoop& loop_;
  asio::posix::stream_descriptor stream_;
  std::optional<std::string> reply_;
};

}  // namespace framecall
