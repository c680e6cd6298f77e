#include "client/blocking_connection.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "framecall/error.hpp"

namespace framecall {
namespace {

using Clock = std::chrono::steady_clock;

// A blocking receive wakes up as often as this to look at the clock and for the check: one system call less than poll() and
// a receive, for every reply that comes sooner.
constexpr auto slice = std::chrono::milliseconds(100);
// How long a connection is not looked at before the next call goes out on it: much less than a server waits before it closes
// one, and no more than what passes anyway between that look and the arrival of the call.
constexpr auto a_moment = std::chrono::microseconds(100);
constexpr std::uint64_t most_at_once = 4 << 20;  // of one sendfile(), so that progress is seen and an answer is noticed

std::chrono::milliseconds left_to_wait(Clock::time_point deadline) {
  return std::max(std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()), std::chrono::milliseconds(0));
}

}  // namespace

BlockingConnection::BlockingConnection(const Endpoint& endpoint, std::string shown, const WaitCheck& check,
                                       std::uint32_t max_header, std::uint64_t max_body, Deadline deadline,
                                       const Dialect& dialect)
    : shown_(std::move(shown)),
      check_(check),
      socket_(open_connection(endpoint, left_to_wait(deadline), check)),
      bytes_(socket_),
      reader_(max_header, max_body, dialect) {
  set_blocking(socket_, slice);
}

void BlockingConnection::abandon() {
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

bool BlockingConnection::healthy(Clock::time_point now) const {
  if (socket_ < 0 || broken_ != 0 || ended_ || closing() || !reader_.idle()) return false;
  if (last_id_ > 1 && now - last_wait_ < a_moment) return true;
  char byte = 0;
  return ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

void BlockingConnection::send(std::string_view head, std::string_view body, Deadline deadline) {
  sent_nothing_ = true;
  while (broken_ == 0 && head.size() + body.size() > 0) {
    const iovec pieces[] = {{const_cast<char*>(head.data()), head.size()},
                            {const_cast<char*>(body.data()), body.size()}};
    const ssize_t count = bytes_.write(pieces, body.empty() ? 1 : 2, false);
    if (count >= 0) {
      sent_nothing_ = false;
      const auto sent = static_cast<std::size_t>(count);
      const std::size_t of_head = std::min(sent, head.size());
      head.remove_prefix(of_head);
      body.remove_prefix(sent - of_head);
    } else if (errno == EAGAIN) {
      // The peer may wait for us to read before it reads on.
      if (try_receive_more()) continue;
      wait(ended_ ? POLLOUT : POLLIN | POLLOUT, deadline);
    } else {
      broken_ = errno;
    }
  }
}

void BlockingConnection::send_last(std::string_view bytes) {
  const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  if (socket_ >= 0) bytes_.write(&piece, 1, false);
}

bool BlockingConnection::send_file(int file, const std::string& path, std::uint64_t offset, std::uint64_t size,
                                   std::chrono::milliseconds timeout,
                                   const std::function<void(std::uint64_t)>& progress) {
  auto at = static_cast<off_t>(offset);
  for (auto last = Clock::now(); static_cast<std::uint64_t>(at) < size && broken_ == 0;) {
    const auto left =
        static_cast<std::size_t>(std::min<std::uint64_t>(size - static_cast<std::uint64_t>(at), most_at_once));
    const ssize_t count = bytes_.write_file(file, at, left);
    if (count > 0) {
      last = Clock::now();
      progress(static_cast<std::uint64_t>(at));
    } else if (count == 0) {
      throw std::runtime_error(path + ": became shorter while it was sent");
    } else if (errno == EIO) {
      throw SystemError(errno, std::generic_category(), path);
    } else if (errno != EAGAIN) {
      broken_ = errno;
    } else if (Clock::now() - last > timeout) {
      throw SystemError(ETIMEDOUT, std::generic_category(), shown_);
    } else {
      wait_ready(socket_, POLLOUT, Clock::now() + slice, check_);
    }
    if (check_) check_();
    if (has_words()) return false;
  }
  return broken_ == 0;
}

bool BlockingConnection::has_words() const {
  char byte = 0;
  return ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || (errno != EAGAIN && errno != EINTR);
}

// False: there is nothing now.
bool BlockingConnection::try_receive_more() {
  if (ended_) return false;
  const std::span<char> room = reader_.prepare();
  const ssize_t count = bytes_.read(room.data(), room.size());
  if (count < 0) return false;
  reader_.commit(static_cast<std::size_t>(count));
  ended_ = count == 0;
  return true;
}

CallReply& BlockingConnection::receive(Deadline deadline) {
  try {
    for (;;) {
      if (CallReply* const reply = reader_.next()) return *reply;
      if (reader_.closed()) lost(ECONNRESET);
      receive_more(deadline);
    }
  } catch (const ProtocolError& error) {
    if (error.code() == ErrorCode::data_loss) lost(ECONNRESET);
    throw ProtocolError(error.code(), error.offset(), shown_ + ": " + error.what());
  }
}

std::size_t BlockingConnection::receive_some(char* to, std::size_t size, Deadline deadline) {
  for (;;) {
    last_wait_ = Clock::now();
    const bool late = deadline - last_wait_ < slice;
    const ssize_t count = late ? bytes_.read(to, size) : bytes_.read_or_wait(to, size);
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EAGAIN && errno != EINTR) lost(errno);
    if (errno == EAGAIN) {
      wait(POLLIN, deadline);
    } else if (check_) {
      check_();
    }
  }
}

void BlockingConnection::wait(short events, Deadline deadline) const {
  if (!wait_ready(socket_, events, deadline, check_)) {
    throw SystemError(ETIMEDOUT, std::generic_category(), shown_);
  }
}

void BlockingConnection::lost(int errno_value) const {
  throw SystemError(broken_ != 0 ? broken_ : errno_value, std::generic_category(), shown_);
}

}  // namespace framecall
