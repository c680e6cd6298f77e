#include "client/dialect_connection.hpp"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "framecall/error.hpp"
#include "framecall/wire/json.hpp"
#include "net/sockets.hpp"
#include "wire/reply.hpp"

namespace framecall {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::uint64_t file_piece = 4 << 20;  // of one sendfile(), so that progress is seen and an answer is noticed
constexpr std::size_t receive_size = 256 << 10;
constexpr std::size_t max_words = 16;  // kept of a peer that talks while we are sending
constexpr auto look_again = milliseconds(50);
constexpr auto look_soon = milliseconds(2);  // for an acknowledgement, which no poll() tells
constexpr auto shortest_quiet = milliseconds(50);
constexpr auto reset_watch = milliseconds(100);  // of a peer that has ended its direction and may not have wanted all

// As much of it as one poll() can wait.
milliseconds poll_until(Clock::time_point deadline) {
  return std::clamp(std::chrono::ceil<milliseconds>(deadline - Clock::now()), milliseconds(0), milliseconds(INT_MAX));
}

}  // namespace

DialectConnection::DialectConnection(const Endpoint& endpoint, const Dialect& dialect, milliseconds timeout,
                                     std::size_t max_text)
    : address_(endpoint.to_string()),
      dialect_(dialect),
      timeout_(timeout),
      quiet_(std::max(shortest_quiet, milliseconds(dialect.pause_ms))),
      max_text_(max_text),
      reading_(answer_dialect(dialect)),
      socket_(open_connection(endpoint, timeout)),
      bytes_(socket_),
      decoder_(default_max_header_size, reading_) {}

DialectConnection::~DialectConnection() { ::close(socket_); }

void DialectConnection::begin(AnswerBody expected) {
  keep_words_ = false;
  expect_text({});
  dropped_ = said_.size();
  if (!said_.empty()) last_dropped_ = std::move(said_.back().content);
  said_.clear();
  listen();
  if (decoder_.end_text()) listen();
  if (ended_ && expected != AnswerBody::none) {
    throw SystemError(EPIPE, std::generic_category(), address_ + ": the peer has closed the connection");
  }
  expect_body(reading_, dialect_, expected);
}

// --- Speaking

void DialectConnection::send_frame(std::string_view header, bool more) {
  if (text_sent_) pause();
  text_sent_ = false;
  send_bytes(encode_head(header, decoder_.prefix()), more);
}

void DialectConnection::send_text(std::string_view text) {
  if (text_sent_) pause();
  text_sent_ = true;
  send_bytes(text);
}

void DialectConnection::send_bytes(std::string_view bytes, bool more) {
  while (!bytes.empty()) {
    const iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    const ssize_t count = bytes_.write(&piece, 1, more);
    if (count >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      wait_writable();
    } else {
      lost(errno);
    }
  }
}

void DialectConnection::send_file(int file, const std::string& shown, std::uint64_t size,
                                  const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  off_t offset = 0;
  while (static_cast<std::uint64_t>(offset) < size) {
    const std::uint64_t left = size - static_cast<std::uint64_t>(offset);
    const ssize_t count = bytes_.write_file(file, offset, static_cast<std::size_t>(std::min(left, file_piece)));
    if (count > 0) {
      if (progress) progress(static_cast<std::uint64_t>(offset), size);
      listen();
    } else if (count == 0) {
      throw std::runtime_error(shown + ": became shorter while it was sent, " + std::to_string(offset) + " of " +
                               std::to_string(size) + " bytes");
    } else if (errno == EAGAIN) {
      wait_writable();
    } else if (errno == EIO) {
      throw SystemError(errno, std::generic_category(), shown);
    } else {
      lost(errno);
    }
  }
}

// Waits for room to send, and listens to the peer meanwhile.
void DialectConnection::wait_writable() {
  const auto deadline = Clock::now() + timeout_;
  for (;;) {
    pollfd wanted{socket_, static_cast<short>(ended_ ? POLLOUT : POLLOUT | POLLIN), 0};
    const int ready = ::poll(&wanted, 1, static_cast<int>(poll_until(deadline).count()));
    if (ready < 0 && errno != EINTR) lost(errno);
    if (ready == 0) no_progress();
    if (ready > 0 && (wanted.revents & POLLIN) != 0) listen();
    if (ready > 0 && (wanted.revents & ~POLLIN) != 0) return;
  }
}

void DialectConnection::pause() {
  const auto deadline = Clock::now() + milliseconds(dialect_.pause_ms);
  for (auto left = poll_until(deadline); left.count() > 0; left = poll_until(deadline)) {
    if (wait_readable(left)) listen();
  }
}

// Bytes that the other machine has not acknowledged, an end of stream counted as one.
int DialectConnection::unsent() {
  int count = 0, problem = 0;
  socklen_t size = sizeof problem;
  if (broken_ != 0) lost(broken_);  // the peer acknowledges nothing after a reset
  // Nothing else reports a reset behind the peer's end of stream.
  if (ended_ && ::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &problem, &size) == 0 && problem != 0) lost(problem);
  return ::ioctl(socket_, SIOCOUTQ, &count) == 0 ? count : 0;
}

