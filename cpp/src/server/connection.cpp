#include "server/connection.hpp"

#include <sys/socket.h>
#include <asio/post.hpp>

#include <algorithm>
#include <cerrno>

#include "framecall/detail/json_text.hpp"
#include "server/sessions/dialect_session.hpp"
#include "server/sessions/protocol_detection.hpp"

namespace framecall {
namespace {

constexpr std::size_t direct_from = EventLoop::input_size;  // bodies of this size go past the decoder
constexpr int blocks_per_turn = 4;                          // then the loop's other connections have their turn
constexpr std::size_t hashed_block_size = 256 << 10;  // of a file whose SHA-256 is computed: as long as a MiB without
constexpr int length_rounds = 20;  // of 50 ms, until what may be a length is a line: "q" is that of a small header, too
constexpr int turns_per_drain = 64;
constexpr int messages_per_look = 8;                // at the clock
constexpr std::int64_t silent_for = 1000;           // milliseconds, before a connection may give way to a new one
constexpr std::int64_t silent_inside_for = 30'000;  // the same for one that is inside of a message
constexpr std::size_t high_water = 1 << 20;         // unsent bytes above which a peer is not read any more
constexpr std::size_t low_water = 256 << 10;        // and below which it is again

CallError login_required() { return CallError(ErrorCode::unauthenticated, "the login comes first"); }

// Of the address that has a share of the threads: of none for Unix sockets, and for this machine's own address, from which
// a proxy brings the connections of many peers.
std::string shared_network(std::string_view peer) {
  if (peer.rfind(':') == std::string_view::npos) return {};
  std::string network = peer_network(peer);
  return network == "127.0.0.1" || network == "[::1]" ? std::string() : network;
}

bool would_block(int errno_value) {
  return errno_value == EAGAIN || errno_value == EWOULDBLOCK || errno_value == EINTR;
}

}  // namespace

Connection::Connection(EventLoop& loop, asio::posix::stream_descriptor stream, ConnectionPlace place, std::string peer,
                       Protocols protocols)
    : loop_(loop),
      stream_(std::move(stream)),
      place_(std::move(place)),
      peer_(std::move(peer)),
      protocols_(protocols),
      mode_(!protocols.echo && !protocols.http                       ? Mode::frames
            : protocols.echo && !protocols.frames && !protocols.http ? Mode::echo
                                                                     : Mode::undecided),
      decoder_(loop.state.options.max_header, loop.state.options.dialect),
      id_(loop.state.next_connection++),
      network_(shared_network(peer_)),
      admitted_(loop.state.options.dialect.login == Dialect::Login::none) {
  loop_.connection_opened();
}

Connection::~Connection() { close(); }

void Connection::start() {
  loop_.refresh_clock();
  touch();
  if (loop_.draining) {
    drain();
  } else {
    arm(shared_from_this());
  }
  loop_.end_turn();
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
  if (!open_) return;
  try {
    log(LogLevel::error, std::string("closed: ") + why);
  } catch (...) {
    // There is no memory for the line, either.
  }
  close();
}

void Connection::start_refused() {
  const auto self = shared_from_this();
  loop_.refresh_clock();
  touch();
  guarded([this] {
    const std::uint64_t limit = loop_.state.options.max_connections;
    refuse(ErrorCode::resource_exhausted, "too many connections, max_connections is " + std::to_string(limit),
           limit_data(limit, limit + 1));
    settle();
  });
  arm(self);
  loop_.end_turn();
}

// `self` moves from handler to handler: no reference count is touched for the one wait that is usually out.
void Connection::arm(std::shared_ptr<Connection> self) noexcept {
  Connection& connection = *self;
  if (!connection.open_) return;
  if (!connection.out_.empty() && !connection.writing_) {
    connection.writing_ = true;
    if (!wait({self, asio::posix::stream_descriptor::wait_write})) return;
  }
  if (!connection.may_read()) {
    // These clocks run only while the peer may send.
    connection.head_.unlink();
    connection.body_.unlink();
  } else if (!connection.reading_) {
    if (!connection.decoder_.idle()) {
      connection.watch_head();
      connection.watch_body();
    }
    connection.reading_ = true;
    wait({std::move(self), asio::posix::stream_descriptor::wait_read});
  }
}

// False: there is no memory for the wait, and the connection is closed.
bool Connection::wait(Wait&& wait) noexcept {
  asio::posix::stream_descriptor& stream = wait.self->stream_;
  const auto direction = wait.direction;
  try {
    stream.async_wait(direction, std::move(wait));
    return true;
  } catch (const std::exception& error) {
    if (wait.self) wait.self->give_up(error.what());  // Asio had not moved it yet
    return false;
  }
}

void Connection::woken(std::shared_ptr<Connection>& self, asio::posix::stream_descriptor::wait_type direction,
                       asio::error_code error) {
  Connection& connection = *self;
  EventLoop& loop = connection.loop_;
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
  if (!open_ || !may_read()) return;
  loop_.refresh_clock();
  if (loop_.draining) {
    drain();
  } else {
    read_turn();
    settle();
  }
}

void Connection::on_writable() {
  if (!open_) return;
  loop_.refresh_clock();
  settle();
  if (open_ && loop_.draining) drain();
}

void Connection::drain() {
  const auto self = shared_from_this();
  guarded([this] {
    Turn turn = may_read() ? Turn::more : Turn::paused;
    for (int i = 0; i < turns_per_drain && turn == Turn::more; ++i) turn = read_turn();
    const bool between_messages = turn == Turn::blocked && !leaving_now_ && !ended_ && decoder_.idle();
    if (loop_.now >= loop_.streams_end) calls_.end_streams();
    const bool asked_lately = loop_.now - calls_.last_answer() < EventLoop::drain_linger;
    if (between_messages && quiescent() && !asked_lately) finish();
    settle();
  });
  arm(self);
}

void Connection::on_timeout(Timeout timeout) {
  const auto self = shared_from_this();
  if (timeout == Timeout::quiet) {
    quiet_.unlink();
    guarded([this] {
      if (mode_ == Mode::undecided) {
        decide(true);
      } else if (decoder_.in_object()) {
        return;  // read to its closing brace; header_timeout ends what has none
      } else if (decoder_.in_length() && ++quiet_rounds_ < length_rounds) {
        loop_.quiet.touch(quiet_, loop_.now);
        return;
      } else if (decoder_.end_text()) {
        stopped_ = true;  // there is an event to take, as soon as it may be taken
      }
      settle();
    });
    arm(self);
    return;
  }
  if (timeout == Timeout::body && (decoder_.body_left() == 0 || body_rate() >= options().min_body_rate)) {
    body_.unlink();
    watch_body();  // what is left of it, if anything
    return;
  }
  if (timeout == Timeout::idle && mode_ == Mode::echo && out_.empty()) {  // a person may be typing
    touch();
    return;
  }
  guarded([&] {
    if (timeout == Timeout::idle) log(LogLevel::warning, "closed: no progress for idle_timeout" + progress());
    if (timeout == Timeout::head) {
      log(LogLevel::warning, "closed: a head was not complete within header_timeout" + decoder_.unfinished());
    }
    if (timeout == Timeout::body) log(LogLevel::warning, slow_body());
  });
  close();
}

Connection::Turn Connection::read_turn() {
  const Turn turn = leaving_now_ ? discard() : decoder_.body_left() >= direct_from ? receive_body() : receive();
  if (!open_) return Turn::closed;
  if (turn != Turn::blocked) touch();
  return turn;
}

Connection::Turn Connection::receive() {
  const ssize_t count = ::recv(stream_.native_handle(), loop_.input.get(), EventLoop::input_size, MSG_DONTWAIT);
  if (count < 0) return would_block(errno) ? Turn::blocked : lost(errno);
  const std::string_view bytes(loop_.input.get(), static_cast<std::size_t>(count));
  return mode_ == Mode::undecided ? receive_first(bytes) : take(bytes);
}

Connection::Turn Connection::receive_first(std::string_view bytes) {
  if (bytes.empty() && !first_) return at_end();
  add_to_first(bytes);
  if (!bytes.empty()) return decide(false);
  decide(true);
  return open_ && mode_ != Mode::undecided ? take({}) : at_end();
}

Connection::Turn Connection::decide(bool quiet) {
  const FirstBytes first{protocols_.frames, protocols_.http};
  const ServerOptions& options = loop_.state.options;
  switch (first.judge(first_->view(), quiet, options.dialect, options.max_header)) {
    case FirstBytes::Verdict::undecided:
      if (!head_.linked()) loop_.heads.touch(head_, loop_.now);
      loop_.quiet.touch(quiet_, loop_.now);
      return Turn::more;
    case FirstBytes::Verdict::tls:
      log(LogLevel::warning, "closed: a TLS handshake, which is not spoken here");
      close();
      return Turn::closed;
    case FirstBytes::Verdict::http: mode_ = Mode::http; break;
    case FirstBytes::Verdict::frame: mode_ = Mode::frames; break;
    case FirstBytes::Verdict::text:
      if (!protocols_.echo && !protocols_.frames) {
        log(LogLevel::warning, "closed: not HTTP: " + printable(first_->view().substr(0, 16)));
        close();
        return Turn::closed;
      }
      mode_ = protocols_.echo ? Mode::echo : Mode::frames;
      break;
  }
  quiet_.unlink();
  if (mode_ != Mode::http) head_.unlink();
  const std::unique_ptr<Buffer> bytes = std::move(first_);
  return take(bytes->view());
}

void Connection::add_to_first(std::string_view bytes) {
  if (!first_) first_ = std::make_unique<Buffer>();
  first_->append(bytes);
}

// What the peer said, in the protocol that it speaks; nothing: it has said all.
Connection::Turn Connection::take(std::string_view bytes) {
  switch (mode_) {
    case Mode::frames:
      if (bytes.empty()) {
        decoder_.close();
      } else {
        decoder_.feed(bytes);
      }
      return process();
    case Mode::http: {
      if (bytes.empty()) return at_end();
      add_to_first(bytes);
      const std::string reply = http_answer(first_->view(), !loop_.draining);
      if (reply.empty()) return Turn::more;
      head_.unlink();
      loop_.leaving.touch(leaving_, loop_.now);
      leaving_now_ = true;
      out_.append(reply);
      return Turn::more;
    }
    default: break;
  }
  if (bytes.empty()) return at_end();
  if (!admitted_) {
    refuse(login_required());
    return Turn::more;
  }
  Buffer upper;
  upper_case(bytes.data(), bytes.size(), upper.prepare(bytes.size()));
  upper.commit(bytes.size());
  out_.append(std::move(upper));
  return may_read() ? Turn::more : Turn::paused;
}

Connection::Turn Connection::at_end() {
  ended_ = true;  // closed at the end of the turn, when everything is sent
  return Turn::paused;
}

void Connection::finish() { at_end(); }

// A large body, past the decoder: as much as the socket has, to where it stays. A call's block grows with what has come,
// not with what was announced.
Connection::Turn Connection::receive_body() {
  const bool hashed = !in_conversation_ && calls_.receives_file();
  for (int i = 0; i < (hashed ? 1 : blocks_per_turn) && decoder_.body_left() >= direct_from; ++i) {
    if (!may_read()) return Turn::paused;
    const std::size_t own_room = in_conversation_ ? 0 : calls_.room();
    const bool own_block = own_room > 0;
    const std::size_t room = own_block ? std::max(own_room, direct_from)
                             : hashed  ? hashed_block_size
                                       : EventLoop::file_block_size;
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(decoder_.body_left(), room));
    try {
      char* const block = own_block ? calls_.prepare(size) : loop_.file_block();
      if (block == nullptr) return Turn::more;
      const ssize_t count = ::recv(stream_.native_handle(), block, size, MSG_DONTWAIT);
      if (count < 0) return would_block(errno) ? Turn::blocked : lost(errno);
      if (count == 0) {
        decoder_.close();
        return process();
      }
      const std::string_view bytes(block, static_cast<std::size_t>(count));
      decoder_.take_body(bytes.size());
      touch();
      if (own_block) {
        calls_.commit(bytes.size());
      } else {
        take_body(bytes);
      }
    } catch (const CallError& error) {
      refuse(error);
      return Turn::more;
    } catch (const std::bad_alloc&) {
      refuse(ErrorCode::resource_exhausted, "out of memory");
      return Turn::more;
    }
  }
  return decoder_.body_left() == 0 ? process() : Turn::more;
}

