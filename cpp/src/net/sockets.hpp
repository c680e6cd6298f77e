// Plain sockets: opening, naming, limits. Every function throws SystemError that names the address.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <functional>
#include <string>
#include <system_error>
#include <utility>

#include "framecall/endpoint.hpp"
#include "framecall/error.hpp"

namespace framecall {

/// For a host that getaddrinfo() did not find, or not now. `code`: EAI_NONAME and others.
SystemError lookup_failed(int code, const Endpoint& endpoint);

/// The owner of a socket on its way to the object that will use it.
class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(other.release()) {}
  Socket& operator=(Socket&&) = delete;
  ~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int get() const { return descriptor_; }
  int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

/// A listening, non-blocking socket. Of a host with several addresses the first that can be bound, IPv4 before IPv6.
int open_listener(const Endpoint& endpoint);

/// Makes sure that a descriptor from elsewhere is a listening stream socket, and non-blocking.
void prepare_listener(int descriptor);

/// A bound, non-blocking UDP socket. Throws std::invalid_argument for a Unix endpoint.
int open_udp_listener(const Endpoint& endpoint);

/// Called while something waits: after every signal and at least every 100 ms. What it throws ends the wait.
using WaitCheck = std::function<void()>;

/// A connected, non-blocking socket with TCP_NODELAY, within `timeout` for all addresses of the host together.
int open_connection(const Endpoint& endpoint, std::chrono::milliseconds timeout, const WaitCheck& check = {});

/// A non-blocking UDP socket connected to the first address of the host that takes one, IPv4 before IPv6. Throws
/// std::invalid_argument for a Unix endpoint.
int open_udp_socket(const Endpoint& endpoint);

/// poll() for `events` of one socket. False when `deadline` passed first.
bool wait_ready(int socket, short events, std::chrono::steady_clock::time_point deadline, const WaitCheck& check = {});

/// The address a socket is bound to, and the one it is connected to. A Unix socket without a name has no path.
Endpoint bound_endpoint(int socket, const std::string& shown);
Endpoint connected_endpoint(int socket, const std::string& shown);

/// A peer's address for messages; "unix" for the other end of a Unix socket.
std::string peer_name(const sockaddr_storage& address);
/// Whose share a peer_name() counts for: the IPv4 address, or the IPv6 network of 64 bits, all addresses of which one machine can
/// have.
std::string peer_network(std::string_view peer);

void set_no_delay(int socket);

/// For an accepted socket: the system looks whether a silent peer is still there, and gives up one that does not
/// acknowledge for `patience`; 0: when the system thinks so.
void watch_peer(int socket, std::chrono::milliseconds patience);

/// Receiving and sending wait again, but for `slice` at most: EAGAIN then.
void set_blocking(int socket, std::chrono::milliseconds slice);

}  // namespace framecall
