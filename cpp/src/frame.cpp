#include "framecall/frame.hpp"

#include <algorithm>
#include <stdexcept>

namespace framecall {
namespace {

constexpr std::size_t prefix_size = 4;
constexpr std::size_t read_size = 64 * 1024;  // of one read into the decoder's own block

// struct.unpack('i', …) on the machines that teach it: little-endian, signed, whatever this machine is.
std::int32_t read_prefix(const char* bytes) {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return static_cast<std::int32_t>(value);
}

}  // namespace

std::string encode_head(std::string_view header) {
  if (header.size() > largest_max_header_size) {
    throw std::invalid_argument("a header of " + std::to_string(header.size()) + " bytes: at most " +
                                std::to_string(largest_max_header_size) + " can be sent");
  }
  std::string head;
  head.reserve(prefix_size + header.size());
  for (std::size_t i = 0; i < prefix_size; ++i) head += static_cast<char>(header.size() >> (8 * i) & 0xff);
  head += header;
  return head;
}

Decoder::Decoder(std::uint32_t max_header_size, const Dialect& dialect)
    : dialect_(&dialect), max_header_size_(max_header_size) {
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

void Decoder::fail(ErrorCode code, std::uint64_t offset, const std::string& message) {
  state_ = State::failed;
  window_ = {};
  error_ = std::make_unique<ProtocolError>(code, offset, message);
  throw ProtocolError(*error_);
}

// True once the head is whole; its bytes are then contiguous, in the window or in head_.
bool Decoder::read_head(Header& header) {
  std::size_t size = prefix_size;
  std::string_view head;
  for (;;) {
    if (head_.empty() && window_.size() >= size) {
      head = window_.substr(0, size);
    } else {
      const std::size_t count = std::min(size - std::min(size, head_.size()), window_.size());
      head_.append(window_.substr(0, count));
      window_.remove_prefix(count);
      if (head_.size() < size) return false;
      head = head_.view();
    }
    if (size > prefix_size) break;
    const std::int32_t length = read_prefix(head.data());
    if (length < 2 || static_cast<std::uint32_t>(length) > max_header_size_) {
      fail(ErrorCode::invalid_request, offset_,
           "header length " + std::to_string(length) + ": must be 2 .. " + std::to_string(max_header_size_));
    }
    size = prefix_size + static_cast<std::size_t>(length);
  }
  if (head_.empty()) {
    window_.remove_prefix(size);
  } else {
    head_used_ = true;
  }
  try {
    header.read(head.substr(prefix_size));
    body_left_ = body_size(header, *dialect_);
  } catch (const ProtocolError& error) {
    fail(error.code(), offset_ + prefix_size + error.offset(), error.what());
  }
  offset_ += size;
  return true;
}

Decoder::Event Decoder::next_event(Header& header) {
  if (head_used_) {
    head_used_ = false;
    head_.release();
  }
  switch (state_) {
    case State::failed:
      window_ = {};  // whatever is still handed in means nothing
      throw ProtocolError(*error_);
    case State::head:
      if (!window_.empty() && read_head(header)) {
        state_ = State::body;
        return Event::header_received;
      }
      if (!closed_) return Event::need_data;
      if (head_.empty()) return Event::connection_closed;
      fail(ErrorCode::data_loss, offset_ + head_.size(),
           "closed inside a head, after " + std::to_string(head_.size()) + " bytes of it");
    case State::body: break;
  }
  if (body_left_ == 0) {
    state_ = State::head;
    return Event::end_of_message;
  }
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

}  // namespace framecall