void Connection::take_body(std::string_view bytes) {
  if (in_conversation_) {
    conversation_->on_body(bytes);
  } else {
    calls_.on_body(bytes);
  }
}

// The sender of something refused: read on, or the reset that follows a close with unread bytes would destroy the
// answer before it is read.
Connection::Turn Connection::discard() {
  const ssize_t count = ::recv(stream_.native_handle(), loop_.file_block(), EventLoop::file_block_size, MSG_DONTWAIT);
  if (count < 0 && would_block(errno)) return Turn::blocked;
  discarded_ += count > 0 ? static_cast<std::uint64_t>(count) : 0;
  if (count > 0 && discarded_ < loop_.state.options.refusal_bytes) return Turn::more;
  if (count == 0 && !quiescent()) return at_end();  // it has said all, and may still read
  close();
  return Turn::closed;
}

// Every event of what was fed. What a file or the format refuses ends here, as an answer.
Connection::Turn Connection::process() {
  stopped_ = false;
  try {
    while (open_ && !leaving_now_) {  // an answer may find that the peer is gone
      Turn turn = Turn::more;
      switch (decoder_.next_event(loop_.header)) {
        case Decoder::Event::need_data: watch_head(); return Turn::more;
        case Decoder::Event::header_received: begin_message(); break;
        case Decoder::Event::body_received: take_body(decoder_.body()); break;
        case Decoder::Event::end_of_message:
          if (in_conversation_) {
            conversation_->on_end(decoder_.offset());
          } else {
            calls_.on_end(loop_.header);
          }
          turn = next_turn();
          break;
        case Decoder::Event::text_received:
          unwatch();
          conversation().on_text(decoder_.body());
          turn = next_turn();
          break;
        case Decoder::Event::zero_received:
          unwatch();
          conversation().on_zero();
          turn = next_turn();
          break;
        case Decoder::Event::connection_closed: return at_end();
      }
      if (turn != Turn::more) return turn;
    }
    return open_ ? Turn::more : Turn::closed;
  } catch (const ProtocolError& error) {
    const std::string surplus = conversation_ ? conversation_->surplus(decoder_.offset()) : std::string();
    if (error.code() == ErrorCode::data_loss) {
      log(level_of_loss(), "the peer went away" + progress() + surplus);
      close();
      return Turn::closed;
    }
    refuse(error.code(), error.what() + surplus);
  } catch (const CallError& error) {
    refuse(error);
  } catch (const std::bad_alloc&) {
    refuse(ErrorCode::resource_exhausted, "out of memory");
  } catch (const std::exception& error) {
    refuse(ErrorCode::internal_error, error.what());
  }
  return Turn::more;
}

