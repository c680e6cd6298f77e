#include "framecall/udp_client.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "framecall/error.hpp"
#include "net/sockets.hpp"

namespace framecall {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t largest_datagram = 65536;  // that can arrive: none is larger, in IPv6 either
constexpr int send_attempts = 10;                // each takes one report about an earlier datagram off the socket

// What ICMP tells of an earlier datagram, as an error of the next call. It may come or not, and anybody can forge it.
bool is_report(int errno_value) {
  return errno_value == ECONNREFUSED || errno_value == EHOSTUNREACH || errno_value == ENETUNREACH;
}

}  // namespace

UdpClient::UdpClient(const Endpoint& endpoint, std::chrono::milliseconds timeout, std::function<void()> check)
    : endpoint_(endpoint),
      address_(endpoint.to_string()),
      timeout_(timeout),
      check_(std::move(check)),
      socket_(open_udp_socket(endpoint)) {}

UdpClient::~UdpClient() { close(); }

std::optional<std::string> UdpClient::request(std::string_view bytes) {
  if (asked_ && socket_ >= 0) {
    const int fresh = open_udp_socket(endpoint_);  // before the old one goes: the port must be another
    ::close(std::exchange(socket_, fresh));
  }
  asked_ = true;
  drop_waiting();  // what send() was answered with
  send(bytes);
  return receive();
}

void UdpClient::send(std::string_view bytes) {
  if (bytes.size() > max_datagram) {
    throw std::invalid_argument(address_ + ": a datagram of " + std::to_string(bytes.size()) + " bytes, at most " +
                                std::to_string(max_datagram) + " fit");
  }
  const auto deadline = Clock::now() + timeout_;
  int reports = 0;
  for (;;) {
    if (::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return;
    const int problem = errno;
    if (problem == EAGAIN) {
      if (!wait_ready(socket_, POLLOUT, deadline, check_)) fail(ETIMEDOUT, "no room to send");
    } else if (problem == ECONNREFUSED) {
      if (++reports == send_attempts) return;  // as good as sent: nobody listens
    } else if (problem != EINTR) {
      fail(problem, "send");
    }
  }
}

std::optional<std::string> UdpClient::receive() {
  const auto deadline = Clock::now() + timeout_;
  std::string bytes(largest_datagram, '\0');
  for (;;) {
    const ssize_t count = ::recv(socket_, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (count >= 0) {
      bytes.resize(static_cast<std::size_t>(count));
      return bytes;
    }
    if (errno == EAGAIN) {
      if (!wait_ready(socket_, POLLIN, deadline, check_)) return std::nullopt;
    } else if (errno != EINTR && !is_report(errno)) {
      fail(errno, "receive");
    }
  }
}

void UdpClient::drop_waiting() {
  char byte = 0;
  for (int i = 0; i < max_dropped; ++i) {
    if (::recv(socket_, &byte, 1, MSG_DONTWAIT) < 0 && errno != EINTR && !is_report(errno)) return;
  }
}

Endpoint UdpClient::peer() const { return connected_endpoint(socket_, address_); }
Endpoint UdpClient::local() const { return bound_endpoint(socket_, address_); }

void UdpClient::close() {
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

void UdpClient::fail(int errno_value, const char* what) const {
  throw SystemError(errno_value, std::generic_category(), address_ + ": " + what);
}

}  // namespace framecall