void DialectConnection::wait_until_received() {
  auto deadline = Clock::now() + timeout_;
  int before = -1;
  for (int count = unsent(); count > 0; count = unsent()) {
    if (count != before) deadline = Clock::now() + timeout_;
    before = count;
    if (poll_until(deadline).count() == 0) no_progress();
    if (wait_readable(look_soon)) listen();
  }
}

// --- Listening

// False after `limit`. What has ended does not become readable.
bool DialectConnection::wait_readable(milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  for (;;) {
    pollfd wanted{ended_ ? -1 : socket_, POLLIN, 0};
    const int ready = ::poll(&wanted, 1, static_cast<int>(poll_until(deadline).count()));
    if (ready >= 0) return ready > 0;
    if (errno != EINTR) lost(errno);
  }
}

// What there is now, into the decoder; false if there is nothing.
bool DialectConnection::receive() {
  while (!ended_) {
    const auto space = decoder_.prepare(receive_size);
    const ssize_t count = bytes_.read(space.data(), space.size());
    if (count > 0) {
      if (!take_received({space.data(), static_cast<std::size_t>(count)})) {
        decoder_.commit(static_cast<std::size_t>(count));
      }
      return true;
    }
    if (count == 0) {
      ended_ = true;
      if (!expected_.whole()) expect_text({});
      decoder_.close();
      return true;
    }
    if (errno == EAGAIN) return false;
    throw broken(errno);
  }
  return false;
}

// True for bytes that are, or may become, the text that is expected.
bool DialectConnection::take_received(std::string_view bytes) {
  if (!expected_.expecting()) return false;
  if (!expected_.add(bytes)) expect_text({});
  return true;
}

// What came and is not expected any more goes the way of everything else.
void DialectConnection::expect_text(std::string text) {
  if (!expected_.expect(std::move(text))) hand_over(expected_.release());
}

void DialectConnection::hand_over(std::string_view bytes) {
  if (bytes.empty()) return;
  const auto space = decoder_.prepare(bytes.size());
  bytes.copy(space.data(), bytes.size());
  decoder_.commit(bytes.size());
}

bool DialectConnection::take_text(const std::string& awaited) {
  const auto deadline = Clock::now() + timeout_;
  while (expected_.expecting()) {
    if (expected_.whole()) {
      expected_.accept();
      return true;
    }
    if (ended_) break;
    // A part of a text that stays one is something else.
    const auto left = expected_.begun() ? std::min(poll_until(deadline), 5 * quiet_) : poll_until(deadline);
    if (wait_readable(left)) {
      receive();
    } else if (!expected_.begun()) {
      late(awaited);
    } else {
      break;
    }
  }
  expect_text({});
  return false;
}

bool DialectConnection::next_unasked(PeerMessage& word, milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  for (;;) {
    if (!said_.empty()) {
      word = std::move(said_.front());
      said_.pop_front();
      return true;
    }
    if (take_word(word)) return word.kind != PeerMessage::Kind::end;
    const bool text = decoder_.in_text();
    if (wait_readable(text ? quiet_ : poll_until(deadline))) {
      receive();
    } else if (!text || !decoder_.end_text()) {
      return false;
    }
  }
}

void DialectConnection::late(const std::string& awaited) const {
  throw SystemError(ETIMEDOUT, std::generic_category(),
                    address_ + ": " + awaited + " did not come within " + std::to_string(timeout_.count()) + " ms");
}

Decoder::Event DialectConnection::step() {
  Decoder::Event event{};
  if (!expected_.expecting()) hand_over(expected_.release());
  try {
    event = decoder_.next_event(header_);
  } catch (const ProtocolError& error) {
    throw ProtocolError(error.code(), error.offset(), address_ + ": " + error.what());
  }
  if (event == Decoder::Event::header_received && dialect_.calls) {
    const auto error = remote_error(header_);
    // The clients of dialects say what they saw; a reader of their errors has a terminal.
    if (error) throw RemoteError(error->code(), printable(error->what(), 1000), error->data());
  }
  return event;
}

// The next thing that was said whole; false: nothing yet. The body of the frame before it is skipped.
bool DialectConnection::take_word(PeerMessage& word) {
  for (;;) {
    switch (step()) {
      case Decoder::Event::need_data: return false;
      case Decoder::Event::header_received: word = {PeerMessage::Kind::frame, std::string(header_.text())}; break;
      case Decoder::Event::text_received: word = {PeerMessage::Kind::text, std::string(decoder_.body())}; break;
      case Decoder::Event::zero_received: word = {PeerMessage::Kind::zero, {}}; break;
      case Decoder::Event::connection_closed: word = {PeerMessage::Kind::end, {}}; return true;
      case Decoder::Event::body_received:
      case Decoder::Event::end_of_message: continue;
    }
    text_sent_ = false;
    return true;
  }
}

