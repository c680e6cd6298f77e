#include "framecall/wire/frame.hpp"

#include <algorithm>
#include <span>
#include <stdexcept>

#include "wire/advice.hpp"
#include "wire/frame_start.hpp"

namespace framecall {
namespace {

constexpr std::size_t read_size = 64 * 1024;      // of one read into the decoder's own block
constexpr std::size_t max_line_size = 64 * 1024;  // of raw text

}  // namespace

Decoder::Decoder(std::uint32_t max_header_size, const Dialect& dialect)
    : dialect_(&dialect),
      max_header_size_(max_header_size),
      prefix_(dialect.prefixes.front()),
      prefix_known_(dialect.prefixes.size() == 1),
      start_known_(prefix_known_ && !dialect.lines) {
  if (max_header_size > largest_max_header_size) {
    throw std::invalid_argument("max_header of " + std::to_string(max_header_size) + ": at most " +
                                std::to_string(largest_max_header_size));
  }
}

std::span<char> Decoder::prepare(std::size_t min_size) {
  if (window_.empty()) {
    input_.clear();
  } else {
    retain();
    input_.consume(static_cast<std::size_t>(window_.data() - input_.data()));
  }
  const std::size_t size = std::max(min_size, read_size);
  char* const space = input_.prepare(size);
  window_ = input_.view();
  return {space, size};
}

void Decoder::commit(std::size_t size) {
  if (state_ == State::failed) return;               // nothing behind an error is kept
  const std::size_t unused = window_.size() + size;  // less than all of input_ if events came since prepare()
  input_.commit(size);
  window_ = input_.view();
  window_.remove_prefix(window_.size() - unused);
}

void Decoder::feed(std::string_view bytes) {
  if (!window_.empty()) throw std::logic_error("Decoder: feed() before the bytes of the last one were used");
  window_ = bytes;
}

void Decoder::retain() {
  const bool ours = window_.data() >= input_.data() && window_.data() < input_.data() + input_.size();
  if (window_.empty() || ours) return;
  input_.clear();
  input_.append(window_);
  window_ = input_.view();
}

void Decoder::take_body(std::uint64_t size) {
  if (state_ != State::body || !window_.empty() || size > body_left_) {
    throw std::logic_error("Decoder: take_body() of what is not there");
  }
  body_left_ -= size;
  offset_ += size;
}

std::optional<std::string_view> Decoder::take_whole_body() {
  if (state_ != State::body || window_.size() < body_left_) return std::nullopt;
  const std::string_view body = window_.substr(0, static_cast<std::size_t>(body_left_));
  window_.remove_prefix(body.size());
  offset_ += body.size();
  body_left_ = 0;
  return body;
}

void Decoder::fail(ErrorCode code, std::uint64_t offset, const std::string& message) {
  state_ = State::failed;
  window_ = {};
  error_ = std::make_unique<ProtocolError>(code, offset, message);
  throw ProtocolError(*error_);
}

// `bytes`, which begin with a head, and what has come behind them, as far as it helps to find out what they are.
std::string Decoder::known(std::string_view bytes) const {
  constexpr std::size_t more = 64;
  if (!head_.empty()) return std::string(head_.view()).append(window_.substr(0, more));
  const auto* const end = window_.data() + window_.size();
  const bool inside = bytes.data() >= window_.data() && bytes.data() <= end;  // not used up yet
  return std::string(bytes).append(inside ? window_.substr(std::min(bytes.size(), window_.size()), more)
                                          : window_.substr(0, more));
}

// For a header that cannot be read: the cause, where one is found, instead of the reader's message.
void Decoder::fail_head(std::string_view head, const ProtocolError& error) {
  constexpr std::size_t more = 4096;  // of what comes behind
  const bool unreadable = error.code() == ErrorCode::parse_error;
  const std::string advice =
      unreadable ? header_advice(std::string(head).append(window_.substr(0, more)), prefix_) : std::string();
  fail(error.code(), offset_ + prefix_.width + error.offset(), advice.empty() ? error.what() : advice);
}

bool Decoder::in_length() const {
  if (state_ != State::head || start_known_ || head_.empty()) return false;
  const bool digits = !prefix_known_ && digits_and_blanks(head_.view()) == head_.size();
  return head_.size() == 1 || digits;
}

std::string Decoder::unfinished() const {
  return state_ == State::head && start_known_ ? unfinished_advice(head_.view(), prefix_) : std::string();
}

// The bytes from `from` on, those of head_ first, as far as they are there and fit.
std::string_view Decoder::ahead(std::size_t from, char* scratch) const {
  if (from >= head_.size()) return window_.substr(std::min(from - head_.size(), window_.size()), ahead_size);
  std::size_t size = head_.view().substr(from).copy(scratch, ahead_size);
  size += window_.copy(scratch + size, ahead_size - size);
  return {scratch, size};
}

// Where raw text or several formats are possible: true once it is known what begins here. Else all there is has been
// put into head_, which is then shorter than any frame.
bool Decoder::find_start() {
  char scratch[ahead_size];
  const std::string_view bytes = ahead(0, scratch);
  PrefixFormat found;
  const std::span<const PrefixFormat> formats = prefix_known_ ? std::span(&prefix_, 1) : std::span(dialect_->prefixes);
  const FrameStart start = match_any_start(bytes, formats, *dialect_, max_header_size_, found);
  if (start == FrameStart::yes) {
    prefix_ = found;
    prefix_known_ = start_known_ = true;
    return true;
  }
  const bool maybe = start == FrameStart::maybe;
  if (maybe && (quiet_ || closed_) && dialect_->lines && is_text(bytes)) {
    state_ = State::text;
    quiet_ = quiet_ && bytes.front() != '{';  // an object ends with its brace
    return true;
  }
  if (maybe) {
    head_.append(window_);
    window_ = {};
    return false;
  }
  // A line may have a frame right behind it: text is what comes before the first NUL.
  if (!dialect_->lines || bytes.front() == '\0' || !is_text(bytes.substr(0, 1))) {
    fail(ErrorCode::invalid_request, offset_,
         "neither a frame nor a request of the dialect \"" + dialect_->name + "\"" +
             length_advice(known(bytes), prefix_, max_header_size_));
  }
  state_ = State::text;
  return true;
}

// True once the line is whole; used_size_ bytes of head_ are then its text.
bool Decoder::read_text() {
  if (const auto size = object_size()) {
    if (*size == 0) {
      head_.append(window_);
      window_ = {};
    } else if (*size > head_.size()) {
      const std::size_t count = *size - head_.size();
      head_.append(window_.substr(0, count));
      window_.remove_prefix(count);
    }
    if (head_.size() > max_line_size) {
      fail(ErrorCode::invalid_request, offset_,
           "a raw object of more than " + std::to_string(max_line_size) + " bytes, max_line_size");
    }
    used_size_ = *size > 0 ? *size : head_.size();
    return *size > 0 || quiet_ || closed_;
  }
  char scratch[ahead_size];
  const std::size_t before = head_.size();
  std::size_t line_feed = head_.view().find('\n'), zero = head_.view().find('\0');
  if (line_feed == std::string_view::npos) line_feed = std::min(window_.find('\n'), window_.size()) + before;
  if (zero == std::string_view::npos) zero = std::min(window_.find('\0'), window_.size()) + before;
  const std::size_t all = before + window_.size();
  std::size_t end = all;
  bool whole = quiet_ || closed_;
  if (line_feed < all && line_feed < zero) {
    // A length may begin with the byte of a line feed.
    const FrameStart glued = match_start(ahead(line_feed, scratch), prefix_, *dialect_, max_header_size_);
    whole = whole || glued != FrameStart::maybe;
    if (whole) end = glued == FrameStart::yes ? line_feed : line_feed + 1;
  } else if (zero < all) {
    bool maybe = false;
    std::size_t start = zero - std::min<std::size_t>(zero, prefix_.width - 1u);
    for (; start <= zero; ++start) {
      const FrameStart result = match_start(ahead(start, scratch), prefix_, *dialect_, max_header_size_);
      if (result == FrameStart::yes) break;
      maybe = maybe || result == FrameStart::maybe;
    }
    if (start > zero && (!maybe || whole)) {
      fail(ErrorCode::invalid_request, offset_, "a raw line with a NUL in it, and no frame behind it");
    }
    if (start <= zero) {
      end = start;
      whole = true;
    }
  }
  if (end > max_line_size) {
    fail(ErrorCode::invalid_request, offset_,
         "a raw line of more than " + std::to_string(max_line_size) + " bytes, max_line_size");
  }
  if (end > before) {
    head_.append(window_.substr(0, end - before));
    window_.remove_prefix(end - before);
  }
  used_size_ = std::min(end, head_.size());
  return whole;
}

// Of raw text that begins with an object: how long that is; 0: its end has not come. Nothing for other text.
std::optional<std::size_t> Decoder::object_size() const {
  std::size_t at = 0;
  int depth = 0;
  bool in_string = false, escaped = false, begun = false;
  for (const std::string_view piece : {head_.view(), window_}) {
    for (const char c : piece) {
      ++at;
      if (!begun) {
        if (is_white(c)) continue;
        if (c != '{') return std::nullopt;
        begun = true;
      }
      if (escaped) {
        escaped = false;
      } else if (in_string) {
        escaped = c == '\\';
        in_string = c != '"';
      } else if (c == '"') {
        in_string = true;
      } else if (c == '{') {
        ++depth;
      } else if (c == '}' && --depth == 0) {
        return at;
      }
      if (c == '\0') return std::nullopt;  // a frame behind what is no object
    }
  }
  return begun ? std::optional<std::size_t>(0) : std::nullopt;
}

// True once the head is whole; its bytes are then contiguous, in the window or in head_.
bool Decoder::read_head(Header& header) {
  const std::size_t prefix_size = prefix_.width;
  std::size_t size = prefix_size;
  std::string_view head;
  for (;;) {
    if (head_.empty() && window_.size() >= size) {
      head = window_.substr(0, size);
    } else {
      const std::size_t count = std::min(size - std::min(size, head_.size()), window_.size());
      head_.append(window_.substr(0, count));
      window_.remove_prefix(count);
      if (head_.size() < size) {
        if (size > prefix_size && head_.size() > prefix_size && !opens_json(head_.view()[prefix_size])) {
          size = head_.size();  // it is over
          head = head_.view();
          break;
        }
        return false;
      }
      head = head_.view().substr(0, size);
    }
    if (size > prefix_size) break;
    const std::int64_t length = prefix_value(head.substr(0, prefix_size), prefix_);
    if (length == 0 && dialect_->zero_prefix != Dialect::ZeroPrefix::refuse) break;
    if (length < 2 || length > static_cast<std::int64_t>(max_header_size_)) {
      fail(ErrorCode::invalid_request, offset_,
           "header length " + std::to_string(length) + ": must be 2 .. " + std::to_string(max_header_size_) +
               length_advice(known(head.substr(0, prefix_size)), prefix_, max_header_size_, prefix_size));
    }
    size = prefix_size + static_cast<std::size_t>(length);
  }
  if (head_.empty()) {
    window_.remove_prefix(size);
  } else {
    head_used_ = true;
    used_size_ = size;
  }
  const std::string_view whole = head;
  head.remove_prefix(prefix_size);
  if (dialect_->byte_order_mark && head.starts_with("\xef\xbb\xbf")) head.remove_prefix(3);
  try {
    if (!head.empty()) {
      header.read(head);
      body_left_ = body_size(header, *dialect_);
    }
  } catch (const ProtocolError& error) {
    fail_head(whole, error);
  }
  zero_ = head.empty();
  offset_ += size;
  return true;
}

bool Decoder::end_text() {
  if (!in_text()) return false;
  quiet_ = state_ == State::text || is_text(head_.view());
  return quiet_;
}

Decoder::Event Decoder::next_event(Header& header) {
  if (head_used_) {
    head_used_ = false;
    head_.consume(used_size_);
    if (head_.empty()) head_.release();
  }
  switch (state_) {
    case State::failed:
      window_ = {};  // whatever is still handed in means nothing
      throw ProtocolError(*error_);
    case State::head:
      if ((!window_.empty() || quiet_ || (closed_ && in_text())) && (start_known_ || find_start())) {
        if (state_ == State::text) return next_event(header);
        if (read_head(header)) {
          if (zero_) return end_head(Event::zero_received);
          state_ = State::body;
          return Event::header_received;
        }
      }
      if (!closed_) return Event::need_data;
      if (head_.empty()) return Event::connection_closed;
      fail(ErrorCode::data_loss, offset_ + head_.size(),
           "closed inside a head, after " + std::to_string(head_.size()) + " bytes of it");
    case State::text:
      if (!read_text()) return Event::need_data;
      body_ = head_.view().substr(0, used_size_);
      offset_ += used_size_;
      head_used_ = true;
      quiet_ = false;
      return end_head(Event::text_received);
    case State::body: break;
  }
  if (body_left_ == 0) return end_head(Event::end_of_message);
  if (!window_.empty()) {
    body_ = window_.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, window_.size())));
    window_.remove_prefix(body_.size());
    body_left_ -= body_.size();
    offset_ += body_.size();
    return Event::body_received;
  }
  if (!closed_) return Event::need_data;
  fail(ErrorCode::data_loss, offset_,
       "closed inside a body, with " + std::to_string(body_left_) + " bytes of it missing");
}

// Ready for what comes next.
Decoder::Event Decoder::end_head(Event event) {
  state_ = State::head;
  start_known_ = prefix_known_ && !dialect_->lines;
  return event;
}

}  // namespace framecall
