// Datagrams: the taught UDP clients' side of `sendto` and `recvfrom`.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "framecall/endpoint.hpp"

namespace framecall {

/// One UDP socket for one server. Not thread-safe. Errors are std::system_error that names the address.
class UdpClient {
 public:
  static constexpr std::size_t max_datagram = 65507;  ///< bytes, of IPv4

  /// Throws also for Unix endpoints (std::invalid_argument). A port that nobody listens on is not noticed here.
  explicit UdpClient(const Endpoint& endpoint, std::chrono::milliseconds timeout = std::chrono::seconds(5));
  ~UdpClient();
  UdpClient(const UdpClient&) = delete;

  /// One datagram out, one datagram back. Replies that were waiting before are dropped first (a server that answers
  /// too often floods), so the reply is one that came after the request was sent. Nothing after `timeout`, also when
  /// the system says that nobody listens there: UDP reports nothing reliably.
  std::optional<std::string> request(std::string_view bytes);

  /// sendto(), also of an empty datagram. Throws for more than max_datagram bytes.
  void send(std::string_view bytes);
  /// recvfrom(), from the server only; nothing after `timeout`.
  std::optional<std::string> receive();

  /// getpeername(), getsockname().
  Endpoint peer() const;
  Endpoint local() const;
  void close();

 private:
  void drop_waiting();

  int socket_ = -1;
  std::string address_;
  std::chrono::milliseconds timeout_;
};

}  // namespace framecall
