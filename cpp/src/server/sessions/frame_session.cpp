#include "server/sessions/frame_session.hpp"

#include <algorithm>
#include <new>

#include "framecall/call.hpp"
#include "framecall/error.hpp"

namespace framecall {
namespace {

constexpr std::uint64_t direct_from = LoopResources::input_size;  // bodies of this size go past the decoder
constexpr int length_rounds = 20;  // of 50 ms, until what may be a length is a line: "q" is that of a small header, too
constexpr int messages_per_look = 8;  // at the clock

CallError login_required() { return CallError(ErrorCode::unauthenticated, "the login comes first"); }

}  // namespace

FrameSession::FrameSession(SessionPort& port)
    : port_(port), decoder_(port.options().max_header, port.options().dialect) {}

void FrameSession::receive(std::string_view bytes) {
  quiet_rounds_ = 0;
  decoder_.feed(bytes);
  process();
}

void FrameSession::end() {
  decoder_.close();
  process();
}

// What a file or the format refuses ends here, as an answer.
template <class Function>
void FrameSession::refusing(Function work) {
  try {
    work();
  } catch (const ProtocolError& error) {
    const std::string surplus = dialect_ ? dialect_->surplus(decoder_.offset()) : std::string();
    if (error.code() == ErrorCode::data_loss) {
      port_.log(may_be_left() ? LogLevel::info : LogLevel::warning, "the peer went away" + progress() + surplus);
      port_.close();
      return;
    }
    refuse(static_cast<std::int64_t>(error.code()), error.what() + surplus, {});
  } catch (const CallError& error) {
    refuse(static_cast<std::int64_t>(error.code()), error.what(), error.data());
  } catch (const std::bad_alloc&) {
    refuse(static_cast<std::int64_t>(ErrorCode::resource_exhausted), "out of memory", {});
  } catch (const std::exception& error) {
    refuse(static_cast<std::int64_t>(ErrorCode::internal_error), error.what(), {});
  }
}

void FrameSession::process() {
  stopped_ = false;
  refusing([this] { take_events(); });
}

// Every event of what was fed.
void FrameSession::take_events() {
  while (port_.life() == SessionPort::Life::open) {  // an answer may find that the peer is gone
    switch (decoder_.next_event(port_.header())) {
      case Decoder::Event::need_data: return;
      case Decoder::Event::header_received: begin_message(); continue;
      case Decoder::Event::body_received:
        if (sink_ != nullptr) sink_->write(decoder_.body());
        continue;
      case Decoder::Event::end_of_message: end_message(); break;
      case Decoder::Event::text_received:
        port_.message_begins();
        dialect().on_text(decoder_.body());
        break;
      case Decoder::Event::zero_received:
        port_.message_begins();
        dialect().on_zero();
        break;
      case Decoder::Event::connection_closed: port_.finish(); return;
    }
    if (!may_go_on()) return;
  }
}

// With what follows in the same bytes.
bool FrameSession::may_go_on() {
  if (!port_.open()) return false;
  const bool over = ++messages_ % messages_per_look == 0 && port_.turn_is_over();
  if (!over && port_.may_read() && may_read()) return true;
  decoder_.retain();
  stopped_ = true;
  return false;
}

void FrameSession::begin_message() {
  port_.message_begins();
  const Header& header = port_.header();
  is_call_ = is_call(header, port_.options().dialect);
  if (!is_call_) {
    sink_ = &dialect();
    dialect_->on_header(header);
    return;
  }
  if (header.has(Key::method)) ++port_.state().calls;
  if (port_.admitted()) {
    sink_ = calls_.on_header(header);
  } else {
    sink_ = nullptr;
    calls_.refuse(header, login_required());
  }
}

void FrameSession::end_message() {
  BodySink* const sink = std::exchange(sink_, nullptr);
  if (!is_call_) dialect_->set_end(decoder_.offset());
  if (sink != nullptr) sink->end();
}

DialectSession& FrameSession::dialect() {
  if (!dialect_) dialect_ = std::make_unique<DialectSession>(port_, frames_);
  return *dialect_;
}

// A large body, past the decoder: as much as the socket has, to where it stays.
std::span<char> FrameSession::prepare() {
  const std::uint64_t left = decoder_.body_left();
  own_block_ = true;
  if (left < direct_from || port_.life() != SessionPort::Life::open) return {};
  std::span<char> block;
  refusing([&] {
    if (sink_ != nullptr) block = sink_->prepare(left);
  });
  own_block_ = !block.empty();
  if (own_block_ || port_.life() != SessionPort::Life::open) return block;
  return {port_.file_block(), static_cast<std::size_t>(std::min<std::uint64_t>(left, LoopResources::file_block_size))};
}

void FrameSession::commit(std::size_t size) {
  decoder_.take_body(size);
  refusing([&] {
    if (sink_ == nullptr) return;
    if (own_block_) {
      sink_->commit(size);
    } else {
      sink_->write({port_.file_block(), size});
    }
  });
  if (decoder_.body_left() == 0) process();
}

Session::Expects FrameSession::expects() const {
  Expects expects;
  if (decoder_.idle()) return expects;
  expects.head = decoder_.in_head() || decoder_.in_object();
  expects.text = decoder_.in_text();
  expects.body_left = decoder_.body_left();
  expects.body = is_call_ && expects.body_left > 0;  // an upload of a script may take its time
  expects.offset = decoder_.offset();
  return expects;
}

bool FrameSession::on_quiet() {
  if (decoder_.in_object()) return false;  // read to its closing brace; header_timeout ends what has none
  if (decoder_.in_length() && ++quiet_rounds_ < length_rounds) return true;
  if (decoder_.end_text()) stopped_ = true;  // there is an event to take, as soon as it may be taken
  return false;
}

void FrameSession::refuse(std::int64_t code, const std::string& message, const std::string& data) {
  abandon();
  frames_.refuse(code, message, data);
}

void FrameSession::abandon() {
  sink_ = nullptr;
  calls_.abandon();
  if (dialect_) dialect_->abandon();
}

void FrameSession::on_closed() noexcept {
  sink_ = nullptr;
  calls_.cancel_all();
  if (dialect_) dialect_->abandon();
}

std::string FrameSession::progress() const {
  const std::string upload = dialect_ ? dialect_->progress(decoder_.body_left()) : std::string();
  if (!upload.empty()) return upload;
  return decoder_.idle() ? "" : ", inside a message";
}

}  // namespace framecall