// Takes in what the peer has said so far, without waiting. A frame with an error ends what we do; other things that
// some peers say unasked (a greeting, "OK") are dropped, unless they are waited for.
void DialectConnection::listen() {
  do {
    try {
      PeerMessage word;
      while (take_word(word) && word.kind != PeerMessage::Kind::end) {
        if (keep_words_ && said_.size() < max_words) {
          said_.push_back(std::move(word));
        } else {
          ++dropped_;
          last_dropped_ = std::move(word.content);
        }
      }
    } catch (const ProtocolError&) {
      if (!keep_words_) {  // who waits for an answer is told
        decoder_ = Decoder(default_max_header_size, reading_);
        if (ended_) decoder_.close();
      }
    }
  } while (receive());
}

PeerMessage DialectConnection::next_word(const std::string& awaited, milliseconds unsure) {
  auto deadline = Clock::now() + timeout_;
  PeerMessage text{PeerMessage::Kind::text, {}};
  for (;;) {
    PeerMessage word;
    const bool kept = !said_.empty();
    if (kept) {
      word = std::move(said_.front());
      said_.pop_front();
    }
    if (kept || take_word(word)) {
      if (word.kind == PeerMessage::Kind::text) {
        text.content += word.content;
        if (text.content.size() > max_text_) {
          throw ProtocolError(
              ErrorCode::resource_exhausted, decoder_.offset(),
              address_ + ": " + awaited + " has more than " + std::to_string(max_text_) + " bytes, max_reply");
        }
        continue;
      }
      if (text.content.empty()) return word;
      if (word.kind != PeerMessage::Kind::end) said_.push_front(std::move(word));
      return text;
    }
    const bool undecided = decoder_.in_text() && decoder_.in_head();
    const bool more_text = decoder_.in_text() && !undecided;
    if (!text.content.empty() && !decoder_.in_text() && !decoder_.idle()) return text;  // a frame has begun behind it
    milliseconds limit = poll_until(deadline);
    if (undecided) limit = std::min(limit, unsure);
    if (more_text || (!text.content.empty() && !undecided)) limit = std::min(limit, quiet_);
    if (wait_readable(limit)) {
      if (receive()) deadline = Clock::now() + timeout_;
    } else if (!decoder_.end_text()) {
      if (!text.content.empty()) return text;
      if (poll_until(deadline).count() == 0) late(awaited);
    }
  }
}

void DialectConnection::read_body(const std::function<void(std::string_view)>& sink) {
  for (;;) {
    switch (step()) {
      case Decoder::Event::body_received: sink(decoder_.body()); break;
      case Decoder::Event::need_data: {
        const auto deadline = Clock::now() + timeout_;
        while (!receive()) {
          const auto left = poll_until(deadline);
          if (left.count() == 0) no_progress();
          wait_readable(left);
        }
        break;
      }
      default: return;  // end_of_message
    }
  }
}

bool DialectConnection::has_more() {
  try {
    receive();
  } catch (const std::system_error&) {  // what was asked for is there
    ended_ = true;
  }
  return !decoder_.idle();
}

// --- Ends

void DialectConnection::no_progress() const {
  throw SystemError(ETIMEDOUT, std::generic_category(),
                    address_ + ": no progress for " + std::to_string(timeout_.count()) + " ms");
}

SystemError DialectConnection::broken(int errno_value) {
  broken_ = errno_value;
  if (expected_.expecting()) expect_text({});
  PeerMessage word;
  if (keep_words_ && decoder_.end_text() && take_word(word)) said_.push_back(std::move(word));
  std::string message = address_ + ": the connection was lost";
  if (!said_.empty()) message += "; the last that the peer said was " + printable(said_.back().content);
  return {errno_value, std::generic_category(), message};
}

// A peer that refused and closed has left its reason in front of the reset.
void DialectConnection::lost(int errno_value) {
  listen();
  throw broken(errno_value);
}

void DialectConnection::end() {
  listen();
  if (ended_) {
    wait_until_received();
    const auto deadline = Clock::now() + reset_watch;
    for (auto left = poll_until(deadline); left.count() > 0; left = poll_until(deadline)) {
      unsent();
      wait_readable(std::min(left, look_soon));
    }
  }
  if (::shutdown(socket_, SHUT_WR) != 0) lost(errno);
}

bool DialectConnection::closed(milliseconds limit) {
  auto deadline = Clock::now() + limit;
  for (;;) {
    listen();
    const int count = unsent();  // not yet received by the other machine: its time to close has not begun
    if (ended_ && count == 0) return true;
    if (count != unreceived_) deadline = Clock::now() + (count > 0 ? timeout_ : limit);
    unreceived_ = count;
    const auto left = poll_until(deadline);
    if (left.count() == 0 && count > 0) no_progress();
    if (left.count() == 0) return false;
    wait_readable(std::min(left, ended_ ? look_soon : look_again));
  }
}

}  // namespace framecall
