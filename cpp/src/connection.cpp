#include "connection.hpp"

#include <sys/socket.h>
#include <asio/post.hpp>

#include <algorithm>
#include <cerrno>

#include "framecall/json_text.hpp"

namespace framecall {
namespace {

constexpr std::size_t direct_from = EventLoop::input_size;  // bodies of this size go past the decoder
constexpr int blocks_per_turn = 4;                          // then the loop's other connections have their turn
constexpr int turns_per_drain = 64;
constexpr std::size_t high_water = 1 << 20;   // unsent bytes above which a peer is not read any more
constexpr std::size_t low_water = 256 << 10;  // and below which it is again

// An error reply as a whole frame. `id` is JSON text, `data` too: an object, or empty.
std::string error_frame(std::string_view id, ErrorCode code, std::string_view message, std::string_view data) {
  std::string header = "{\"jsonrpc\": \"2.0\", \"id\": ";
  header += id;
  header += ", \"error\": {\"code\": ";
  write_integer(header, static_cast<std::int64_t>(code));
  header += ", \"message\": ";
  write_string(header, message);
  const std::string_view status = status_name(code);
  if (!status.empty() || !data.empty()) {
    header += ", \"data\": ";
    if (status.empty()) {
      header += data;
    } else {
      header += "{\"status\": \"";
      header += status;
      header += '"';
      if (!data.empty()) (header += ", ") += data.substr(1, data.size() - 2);
      header += '}';
    }
  }
  header += "}}";
  return encode_head(header);
}

std::string limit_data(std::uint64_t limit, std::uint64_t got) {
  return "{\"limit\": " + std::to_string(limit) + ", \"got\": " + std::to_string(got) + "}";
}

bool would_block(int errno_value) {
  return errno_value == EAGAIN || errno_value == EWOULDBLOCK || errno_value == EINTR;
}

}  // namespace

Connection::Connection(EventLoop& loop, asio::posix::stream_descriptor stream, std::string peer)
    : loop_(loop),
      stream_(std::move(stream)),
      peer_(std::move(peer)),
      decoder_(loop.state.options.max_header, loop.state.options.dialect) {
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
  loop_.arm_timer();
}

void Connection::start_refused() {
  loop_.refresh_clock();
  touch();
  const std::uint64_t limit = loop_.state.options.max_connections;
  refuse(ErrorCode::resource_exhausted, "too many connections, max_connections is " + std::to_string(limit),
         limit_data(limit, limit + 1));
  arm(shared_from_this());
  loop_.arm_timer();
}

// `self` moves from handler to handler: no reference count is touched for the one wait that is usually out.
void Connection::arm(std::shared_ptr<Connection> self) {
  Connection& connection = *self;
  if (!connection.open_) return;
  if (!connection.unsent_.empty() && !connection.writing_) {
    connection.writing_ = true;
    connection.stream_.async_wait(asio::posix::stream_descriptor::wait_write, [self](asio::error_code error) mutable {
      self->writing_ = false;
      if (error) return;
      self->on_writable();
      arm(std::move(self));
    });
  }
  if (!connection.reading_ && connection.may_read()) {
    connection.reading_ = true;
    connection.stream_.async_wait(asio::posix::stream_descriptor::wait_read,
                                  [self = std::move(self)](asio::error_code error) mutable {
                                    self->reading_ = false;
                                    if (error) return;
                                    self->on_readable();
                                    arm(std::move(self));
                                  });
  }
}

void Connection::on_readable() {
  if (!open_ || !may_read()) return;
  loop_.refresh_clock();
  if (loop_.draining) {
    drain();
  } else {
    read_turn();
  }
  loop_.arm_timer();
}

void Connection::on_writable() {
  if (!open_) return;
  loop_.refresh_clock();
  flush();
  if (open_ && held_ && may_read()) resume();
  loop_.arm_timer();
}

void Connection::drain() {
  const auto self = shared_from_this();
  Turn turn = may_read() ? Turn::more : Turn::paused;
  for (int i = 0; i < turns_per_drain && turn == Turn::more; ++i) turn = read_turn();
  if (turn == Turn::blocked && !refused_ && !ended_ && decoder_.idle()) {
    ended_ = true;
    if (unsent_.empty()) close();
  }
  arm(self);
}

void Connection::on_timeout(Timeout timeout) {
  switch (timeout) {
    case Timeout::head: log(LogLevel::warning, "closed: a head was not complete within header_timeout"); break;
    case Timeout::idle: log(LogLevel::warning, "closed: no progress for idle_timeout" + progress()); break;
    case Timeout::leaving: break;
  }
  close();
}

Connection::Turn Connection::read_turn() {
  const Turn turn = refused_ ? discard() : decoder_.body_left() >= direct_from ? receive_file() : receive();
  if (!open_) return Turn::closed;
  if (turn != Turn::blocked) touch();
  return turn;
}

Connection::Turn Connection::receive() {
  const ssize_t count = ::recv(stream_.native_handle(), loop_.input.get(), EventLoop::input_size, MSG_DONTWAIT);
  if (count < 0) return would_block(errno) ? Turn::blocked : lost(errno);
  if (count == 0) {
    decoder_.close();
  } else {
    decoder_.feed({loop_.input.get(), static_cast<std::size_t>(count)});
  }
  return process();
}

// A large body, past the decoder: as much as the socket has, straight into the file.
Connection::Turn Connection::receive_file() {
  for (int i = 0; i < blocks_per_turn && decoder_.body_left() >= direct_from; ++i) {
    char* const block = loop_.file_block();
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(decoder_.body_left(), EventLoop::file_block_size));
    const ssize_t count = ::recv(stream_.native_handle(), block, size, MSG_DONTWAIT);
    if (count < 0) return would_block(errno) ? Turn::blocked : lost(errno);
    if (count == 0) {
      decoder_.close();
      return process();
    }
    decoder_.take_body(static_cast<std::uint64_t>(count));
    touch();
    if (!upload_) continue;
    try {
      upload_->write({block, static_cast<std::size_t>(count)});
    } catch (const CallError& error) {
      refuse(error);
      return Turn::more;
    }
  }
  return decoder_.body_left() == 0 ? process() : Turn::more;
}

