// Plain bytes over one TCP or Unix connection: the taught clients' side of `connect`, `send`, `recv`.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "framecall/endpoint.hpp"

namespace framecall {

/// One connection. Blocks, every call at most `timeout`; not thread-safe. Network errors are std::system_error that
/// names the address; its code is timed_out after the timeout.
class RawClient {
 public:
  /// connect(): resolves the host and tries its addresses, IPv4 first; TCP_NODELAY is set.
  explicit RawClient(const Endpoint& endpoint, std::chrono::milliseconds timeout = std::chrono::seconds(30));
  ~RawClient();
  RawClient(RawClient&& other) noexcept;
  RawClient& operator=(RawClient&&) = delete;

  /// connect_ex(): 0 and a client in `client`, or the errno instead of an exception.
  static int try_connect(const Endpoint& endpoint, std::optional<RawClient>& client,
                         std::chrono::milliseconds timeout = std::chrono::seconds(30));

  /// send(): how many bytes the system took, at least 1 unless `bytes` is empty.
  std::size_t send_some(std::string_view bytes);
  /// sendall(): all bytes, or an exception.
  void send(std::string_view bytes);
  /// recv(): what there is, at most `max_size` bytes, waiting for the first one; empty at the peer's end of stream.
  std::string receive(std::size_t max_size = 1024);
  /// shutdown(SHUT_WR): we have said all; the peer's words can still be received.
  void finish_sending();

  /// getpeername(), getsockname().
  Endpoint peer() const;
  Endpoint local() const;
  /// getsockopt(), setsockopt() for options that are an int: option(SOL_SOCKET, SO_RCVBUF).
  int option(int level, int name) const;
  void set_option(int level, int name, int value);
  void set_timeout(std::chrono::milliseconds timeout) { timeout_ = timeout; }

  /// close(): also done by the destructor. May be called again.
  void close();
  /// For poll(); -1 once closed.
  int descriptor() const { return socket_; }

 private:
  RawClient(int socket, std::string address, std::chrono::milliseconds timeout);
  void wait(short events);
  [[noreturn]] void fail(int errno_value) const;

  int socket_ = -1;
  std::string address_;
  std::chrono::milliseconds timeout_;
};

}  // namespace framecall
