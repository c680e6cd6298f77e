// Datagrams: the taught UDP clients' side of `sendto` and `recvfrom`.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "framecall/endpoint.hpp"

namespace framecall {

/// One UDP socket for one server. Not thread-safe. Errors are SystemError that names the address.
class UdpClient {
 public:
  static constexpr std::size_t max_datagram = 65507;  ///< bytes, of IPv4
  /// Datagrams that request() drops at most before it sends. Far more than a socket's buffer holds: only a server that
  /// floods faster than they can be read gets there.
  static constexpr int max_dropped = 10000;

  /// Throws also for Unix endpoints (std::invalid_argument). A port that nobody listens on is not noticed here.
  /// `check` is called whenever a call waits, after every signal and at least every 100 ms: what it throws ends the
  /// call, and the client stays usable.
  explicit UdpClient(const Endpoint& endpoint, std::chrono::milliseconds timeout = std::chrono::seconds(5),
                     std::function<void()> check = {});
  ~UdpClient();
  UdpClient(const UdpClient&) = delete;
  UdpClient& operator=(const UdpClient&) = delete;

  /// One datagram out, one datagram back. Datagrams carry no number, and a server that answers too often floods: so every
  /// request after the first leaves from a port of its own, where no reply to an earlier one arrives. Nothing after `timeout`, also when the system says that nobody listens there: UDP reports
  /// nothing reliably.
  std::optional<std::string> request(std::string_view bytes);

  /// sendto(), also of an empty datagram. Throws std::invalid_argument for more than max_datagram bytes.
  void send(std::string_view bytes);
  /// recvfrom(), from the server only; nothing after `timeout`.
  std::optional<std::string> receive();

  /// getpeername(), getsockname().
  Endpoint peer() const;
  Endpoint local() const;
  /// Also done by the destructor. May be called again. Other calls then fail with bad_file_descriptor.
  void close();

 private:
  void drop_waiting();
  [[noreturn]] void fail(int errno_value, const char* what) const;

  Endpoint endpoint_;
  std::string address_;
  std::chrono::milliseconds timeout_;
  std::function<void()> check_;
  int socket_;
  bool asked_ = false;  // from the port that socket_ has
};

}  // namespace framecall
