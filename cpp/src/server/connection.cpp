#include "server/connection.hpp"

#include <algorithm>
#include <cerrno>
#include <span>
#include <system_error>
#include <utility>

#include "framecall/error.hpp"
#include "server/sessions/protocol_detection.hpp"

namespace framecall {
namespace {

constexpr int blocks_per_turn = 4;  // of a long body; then the loop's other connections have their turn
constexpr int turns_per_drain = 64;
constexpr std::int64_t silent_for = 1000;           // milliseconds, before a connection may give way to a new one
constexpr std::int64_t silent_inside_for = 30'000;  // the same for one that is inside of a message

bool would_block(int errno_value) { return errno_value == EAGAIN || errno_value == EWOULDBLOCK; }

}  // namespace

Connection::Connection(EventLoop& loop, asio::posix::stream_descriptor socket, ConnectionPlace place, std::string peer,
                       Protocols protocols)
    : SessionPort(loop, std::move(peer)),
      event_loop_(loop),
      socket_(std::move(socket)),
      bytes_(
          std::make_unique<CountingStream>(std::make_unique<PlainStream>(socket_.native_handle()), loop.state.bytes)),
      place_(std::move(place)),
      clocks_(loop, *this),
      session_(first_session(*this, protocols)) {
  event_loop_.connection_opened();
}

Connection::~Connection() { close(); }

void Connection::start() {
  event_loop_.refresh_clock();
  clocks_.note_progress();
  if (loop_.draining) {
    drain();
  } else {
    arm(shared());
  }
  event_loop_.end_turn();
}

template <class Function>
void Connection::guarded(Function work) noexcept {
  try {
    work();
  } catch (const std::exception& error) {
    give_up(error.what());
  } catch (...) {
    give_up("an exception of an unknown type");
  }
}

void Connection::give_up(const char* why) noexcept {
  if (!open()) return;
  try {
    log(LogLevel::error, std::string("closed: ") + why);
  } catch (...) {
    // There is no memory for the line, either.
  }
  close();
}

void Connection::start_refused() {
  const auto self = shared();
  event_loop_.refresh_clock();
  clocks_.note_progress();
  guarded([this] {
    const std::uint64_t limit = options().max_connections;
    session_->refuse(static_cast<std::int64_t>(ErrorCode::resource_exhausted),
                     "too many connections, max_connections is " + std::to_string(limit), limit_data(limit, limit + 1));
    settle();
  });
  arm(self);
  event_loop_.end_turn();
}

// `self` moves from handler to handler: no reference count is touched for the one wait that is usually out.
void Connection::arm(std::shared_ptr<Connection> self) noexcept {
  Connection& connection = *self;
  if (!connection.open()) return;
  if (!connection.out_.empty() && !connection.writing_) {
    connection.writing_ = true;
    if (!wait({self, asio::posix::stream_descriptor::wait_write})) return;
  }
  const bool drops = connection.life_ == Life::leaving;
  if (!drops && !connection.may_read()) {
    // These clocks run only while the peer may send.
    connection.clocks_.hold();
  } else if (!connection.reading_) {
    if (!drops && !connection.session_->idle()) connection.clocks_.watch(connection.session_->expects());
    connection.reading_ = true;
    wait({std::move(self), asio::posix::stream_descriptor::wait_read});
  }
}

// False: there is no memory for the wait, and the connection is closed.
bool Connection::wait(Wait&& wait) noexcept {
  asio::posix::stream_descriptor& socket = wait.self->socket_;
  const auto direction = wait.direction;
  try {
    socket.async_wait(direction, std::move(wait));
    return true;
  } catch (const std::exception& error) {
    if (wait.self) wait.self->give_up(error.what());  // Asio had not moved it yet
    return false;
  }
}

void Connection::woken(std::shared_ptr<Connection>& self, asio::posix::stream_descriptor::wait_type direction,
                       asio::error_code error) {
  Connection& connection = *self;
  EventLoop& loop = connection.event_loop_;
  const bool readable = direction == asio::posix::stream_descriptor::wait_read;
  (readable ? connection.reading_ : connection.writing_) = false;
  if (error && error == asio::error::operation_aborted) return;
  connection.guarded([&] {
    if (error) throw asio::system_error(error);
    readable ? connection.on_readable() : connection.on_writable();
  });
  arm(std::move(self));
  loop.end_turn();
}

void Connection::on_readable() {
  if (!open()) return;
  event_loop_.refresh_clock();
  if (life_ == Life::leaving) {
    discard();
  } else if (!may_read()) {
    return;
  } else if (loop_.draining) {
    drain();
    return;
  } else {
    read_turn();
  }
  settle();
}

void Connection::on_writable() {
  if (!open()) return;
  event_loop_.refresh_clock();
  settle();
  if (open() && loop_.draining) drain();
}

void Connection::drain() {
  const auto self = shared();
  guarded([this] {
    Turn turn = Turn::more;
    for (int i = 0; i < turns_per_drain && turn == Turn::more && life_ == Life::open && may_read(); ++i)
      turn = read_turn();
    if (loop_.now >= event_loop_.streams_end) session_->end_streams();
    const bool between_messages = turn == Turn::blocked && life_ == Life::open && session_->idle();
    const bool asked_lately = loop_.now - session_->last_answer() < EventLoop::drain_linger;
    if (between_messages && quiescent() && !asked_lately) finish();
    settle();
  });
  arm(self);
}

void Connection::on_timeout(Timeout timeout) {
  const auto self = shared();
  if (timeout == Timeout::quiet) {
    clocks_.end_silence();
    guarded([this] {
      if (session_->on_quiet()) {
        clocks_.await_silence();
      } else {
        settle();
      }
    });
    arm(self);
    return;
  }
  const Session::Expects expects = session_->expects();
  if (timeout == Timeout::body && !clocks_.body_is_slow(expects)) return;
  if (timeout == Timeout::idle && session_->may_be_silent() && out_.empty()) {
    clocks_.note_progress();
    return;
  }
  guarded([&] {
    if (timeout == Timeout::idle) log(LogLevel::warning, "closed: no progress for idle_timeout" + progress());
    if (timeout == Timeout::head) {
      log(LogLevel::warning, "closed: a head was not complete within header_timeout" + session_->unfinished_head());
    }
    if (timeout == Timeout::body) log(LogLevel::warning, "closed: " + clocks_.slow_body(expects) + progress());
  });
  close();
}

Connection::Turn Connection::read_turn() {
  const Turn turn = receive();
  if (!open()) return Turn::closed;
  if (turn != Turn::blocked) clocks_.note_progress();
  return turn;
}

// What the socket has: into the block of a long body, otherwise into the loop's.
Connection::Turn Connection::receive() {
  for (int i = 0; i < blocks_per_turn; ++i) {
    std::span<char> block = session_->prepare();
    const bool direct = !block.empty();
    if (!direct) {
      if (i > 0 || life_ != Life::open) return Turn::more;
      block = {loop_.input.get(), LoopResources::input_size};
    }
    const ssize_t count = bytes_->read(block.data(), block.size());
    if (count < 0) return would_block(errno) ? Turn::blocked : lost(errno);
    if (count == 0) {
      session_->end();
      return Turn::more;
    }
    const auto size = static_cast<std::size_t>(count);
    if (!direct) {
      session_->receive({block.data(), size});
      former_.reset();
      return Turn::more;
    }
    session_->commit(size);
    clocks_.note_progress();
    if (!may_read() || event_loop_.turn_is_over()) return Turn::more;
  }
  return Turn::more;
}

// The sender of something refused: read on, or the reset that follows a close with unread bytes would destroy the
// answer before it is read.
Connection::Turn Connection::discard() {
  const ssize_t count = bytes_->read(loop_.file_block(), LoopResources::file_block_size);
  if (count < 0 && would_block(errno)) return Turn::blocked;
  discarded_ += count > 0 ? static_cast<std::uint64_t>(count) : 0;
  clocks_.note_progress();
  if (count > 0 && discarded_ < options().refusal_bytes) return Turn::more;
  if (count == 0 && !quiescent()) {  // it sends no more, and may still read
    finish();
    return Turn::more;
  }
  close();
  return Turn::closed;
}

bool Connection::turn_is_over() {
  if (!event_loop_.turn_is_over()) return false;
  if (!std::exchange(yielded_, true)) event_loop_.yield(shared());
  return true;
}

void Connection::resume() {
  yielded_ = false;
  end_turn();
}

void Connection::host(std::unique_ptr<Session> next) {
  former_ = std::exchange(session_, std::move(next));
  clocks_.unwatch();
}

void Connection::on_deadline(const std::string& id) {
  const auto self = shared();
  guarded([&] {
    session_->expire(std::string(id));
    settle();
  });
  arm(self);
}

void Connection::on_own_thread(const std::function<void()>& work) {
  if (!open()) return;
  const auto self = shared();
  event_loop_.refresh_clock();
  guarded([&] {
    try {
      work();
    } catch (const CallError& error) {
      session_->refuse(static_cast<std::int64_t>(error.code()), error.what(), error.data());
    } catch (const std::exception& error) {  // an answer that has no text
      session_->refuse(static_cast<std::int64_t>(ErrorCode::internal_error), error.what(), {});
    }
    if (!event_loop_.gathering() || touched_) return;
    event_loop_.touched(self);
    touched_ = true;
  });
  if (event_loop_.gathering()) return;
  end_turn();
  event_loop_.end_turn();
}

void Connection::end_turn() {
  touched_ = false;
  if (!open()) return;
  guarded([this] {
    settle();
    if (open() && loop_.draining) drain();
  });
  arm(shared());
}

// Ends every turn: sends, then continues with what was received before a pause that is over.
void Connection::settle() {
  flush();
  while (session_->stopped() && may_read()) {
    session_->go_on();
    flush();
  }
  if (accounted_ > 0 || !out_.empty() || !session_->idle()) account();
  if (queues_work_) hold_work();
}

// The requests that handlers have are counted already.
void Connection::account() {
  session_->note_unsent();
  const std::uint64_t bytes = open() ? out_.memory() + session_->memory() : 0;
  if (bytes == accounted_) return;
  state().memory->add(bytes - accounted_);  // modulo 2^64
  accounted_ = bytes;
}

// What this connection has queued for other threads starts when there is room for its results.
void Connection::hold_work() {
  const bool held = out_.has_file() || out_.memory() > (work_held_ ? low_water : high_water);
  if (held == work_held_) return;
  work_held_ = held;
  state().hold_work(id_, held);
}

bool Connection::may_give_way() const {
  if (!quiescent() || waiting_ || life_ == Life::leaving) return false;
  return clocks_.silence() >= (session_->idle() ? silent_for : silent_inside_for);
}

void Connection::give_way() {
  const auto self = shared();
  guarded([this] {
    log(LogLevel::warning, "closed for a new connection: this one was silent the longest, max_connections is " +
                               std::to_string(options().max_connections) + progress());
  });
  close();
}

void Connection::begin_to_leave() {
  session_->abandon();
  if (life_ == Life::open) life_ = Life::leaving;
  clocks_.begin_to_leave();
}

Connection::Turn Connection::lost(int errno_value) {
  if (!session_->idle() || !out_.empty()) {
    log(session_->may_be_left() ? LogLevel::info : LogLevel::warning,
        "the peer went away (" + std::generic_category().message(errno_value) + ")" + progress());
  }
  close();
  return Turn::closed;
}

void Connection::flush() {
  if (!open()) return;
  if (!out_.empty()) {
    const std::size_t before = out_.memory();
    const bool files = out_.has_file();
    switch (out_.send_to(*bytes_)) {
      case SendQueue::Result::sent: clocks_.note_progress(); break;
      case SendQueue::Result::lost: lost(errno); return;
      case SendQueue::Result::shrunk:  // a part went as the whole: the peer has to learn that it is none
        log(LogLevel::error,
            std::string("\"").append(printable(out_.file_name())).append("\" became shorter while it was sent"));
        close();
        return;
      case SendQueue::Result::more:
      case SendQueue::Result::blocked:
        if (out_.memory() < before || files) clocks_.note_progress();
        break;
    }
    if (out_.memory() < low_water) session_->on_sent();
    if (!out_.empty()) return;
  }
  if (life_ == Life::open || session_->busy()) return;  // answers come first
  if (life_ == Life::leaving) {
    bytes_->end_writing();
  } else {
    close();
  }
}

void Connection::close() noexcept {
  if (!open()) return;
  const auto self = weak_from_this().lock();  // the last other one may go with the calls
  life_ = Life::closed;
  clocks_.close();
  out_.clear();
  paused_.reset();
  session_->on_closed();
  account();
  if (queues_work_) state().drop_work(id_);
  asio::error_code ignored;
  socket_.close(ignored);
  place_.release();
  event_loop_.connection_closed();
}

// How far a message got, for log lines.
std::string Connection::progress() const {
  if (!out_.has_file()) return session_->progress();
  return std::string(", ")
      .append(std::to_string(out_.file_left()))
      .append(" bytes before the end of \"")
      .append(printable(out_.file_name()))
      .append("\"");
}

}  // namespace framecall
