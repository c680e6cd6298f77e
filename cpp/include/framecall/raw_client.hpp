// Plain bytes over one TCP or Unix connection: the taught clients' side of `connect`, `send`, `recv`.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "framecall/endpoint.hpp"

namespace framecall {

/// One connection. Blocks, every call at most `timeout`. For one thread, or for one that sends and one that receives.
/// Network errors are SystemError that names the address; its code is timed_out after the timeout.
class RawClient {
 public:
  /// The most that one receive() gives, in bytes.
  static constexpr std::size_t largest_piece = 1 << 20;

  /// connect(): resolves the host and tries its addresses, IPv4 first; TCP_NODELAY is set.
  /// `check` is called whenever a call waits, after every signal and at least every 100 ms: what it throws ends the
  /// call, and the client stays usable.
  explicit RawClient(const Endpoint& endpoint, std::chrono::milliseconds timeout = std::chrono::seconds(30),
                     std::function<void()> check = {});
  ~RawClient();
  RawClient(RawClient&& other) noexcept;
  RawClient& operator=(RawClient&&) = delete;

  /// connect_ex(): 0 and a client in `client`, or the errno instead of an exception; ENOENT for an unknown host.
  static int try_connect(const Endpoint& endpoint, std::optional<RawClient>& client,
                         std::chrono::milliseconds timeout = std::chrono::seconds(30),
                         std::function<void()> check = {});

  /// send(): how many bytes the system took, at least 1 unless `bytes` is empty.
  std::size_t send_some(std::string_view bytes);
  /// sendall(): all bytes, or an exception; how many went out before it is then not known.
  void send(std::string_view bytes);
  /// recv(): what there is, at most `max_size` bytes, waiting for the first one; empty at the peer's end of stream.
  /// Throws std::invalid_argument for 0, where empty would say nothing.
  std::string receive(std::size_t max_size = 1024);
  /// shutdown(SHUT_WR): we have said all; the peer's words can still be received.
  void finish_sending();

  /// getpeername(), getsockname(). Our end of a Unix connection has no name: an empty endpoint.
  Endpoint peer() const;
  Endpoint local() const;
  /// getsockopt(), setsockopt() for options that are an int: option(SOL_SOCKET, SO_RCVBUF).
  int option(int level, int name) const;
  void set_option(int level, int name, int value);
  void set_timeout(std::chrono::milliseconds timeout) { timeout_ = timeout; }

  /// close(): also done by the destructor. May be called again. Other calls then fail with bad_file_descriptor.
  void close();
  /// For poll(); -1 once closed.
  int descriptor() const { return socket_; }

 private:
  std::size_t send_before(std::chrono::steady_clock::time_point deadline, std::string_view bytes);
  void wait(short events, std::chrono::steady_clock::time_point deadline) const;
  [[noreturn]] void fail(int errno_value, const char* what) const;

  std::string address_;
  std::chrono::milliseconds timeout_;
  std::function<void()> check_;
  int socket_;
};

}  // namespace framecall