// Whether to go on with what follows in the same bytes.
Connection::Turn Connection::next_turn() {
  if (!open_) return Turn::closed;
  const bool turn_is_over = ++messages_ % messages_per_look == 0 && loop_.turn_is_over();
  if (may_read() && !turn_is_over) return Turn::more;
  decoder_.retain();
  stopped_ = true;
  if (turn_is_over && !yielded_) {
    loop_.yield(shared_from_this());
    yielded_ = true;
  }
  return Turn::paused;
}

void Connection::resume() {
  yielded_ = false;
  end_turn();
}

void Connection::watch_head() {
  quiet_rounds_ = 0;
  if ((decoder_.in_head() || decoder_.in_object()) && !head_.linked()) loop_.heads.touch(head_, loop_.now);
  if (decoder_.in_text()) loop_.quiet.touch(quiet_, loop_.now);
}

// Of a call: it is kept in memory, or keeps the name of a file from others. An upload of a script may take its time.
void Connection::watch_body() {
  if (in_conversation_ || body_.linked() || decoder_.body_left() == 0) return;
  body_mark_ = decoder_.offset();
  loop_.bodies.touch(body_, loop_.now);
}

// Bytes a second since watch_body().
std::uint64_t Connection::body_rate() const {
  const auto window = static_cast<std::uint64_t>(std::max<std::int64_t>(options().body_window.count(), 1));
  return (decoder_.offset() - body_mark_) * 1000 / window;
}

