// The server's datagrams: one in, one out.
#pragma once

#include <asio/posix/stream_descriptor.hpp>
#include <optional>
#include <string>

#include "event_loop.hpp"

namespace framecall {

/// One UDP socket on one loop. Every datagram, an empty one too, is answered with one to its sender: in ASCII upper
/// case, or with a fixed reply. What cannot be sent is dropped, as UDP may. Errors never end it.
class UdpService {
 public:
  /// Takes the bound, non-blocking socket.
  UdpService(EventLoop& loop, int socket, std::optional<std::string> reply);

  void start();
  void close();

 private:
  void answer_some();

  EventLoop& loop_;
  asio::posix::stream_descriptor stream_;
  std::optional<std::string> reply_;
};

}  // namespace framecall