// The sender of something refused: read on, or the reset that follows a close with unread bytes would destroy the
// answer before it is read.
Connection::Turn Connection::discard() {
  const ssize_t count = ::recv(stream_.native_handle(), loop_.file_block(), EventLoop::file_block_size, MSG_DONTWAIT);
  if (count < 0 && would_block(errno)) return Turn::blocked;
  discarded_ += count > 0 ? static_cast<std::uint64_t>(count) : 0;
  if (count > 0 && discarded_ < loop_.state.options.refusal_bytes) return Turn::more;
  if (count == 0 && !unsent_.empty()) {  // it has said all, and may still read
    ended_ = true;
    return Turn::paused;
  }
  close();
  return Turn::closed;
}

// Every event of what was fed. What a file or the format refuses ends here, as an answer.
Connection::Turn Connection::process() {
  try {
    while (open_) {  // an answer may find that the peer is gone
      switch (decoder_.next_event(loop_.header)) {
        case Decoder::Event::need_data: watch_head(); return Turn::more;
        case Decoder::Event::header_received:
          head_.unlink();
          begin_message();
          break;
        case Decoder::Event::body_received:
          if (upload_) upload_->write(decoder_.body());
          break;
        case Decoder::Event::end_of_message: {
          const Turn turn = end_message();
          if (turn != Turn::more) return turn;
          break;
        }
        case Decoder::Event::text_received:
        case Decoder::Event::zero_received: break;
        case Decoder::Event::connection_closed:
          ended_ = true;
          if (unsent_.empty()) close();
          return Turn::paused;
      }
    }
    return Turn::closed;
  } catch (const ProtocolError& error) {
    if (error.code() == ErrorCode::data_loss) {
      log(LogLevel::warning, "the peer went away" + progress());
      close();
      return Turn::closed;
    }
    refuse(error.code(), error.what());
  } catch (const CallError& error) {
    refuse(error);
  } catch (const std::bad_alloc&) {
    refuse(ErrorCode::resource_exhausted, "out of memory");
  }
  return Turn::more;
}

void Connection::watch_head() {
  if (decoder_.in_head() && !head_.linked()) loop_.heads.touch(head_, loop_.now);
}

void Connection::begin_message() {
  const Header& header = loop_.header;
  if (const auto head = upload_head(header, loop_.state.options.dialect)) {
    begin_upload(*head);
    return;
  }
  if (header.has(Key::method) && !header.has(Key::result) && !header.has(Key::error)) {
    answer_method();
    return;
  }
  std::string keys;
  for (const std::string& key : header.keys(8)) keys += (keys.empty() ? "" : ", ") + printable(key, 40);
  throw CallError(ErrorCode::invalid_request, "neither a request nor an upload with a name and a size; its keys: " +
                                                  (keys.empty() ? "none" : keys));
}

void Connection::begin_upload(const UploadHead& head) {
  const ServerOptions& options = loop_.state.options;
  if (!head.name->is_string()) {
    throw CallError(ErrorCode::invalid_params, "the file name is not a string: " + printable(head.name->text, 40));
  }
  std::string scratch;
  const std::string_view name = string_value(*head.name, scratch);
  if (!options.files) throw CallError(ErrorCode::failed_precondition, "this server takes no files");
  check_file_name(name);
  if (head.size > options.max_file) {
    throw CallError(ErrorCode::resource_exhausted,
                    "file \"" + printable(name) + "\" of " + std::to_string(head.size) + " bytes: max_file is " +
                        std::to_string(options.max_file),
                    limit_data(options.max_file, head.size));
  }
  upload_.emplace(options.files->begin(name));
}