std::string Connection::slow_body() const {
  return "closed: " + std::to_string(body_rate()) + " bytes a second of a body over " +
         std::to_string(options().body_window.count()) + " ms, min_body_rate is " +
         std::to_string(options().min_body_rate) + progress();
}

void Connection::unwatch() {
  head_.unlink();
  quiet_.unlink();
  body_.unlink();
}

void Connection::begin_message() {
  unwatch();
  const Header& header = loop_.header;
  in_conversation_ = !is_call(header, loop_.state.options.dialect);
  if (in_conversation_) {
    conversation().on_header(header);
    return;
  }
  if (header.has(Key::method)) ++loop_.state.calls;
  admitted_ ? calls_.on_header(header, decoder_) : calls_.refuse(header, login_required());
}

Conversation& Connection::conversation() {
  if (!conversation_) conversation_ = std::make_unique<Conversation>(*this);
  return *conversation_;
}

Deadlines::iterator Connection::add_deadline(std::uint64_t milliseconds, const std::string& id) {
  constexpr std::uint64_t century = std::uint64_t{100} * 365 * 24 * 3600 * 1000;
  const auto due = loop_.now + static_cast<std::int64_t>(std::min(milliseconds, century));
  return loop_.deadlines.emplace(due, std::pair(this, id));
}

