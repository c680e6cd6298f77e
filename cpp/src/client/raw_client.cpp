#include "framecall/raw_client.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "framecall/error.hpp"
#include "net/byte_stream.hpp"
#include "net/sockets.hpp"

namespace framecall {

using Clock = std::chrono::steady_clock;

RawClient::RawClient(const Endpoint& endpoint, std::chrono::milliseconds timeout, std::function<void()> check)
    : address_(endpoint.to_string()),
      timeout_(timeout),
      check_(std::move(check)),
      socket_(open_connection(endpoint, timeout_, check_)) {}

RawClient::~RawClient() { close(); }

RawClient::RawClient(RawClient&& other) noexcept
    : address_(std::move(other.address_)),
      timeout_(other.timeout_),
      check_(std::move(other.check_)),
      socket_(std::exchange(other.socket_, -1)) {}

int RawClient::try_connect(const Endpoint& endpoint, std::optional<RawClient>& client,
                           std::chrono::milliseconds timeout, std::function<void()> check) {
  client.reset();
  try {
    client.emplace(endpoint, timeout, std::move(check));
  } catch (const std::system_error& error) {
    return error.code().value();
  }
  return 0;
}

std::size_t RawClient::send_some(std::string_view bytes) { return send_before(Clock::now() + timeout_, bytes); }

void RawClient::send(std::string_view bytes) {
  const auto deadline = Clock::now() + timeout_;
  do bytes.remove_prefix(send_before(deadline, bytes));
  while (!bytes.empty());
}

std::size_t RawClient::send_before(Clock::time_point deadline, std::string_view bytes) {
  for (;;) {
    const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    const ssize_t count = PlainStream(socket_).write(&piece, 1, false);
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EAGAIN) fail(errno, "send");
    wait(POLLOUT, deadline);
  }
}

std::string RawClient::receive(std::size_t max_size) {
  if (max_size == 0) throw std::invalid_argument(address_ + ": receive() of at most 0 bytes");
  const auto deadline = Clock::now() + timeout_;
  std::string bytes(std::min(max_size, largest_piece), '\0');
  for (;;) {
    const ssize_t count = PlainStream(socket_).read(bytes.data(), bytes.size());
    if (count >= 0) {
      bytes.resize(static_cast<std::size_t>(count));
      return bytes;
    }
    if (errno != EAGAIN) fail(errno, "receive");
    wait(POLLIN, deadline);
  }
}

void RawClient::finish_sending() {
  if (::shutdown(socket_, SHUT_WR) != 0) fail(errno, "finish_sending");
}

Endpoint RawClient::peer() const { return connected_endpoint(socket_, address_); }
Endpoint RawClient::local() const { return bound_endpoint(socket_, address_); }

int RawClient::option(int level, int name) const {
  int value = 0;
  socklen_t size = sizeof value;
  if (::getsockopt(socket_, level, name, &value, &size) != 0) fail(errno, "option");
  return value;
}

void RawClient::set_option(int level, int name, int value) {
  if (::setsockopt(socket_, level, name, &value, sizeof value) != 0) fail(errno, "set_option");
}

void RawClient::close() {
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

void RawClient::wait(short events, Clock::time_point deadline) const {
  if (wait_ready(socket_, events, deadline, check_)) return;
  std::string what = events == POLLIN ? "nothing came for " : "no room to send for ";
  what.append(std::to_string(timeout_.count())).append(" ms");
  fail(ETIMEDOUT, what.c_str());
}

void RawClient::fail(int errno_value, const char* what) const {
  throw SystemError(errno_value, std::generic_category(), address_ + ": " + what);
}

}  // namespace framecall
