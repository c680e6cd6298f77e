#include "net/sockets.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "framecall/client_options.hpp"
#include "framecall/error.hpp"

namespace framecall {
namespace {

using Clock = std::chrono::steady_clock;

// Between two calls of a check: short enough for a person at the keyboard. A signal may go to another thread, so that
// poll() is not always interrupted.
constexpr auto connect_check_interval = std::chrono::milliseconds(100);

class LookupCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "lookup"; }
  std::string message(int code) const override { return ::gai_strerror(code); }
};

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

[[noreturn]] void fail(int errno_value, const std::string& what) {
  throw SystemError(errno_value, std::generic_category(), what);
}

Address unix_address(const std::string& path) {
  Address address;
  auto& un = reinterpret_cast<sockaddr_un&>(address.storage);
  un.sun_family = AF_UNIX;
  path.copy(un.sun_path, sizeof un.sun_path - 1);
  address.size = sizeof un;
  return address;
}

std::vector<Address> resolve(const Endpoint& endpoint, bool passive, int kind = SOCK_STREAM) {
  if (endpoint.is_unix()) return {unix_address(endpoint.path)};
  addrinfo hints{};
  hints.ai_socktype = kind;
  hints.ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0);
  addrinfo* list = nullptr;
  const int result = ::getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &list);
  if (result == EAI_SYSTEM) fail(errno, endpoint.to_string());
  if (result != 0) throw lookup_failed(result, endpoint);
  std::vector<Address> addresses;
  for (const bool v4 : {true, false}) {  // IPv4 first: what the taught programs know
    for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
      if ((one->ai_family == AF_INET) != v4) continue;
      Address address;
      std::memcpy(&address.storage, one->ai_addr, one->ai_addrlen);
      address.size = one->ai_addrlen;
      addresses.push_back(address);
    }
  }
  ::freeaddrinfo(list);
  return addresses;
}

int new_socket(const Address& address, int kind = SOCK_STREAM) {
  return ::socket(address.storage.ss_family, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

// A socket file outlives its server; one that nobody listens on any more is in the way.
void remove_dead_socket(const Address& address, const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return;
  const int probe = new_socket(address);
  if (probe < 0) return;
  const bool dead = ::connect(probe, address.get(), address.size) != 0 && errno == ECONNREFUSED;
  ::close(probe);
  if (dead) ::unlink(path.c_str());
}

// 0 or the errno of the failure.
int connect_within(int socket, const Address& address, Clock::time_point deadline, const WaitCheck& check) {
  if (::connect(socket, address.get(), address.size) == 0) return 0;
  if (errno != EINPROGRESS && errno != EINTR) return errno;
  if (!wait_ready(socket, POLLOUT, deadline, check)) return ETIMEDOUT;
  int result = 0;
  socklen_t size = sizeof result;
  ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &result, &size);
  return result;
}

Endpoint endpoint_of(const Address& address) {
  if (address.storage.ss_family != AF_UNIX) return Endpoint::parse(peer_name(address.storage));
  Endpoint endpoint;
  endpoint.path = reinterpret_cast<const sockaddr_un&>(address.storage).sun_path;
  return endpoint;
}

}  // namespace

const std::error_category& lookup_category() {
  static const LookupCategory category;
  return category;
}

SystemError lookup_failed(int code, const Endpoint& endpoint) {
  const bool none = code == EAI_NONAME || code == EAI_NODATA;
  return {code, lookup_category(), (none ? "host not found: " : "cannot look up the host of ") + endpoint.to_string()};
}

bool wait_ready(int socket, short events, Clock::time_point deadline, const WaitCheck& check) {
  pollfd wanted{socket, events, 0};
  for (;;) {
    auto left = std::max(std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()), {});
    const bool last = left <= connect_check_interval;
    left = std::min<std::chrono::milliseconds>(left, check ? connect_check_interval : std::chrono::hours(24));
    const int ready = ::poll(&wanted, 1, static_cast<int>(left.count()));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) fail(errno, "poll");
    if (check) check();
    if (ready == 0 && last) return false;
  }
}

void watch_peer(int socket, std::chrono::milliseconds patience) {
  constexpr int on = 1, idle = 60, interval = 10, probes = 6;  // seconds: a dead peer is known after two minutes
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  const auto limit = static_cast<unsigned>(std::min<std::int64_t>(patience.count(), INT_MAX));
  if (limit > 0) ::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
}