void Connection::on_deadline(const std::string& id) {
  const auto self = shared_from_this();
  guarded([&] {
    calls_.expire(std::string(id));
    settle();
  });
  arm(self);
}

void Connection::on_own_thread(const std::function<void()>& work) {
  if (!open_) return;
  const auto self = shared_from_this();
  loop_.refresh_clock();
  guarded([&] {
    try {
      work();
    } catch (const CallError& error) {
      refuse(error);
    } catch (const std::exception& error) {  // an answer that has no text
      refuse(ErrorCode::internal_error, error.what());
    }
    if (!loop_.gathering() || touched_) return;
    loop_.touched(self);
    touched_ = true;
  });
  if (loop_.gathering()) return;
  end_turn();
  loop_.end_turn();
}

void Connection::end_turn() {
  touched_ = false;
  if (!open_) return;
  guarded([this] {
    settle();
    if (open_ && loop_.draining) drain();
  });
  arm(shared_from_this());
}

void Connection::wait_for(std::function<void()> work, std::function<void()> then, FairQueue::OnClose on_close) {
  // Made before the work is done, so that its end cannot fail to be told.
  struct Waiting {
    std::shared_ptr<Connection> self;
    std::function<void()> work, then;
    std::optional<CallError> failure;
  };
  const auto waiting = std::make_shared<Waiting>(Waiting{shared_from_this(), std::move(work), std::move(then), {}});
  Work ended([waiting] {
    Connection& connection = *waiting->self;
    connection.waiting_ = false;
    connection.on_own_thread([&] {
      connection.touch();
      waiting->failure ? connection.refuse(*waiting->failure) : waiting->then();
    });
  });
  auto task = [waiting, ended = std::move(ended), address = loop_address()]() mutable {
    try {
      waiting->work();
    } catch (const CallError& error) {
      waiting->failure.emplace(error);
    } catch (const std::exception& error) {
      waiting->failure.emplace(ErrorCode::internal_error, error.what());
    }
    address->post(std::move(ended));
  };
  loop_.state.workers->post(work_origin(), Work(std::move(task)), on_close);
  waiting_ = true;
}