// Calls come with the RPC service; until then no method is known. The body is dropped.
void Connection::answer_method() {
  const Header& header = loop_.header;
  const Token* id = header.find(Key::id);
  if (id == nullptr) return;  // a notification is never answered
  if (id->kind != Token::Kind::integer && !id->is_string()) {
    throw CallError(ErrorCode::invalid_request, "the id is neither a string nor an integer");
  }
  std::string scratch, text;
  if (id->is_string()) {
    write_string(text, string_value(*id, scratch));
  } else {
    text = id->text == "-0" ? "0" : id->text;
  }
  const Token& method = *header.find(Key::method);
  if (!method.is_string()) throw CallError(ErrorCode::invalid_request, "the method is not a string");
  const std::string name = printable(string_value(method, scratch));
  send(error_frame(text, ErrorCode::method_not_found, "method \"" + name + "\" not found", {}));
}

// `more`: go on with what follows.
Connection::Turn Connection::end_message() {
  if (upload_) return publish();
  if (may_read()) return Turn::more;
  decoder_.retain();
  return Turn::paused;
}

Connection::Turn Connection::publish() {
  if (loop_.state.options.files->durability() == Durability::none) {
    upload_->publish();
    log_stored(*upload_);
    upload_.reset();
    return Turn::more;
  }
  publishing_ = true;
  decoder_.retain();
  auto upload = std::make_shared<FileStore::Upload>(std::move(*upload_));
  upload_.reset();
  asio::post(*loop_.state.disk, [self = shared_from_this(), upload]() mutable {
    std::optional<CallError> failure;
    try {
      upload->publish();
    } catch (const CallError& error) {
      failure.emplace(error);
    }
    EventLoop& loop = self->loop_;
    asio::post(loop.io, [self = std::move(self), upload = std::move(upload), failure = std::move(failure)]() mutable {
      self->published(upload, std::move(failure));
    });
  });
  return Turn::paused;
}

void Connection::published(const std::shared_ptr<FileStore::Upload>& upload, std::optional<CallError> failure) {
  publishing_ = false;
  if (!open_) return;
  loop_.refresh_clock();
  touch();
  if (failure) {
    refuse(*failure);
  } else {
    log_stored(*upload);
  }
  if (open_) resume();
  loop_.arm_timer();
}

// Goes on after a pause: first with what was received before it.
void Connection::resume() {
  const auto self = shared_from_this();
  if (!refused_ && process() == Turn::more && loop_.draining) drain();
  arm(self);
}

bool Connection::may_read() {
  held_ = unsent_.size() > (held_ ? low_water : high_water);
  return !held_ && !publishing_ && !ended_;
}

void Connection::refuse(ErrorCode code, const std::string& message, const std::string& data) {
  upload_.reset();
  head_.unlink();
  refused_ = true;
  log(LogLevel::warning, "refused: " + message);
  loop_.leaving.touch(leaving_, loop_.now);
  send(error_frame("null", code, message, data));
}

Connection::Turn Connection::lost(int errno_value) {
  if (!decoder_.idle() || upload_) {
    log(LogLevel::warning, "the peer went away (" + std::generic_category().message(errno_value) + ")" + progress());
  }
  close();
  return Turn::closed;
}

void Connection::send(std::string_view bytes) {
  unsent_.append(bytes);
  flush();
}

void Connection::flush() {
  while (!unsent_.empty()) {
    const ssize_t count = ::send(stream_.native_handle(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0) {
      if (!would_block(errno)) lost(errno);
      return;
    }
    unsent_.consume(static_cast<std::size_t>(count));
    touch();
  }
  unsent_.release();
  if (refused_) ::shutdown(stream_.native_handle(), SHUT_WR);
  if (ended_) close();
}

void Connection::close() {
  if (!open_) return;
  open_ = false;
  idle_.unlink();
  head_.unlink();
  leaving_.unlink();
  upload_.reset();
  asio::error_code ignored;
  stream_.close(ignored);
  loop_.connection_closed();
}

void Connection::log(LogLevel level, const std::string& text) { loop_.state.log(level, peer_ + ": " + text); }

void Connection::log_stored(const FileStore::Upload& upload) {
  log(LogLevel::info, "stored \"" + printable(upload.name()) + "\", " + std::to_string(upload.size()) + " bytes");
}

// How far a message got, for log lines.
std::string Connection::progress() const {
  if (upload_) {
    return ", " + std::to_string(decoder_.body_left()) + " bytes before the end of \"" + printable(upload_->name()) +
           "\"";
  }
  return decoder_.idle() ? "" : ", inside a message";
}

}  // namespace framecall