void set_no_delay(int socket) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void set_blocking(int socket, std::chrono::milliseconds slice) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(slice);  // the system refuses a million microseconds
  timeval time{};
  time.tv_sec = static_cast<time_t>(seconds.count());
  time.tv_usec = static_cast<suseconds_t>(std::chrono::microseconds(slice - seconds).count());
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
  ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) & ~O_NONBLOCK);
}

int open_listener(const Endpoint& endpoint) {
  int problem = ENOENT;
  for (const Address& address : resolve(endpoint, true)) {
    if (endpoint.is_unix()) remove_dead_socket(address, endpoint.path);
    const int socket = new_socket(address);
    if (socket < 0) {
      problem = errno;
      continue;
    }
    const int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address.storage.ss_family == AF_INET6) ::setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (::bind(socket, address.get(), address.size) == 0 && ::listen(socket, SOMAXCONN) == 0) return socket;
    problem = errno;
    ::close(socket);
  }
  fail(problem, "cannot listen on " + endpoint.to_string());
}

void prepare_listener(int descriptor) {
  const std::string what = "descriptor " + std::to_string(descriptor) + " is no listening socket";
  int listening = 0, kind = 0;
  socklen_t size = sizeof listening;
  if (::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0) fail(errno, what);
  size = sizeof kind;
  if (::getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &kind, &size) != 0) fail(errno, what);
  if (listening == 0 || kind != SOCK_STREAM) fail(EINVAL, what);
  ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
  ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}

int open_udp_listener(const Endpoint& endpoint) {
  if (endpoint.is_unix()) throw std::invalid_argument(endpoint.to_string() + ": UDP needs a host and a port");
  int problem = ENOENT;
  for (const Address& address : resolve(endpoint, true, SOCK_DGRAM)) {
    const int socket = new_socket(address, SOCK_DGRAM);
    if (socket >= 0 && ::bind(socket, address.get(), address.size) == 0) return socket;
    problem = errno;
    if (socket >= 0) ::close(socket);
  }
  fail(problem, "cannot bind " + endpoint.to_string());
}

int open_connection(const Endpoint& endpoint, std::chrono::milliseconds timeout, const WaitCheck& check) {
  const auto deadline = Clock::now() + timeout;
  int problem = ENOENT;
  for (const Address& address : resolve(endpoint, false)) {
    if (problem == ETIMEDOUT && Clock::now() >= deadline) break;  // the address before has used up the time
    const int socket = new_socket(address);
    try {
      problem = socket < 0 ? errno : connect_within(socket, address, deadline, check);
    } catch (...) {
      ::close(socket);
      throw;
    }
    if (problem == 0) {
      set_no_delay(socket);
      return socket;
    }
    if (socket >= 0) ::close(socket);
  }
  fail(problem, "cannot connect to " + endpoint.to_string());
}

int open_udp_socket(const Endpoint& endpoint) {
  if (endpoint.is_unix()) throw std::invalid_argument(endpoint.to_string() + ": UDP needs a host and a port");
  int problem = ENOENT;
  for (const Address& address : resolve(endpoint, false, SOCK_DGRAM)) {
    const int socket = new_socket(address, SOCK_DGRAM);
    if (socket >= 0 && ::connect(socket, address.get(), address.size) == 0) return socket;
    problem = errno;
    if (socket >= 0) ::close(socket);
  }
  fail(problem, "cannot open a UDP socket for " + endpoint.to_string());
}

Endpoint bound_endpoint(int socket, const std::string& shown) {
  Address address;
  address.size = sizeof address.storage;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0)
    fail(errno, shown + ": local address");
  return endpoint_of(address);
}

Endpoint connected_endpoint(int socket, const std::string& shown) {
  Address address;
  address.size = sizeof address.storage;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0)
    fail(errno, shown + ": peer address");
  return endpoint_of(address);
}

std::string peer_name(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return std::string(text) + ":" + std::to_string(ntohs(v4.sin_port));
  }
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return std::string("[").append(text) + "]:" + std::to_string(ntohs(v6.sin6_port));
  }
  return "unix";
}

std::string peer_network(std::string_view peer) {
  const std::string host(peer.substr(0, peer.rfind(':')));
  in6_addr address{};
  if (!host.starts_with('[') || ::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &address) != 1)
    return host;
  if (IN6_IS_ADDR_V4MAPPED(&address) || IN6_IS_ADDR_LOOPBACK(&address)) return host;
  std::fill(address.s6_addr + 8, address.s6_addr + sizeof address.s6_addr, std::uint8_t{0});
  char text[INET6_ADDRSTRLEN] = "";
  ::inet_ntop(AF_INET6, &address, text, sizeof text);
  return std::string("[").append(text).append("]/64");
}

}  // namespace framecall