Connection::Resume Connection::pause() {
  waiting_ = true;
  paused_ = shared_from_this();
  return [address = loop_address(), connection = weak_from_this()](std::function<void()> then) {
    address->post(Work([connection, then = std::move(then)] {
      const auto self = connection.lock();
      if (!self || !self->open_) return;
      self->paused_.reset();
      self->waiting_ = false;
      self->on_own_thread([&] {
        self->touch();
        then();
      });
    }));
  };
}

// The end of every turn: sends, and goes on with what was received before a pause that is over.
void Connection::settle() {
  flush();
  while (open_ && stopped_ && !leaving_now_ && may_read()) {
    process();
    flush();
  }
  if (accounted_ > 0 || !out_.empty() || calls_.receiving() || !decoder_.idle()) account();
  if (queues_work_) hold_work();
}

// The requests that handlers have are counted already.
void Connection::account() {
  calls_.note_unsent();
  const std::uint64_t bytes = open_ ? out_.memory() + calls_.memory() - calls_.under_way() + decoder_.memory() : 0;
  if (bytes == accounted_) return;
  loop_.state.memory->add(bytes - accounted_);  // modulo 2^64
  accounted_ = bytes;
}

// What this connection has queued for other threads starts when there is room for its results.
void Connection::hold_work() {
  const bool held = out_.has_file() || out_.memory() > (work_held_ ? low_water : high_water);
  if (held == work_held_) return;
  work_held_ = held;
  loop_.state.hold_work(id_, held);
}

bool Connection::may_give_way() const {
  if (!quiescent() || waiting_ || leaving_now_) return false;
  const std::int64_t silent = loop_.now - idle_.since(), needed = decoder_.idle() ? silent_for : silent_inside_for;
  return silent >= needed;
}

void Connection::give_way() {
  const auto self = shared_from_this();
  guarded([this] {
    log(LogLevel::warning, "closed for a new connection: this one was silent the longest, max_connections is " +
                               std::to_string(options().max_connections) + progress());
  });
  close();
}

bool Connection::may_read() {
  held_ = out_.memory() > (held_ ? low_water : high_water);
  return !held_ && !waiting_ && !yielded_ && !out_.has_file() && !ended_ &&
         (calls_.in_flight() == 0 || may_start_calls());
}

bool Connection::may_start_calls() const {
  return !calls_.held_back() && calls_.filling() < options().max_in_flight && !crowded();
}

// Handlers have so much of this connection that nothing more is taken, until one is done. A body alone always has room.
bool Connection::crowded() const {
  return calls_.under_way() > 0 && calls_.memory() + out_.memory() >= loop_.state.options.max_connection_memory;
}

void Connection::refuse(ErrorCode code, const std::string& message, const std::string& data) {
  const Answer& answer = loop_.state.options.dialect.refused;
  if (!answer) {
    end_with("null", {static_cast<std::int64_t>(code), message, data});
    return;
  }
  begin_to_leave(message);
  AnswerValues values;
  values.message = message;
  std::string text = fill_in(answer, values);
  if (answer.kind != Answer::Kind::frame) {
    out_.append(text);
    return;
  }
  for (std::size_t size = message.size() / 2; text.size() > longest_header() && size > 0; size /= 2) {
    const std::string shorter = message_text(message, size);
    values.message = shorter;
    text = fill_in(answer, values);
  }
  if (text.size() > longest_header()) {  // a dialect that was made without its file's checks
    append_error("null", {static_cast<std::int64_t>(code), message, data});
    return;
  }
  append_frame(text);
}

