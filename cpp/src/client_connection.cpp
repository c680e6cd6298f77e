#include "client_connection.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "framecall/call.hpp"
#include "reply.hpp"

namespace framecall {
namespace {

using Clock = std::chrono::steady_clock;

// A blocking receive wakes up as often as this to look at the clock and for the check: one system call less than poll() and
// a receive, for every reply that comes sooner.
constexpr auto slice = std::chrono::milliseconds(100);
constexpr std::size_t direct_from = 64 * 1024;  // bodies of this size go past the decoder
constexpr std::size_t piece_size = 256 * 1024;  // of a body that is not held whole

std::chrono::milliseconds left_until(Clock::time_point deadline) {
  return std::max(std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()), std::chrono::milliseconds(0));
}

}  // namespace

ClientConnection::ClientConnection(const Endpoint& endpoint, std::string shown, const WaitCheck& check,
                                   std::uint32_t max_header, std::uint64_t max_body, Deadline deadline)
    : shown_(std::move(shown)),
      check_(check),
      max_body_(max_body),
      socket_(open_connection(endpoint, left_until(deadline), check)),
      decoder_(max_header) {
  set_blocking(socket_, slice);
}

void ClientConnection::abandon() {
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

bool ClientConnection::healthy() const {
  char byte = 0;
  return socket_ >= 0 && broken_ == 0 && !closing_ && decoder_.idle() &&
         ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

void ClientConnection::send(std::string_view head, std::string_view body, Deadline deadline) {
  sent_nothing_ = true;
  while (broken_ == 0 && head.size() + body.size() > 0) {
    std::array<iovec, 2> vectors{
        {{const_cast<char*>(head.data()), head.size()}, {const_cast<char*>(body.data()), body.size()}}};
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = body.empty() ? 1 : 2;
    const ssize_t count = ::sendmsg(socket_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      sent_nothing_ = false;
      const auto sent = static_cast<std::size_t>(count);
      const std::size_t of_head = std::min(sent, head.size());
      head.remove_prefix(of_head);
      body.remove_prefix(sent - of_head);
    } else if (errno == EAGAIN) {
      // The peer may wait for us to read before it reads on.
      if (receive_while_sending()) continue;
      wait(ended_ ? POLLOUT : POLLIN | POLLOUT, deadline);
    } else if (errno != EINTR) {
      broken_ = errno;
    }
  }
}

// False: there is nothing now.
bool ClientConnection::receive_while_sending() {
  if (ended_) return false;
  const std::span<char> room = decoder_.prepare(direct_from);
  const ssize_t count = ::recv(socket_, room.data(), room.size(), MSG_DONTWAIT);
  decoder_.commit(count > 0 ? static_cast<std::size_t>(count) : 0);
  if (count < 0) return errno == EINTR;
  ended_ = count == 0;
  return true;
}

void ClientConnection::receive(CallReply& reply, Deadline deadline, bool in_pieces) {
  if (!in_body_) reply = CallReply();
  reply.continues = false;
  for (;;) {
    switch (next_event()) {
      case Decoder::Event::need_data: fill(reply.body, deadline); break;
      case Decoder::Event::header_received:
        begin(reply);
        large_ = decoder_.body_left() > max_body_;
        sum_.reset();
        if (large_ && !digest_.empty()) sum_.emplace(DigestKind::sha256);
        if (large_ && !in_pieces) {
          throw ProtocolError(ErrorCode::resource_exhausted, decoder_.offset(),
                              shown_ + ": a reply with a body of " + std::to_string(decoder_.body_left()) +
                                  " bytes: max_body is " + std::to_string(max_body_));
        }
        in_body_ = true;
        if (const auto body = decoder_.take_whole_body()) reply.body.append(*body);
        break;
      case Decoder::Event::body_received: reply.body.append(decoder_.body()); break;
      case Decoder::Event::end_of_message: end(reply); return;
      default: lost(broken_ != 0 ? broken_ : ECONNRESET);
    }
    if (large_ && reply.body.size() >= piece_size) {
      reply.continues = true;
      if (sum_) sum_->update(reply.body.view());
      return;
    }
  }
}

void ClientConnection::begin(CallReply& reply) {
  ReplyHead head;
  read_reply(header_, head);
  reply.id = std::move(head.id);
  reply.error = std::move(head.error);
  reply.result = head.result;
  reply.metadata = head.metadata;
  reply.more = head.more;
  closing_ = closing_ || head.closing || reply.id.empty();
  digest_ = head.digest;
}

void ClientConnection::end(CallReply& reply) {
  in_body_ = false;
  const auto announced = announced_sha256(digest_);
  if (!announced) return;
  try {
    if (sum_) sum_->update(reply.body.view());
    check_sha256(*announced, sum_ ? sum_->finish_base64() : sha256_base64(reply.body.view()));
  } catch (const CallError& error) {
    reply.damage.emplace(error);
  }
}

Decoder::Event ClientConnection::next_event() {
  try {
    return decoder_.next_event(header_);
  } catch (const ProtocolError& error) {
    if (error.code() == ErrorCode::data_loss) lost(broken_ != 0 ? broken_ : ECONNRESET);
    throw ProtocolError(error.code(), error.offset(), shown_ + ": " + error.what());
  }
}

// From the socket: a large body to where it stays, everything else through the decoder. A block grows with what has come.
void ClientConnection::fill(Buffer& body, Deadline deadline) {
  if (ended_) {
    decoder_.close();
    return;
  }
  const std::uint64_t left = decoder_.body_left();
  const bool direct = in_body_ && left >= direct_from;
  std::size_t size = 0;
  if (direct) {
    const std::size_t room = large_ ? piece_size : std::max(body.size(), piece_size);
    char* const to = body.prepare(static_cast<std::size_t>(std::min<std::uint64_t>(left, room)));
    size = receive_some(to, static_cast<std::size_t>(std::min<std::uint64_t>(left, room)), deadline);
    body.commit(size);
    decoder_.take_body(size);
  } else {
    const std::span<char> room = decoder_.prepare();
    size = receive_some(room.data(), room.size(), deadline);
    decoder_.commit(size);
  }
  if (size == 0) {
    ended_ = true;
    decoder_.close();
  }
}

std::size_t ClientConnection::receive_some(char* to, std::size_t size, Deadline deadline) {
  for (;;) {
    const bool late = deadline - Clock::now() < slice;
    const ssize_t count = ::recv(socket_, to, size, late ? MSG_DONTWAIT : 0);
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EAGAIN && errno != EINTR) lost(broken_ != 0 ? broken_ : errno);
    if (errno == EAGAIN && late) {
      wait(POLLIN, deadline);
    } else if (check_) {
      check_();
    }
  }
}

void ClientConnection::wait(short events, Deadline deadline) const {
  if (!wait_ready(socket_, events, deadline, check_)) {
    throw std::system_error(ETIMEDOUT, std::generic_category(), shown_);
  }
}

void ClientConnection::lost(int errno_value) const {
  throw std::system_error(errno_value, std::generic_category(), shown_);
}

}  // namespace framecall