void Connection::end_with(std::string_view id, const Failure& failure) {
  begin_to_leave(failure.message);
  append_error(id, failure);
}

void Connection::append_error(std::string_view id, const Failure& failure) {
  loop_.text.clear();
  const bool closing = loop_.draining && !leaving_now_;
  write_error_within(longest_header(), loop_.text, id, failure.code, failure.message, failure.data, closing);
  append_frame(loop_.text);
}

void Connection::begin_to_leave(const std::string& why) {
  calls_.abandon();
  if (conversation_) conversation_->abandon();
  unwatch();
  leaving_now_ = true;
  log(LogLevel::warning, "refused: " + why);
  loop_.leaving.touch(leaving_, loop_.now);
}

// A caller may break off a stream.
LogLevel Connection::level_of_loss() const {
  return calls_.has_streamed() && !conversation_ ? LogLevel::info : LogLevel::warning;
}

Connection::Turn Connection::lost(int errno_value) {
  if (!decoder_.idle() || !out_.empty()) {
    log(level_of_loss(), "the peer went away (" + std::generic_category().message(errno_value) + ")" + progress());
  }
  close();
  return Turn::closed;
}

void Connection::flush() {
  if (!open_) return;
  if (!out_.empty()) {
    const std::size_t before = out_.memory();
    const bool files = out_.has_file();
    switch (out_.send_to(stream_.native_handle(), loop_.file_block(), EventLoop::file_block_size)) {
      case OutQueue::Result::sent: touch(); break;
      case OutQueue::Result::lost: lost(errno); return;
      case OutQueue::Result::shrunk:  // a part went as the whole: the peer has to learn that it is none
        log(LogLevel::error,
            std::string("\"").append(printable(out_.file_name())).append("\" became shorter while it was sent"));
        close();
        return;
      case OutQueue::Result::more:
      case OutQueue::Result::blocked:
        if (out_.memory() < before || files) touch();
        break;
    }
    if (out_.memory() < low_water) calls_.release_writers();
    calls_.next_file_work();
    if (!out_.empty()) return;
  }
  if (calls_.in_flight() > 0) return;  // their answers come first
  if (leaving_now_) ::shutdown(stream_.native_handle(), SHUT_WR);
  if (ended_) close();
}

void Connection::close() noexcept {
  if (!open_) return;
  const auto self = weak_from_this().lock();  // the last other one may go with the calls
  open_ = false;
  idle_.unlink();
  head_.unlink();
  leaving_.unlink();
  quiet_.unlink();
  body_.unlink();
  out_.clear();
  paused_.reset();
  calls_.cancel_all();
  if (conversation_) conversation_->abandon();
  account();
  if (queues_work_) loop_.state.drop_work(id_);
  asio::error_code ignored;
  stream_.close(ignored);
  place_.release();
  loop_.connection_closed();
}

void Connection::log(LogLevel level, const std::string& text) { loop_.state.log(level, peer_ + ": " + text); }

// How far a message got, for log lines.
std::string Connection::progress() const {
  if (out_.has_file()) {
    return std::string(", ")
        .append(std::to_string(out_.file_left()))
        .append(" bytes before the end of \"")
        .append(printable(out_.file_name()))
        .append("\"");
  }
  std::string upload = conversation_ ? conversation_->progress(decoder_.body_left()) : std::string();
  if (!upload.empty()) return upload;
  return decoder_.idle() ? "" : ", inside a message";
}

}  // namespace framecall
