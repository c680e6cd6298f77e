// Frames: bytes in, events out. No sockets, no clock; the one state machine of the wire.
//
//    4 bytes          N bytes                      B bytes
//   +---------------+----------------------------+------------------+
//   | int32 LE  = N | UTF-8 JSON object (header) | body, raw bytes  |     PROTOCOL.md, section 1
//   +---------------+----------------------------+------------------+
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "framecall/buffer.hpp"
#include "framecall/dialect.hpp"
#include "framecall/header.hpp"

namespace framecall {

inline constexpr std::uint32_t default_max_header_size = 1 << 20;
/// Above it the fourth byte of a frame would not be 0, which tells frames from text, HTTP and TLS.
inline constexpr std::uint32_t largest_max_header_size = (1 << 24) - 1;

/// Prefix and header of a frame: struct.pack('i', len(h)) + h. `header` is JSON text.
/// Throws std::invalid_argument above largest_max_header_size.
std::string encode_head(std::string_view header);

/// Reads frames from a stream, wherever it was cut. Two ways to hand it bytes, never both at once:
///
///   prepare() / commit(): bytes go into the decoder's own block (blocking recv, asyncio.BufferedProtocol);
///   feed():               bytes stay where the caller has them (one block for many connections); only an unfinished
///                         head is copied.
///
/// then next_event() until it answers need_data. A body is never collected: it comes in pieces, as views. With
/// body_left() and take_body() it can also go past the decoder, straight to its final place. Memory follows what has
/// arrived, not what was announced. Not thread-safe.
class Decoder {
 public:
  enum class Event {
    need_data,          ///< everything given was used
    header_received,    ///< the Header given to next_event() tells what it says, body_left() what follows
    body_received,      ///< a piece of the body: body()
    end_of_message,     ///< the message is whole; also for one without a body
    connection_closed,  ///< close() between two messages
  };

  /// `dialect` must outlive the decoder. Throws std::invalid_argument above largest_max_header_size.
  explicit Decoder(std::uint32_t max_header_size = default_max_header_size,
                   const Dialect& dialect = dialects().front());

  /// Free space, at least `min_size` bytes, uninitialised.
  std::span<char> prepare(std::size_t min_size = 1);
  /// The first `size` bytes of it were filled.
  void commit(std::size_t size);

  /// Bytes of the caller, which must stay where they are until next_event() answers need_data, or retain().
  /// What an earlier feed() brought must have been used.
  void feed(std::string_view bytes);
  /// Copies what was fed and not used yet: the caller needs its block, the events come later.
  void retain();

  /// The stream ends here; the next events tell between two messages or inside one.
  void close() { closed_ = true; }

  /// The next event. Throws ProtocolError, from then on always the same: parse_error or invalid_request for a bad
  /// head, known as early as its bytes tell; data_loss for an end inside a message. `header` is filled with
  /// header_received, its views valid until the next call of anything here.
  Event next_event(Header& header);

  /// The piece that body_received announced, valid until the next call of anything here.
  std::string_view body() const { return body_; }
  /// Bytes of the current body that no event brought yet.
  std::uint64_t body_left() const { return body_left_; }
  /// `size` bytes of the body, at most body_left(), were read from the stream past the decoder. Only when next_event()
  /// has answered need_data.
  void take_body(std::uint64_t size);

  /// Between two messages, with nothing of the next one.
  bool idle() const { return state_ == State::head && head_.empty() && window_.empty(); }
  /// A head has begun and is not whole.
  bool in_head() const { return state_ == State::head && !head_.empty(); }
  /// Bytes of the stream that have been used.
  std::uint64_t offset() const { return offset_; }

 private:
  enum class State : std::uint8_t { head, body, failed };
  bool read_head(Header& header);
  [[noreturn]] void fail(ErrorCode code, std::uint64_t offset, const std::string& message);

  const Dialect* dialect_;
  std::uint32_t max_header_size_;
  State state_ = State::head;
  bool closed_ = false;
  bool head_used_ = false;   // head_ holds a head that was handed out
  std::string_view window_;  // given and not used yet
  std::string_view body_;
  Buffer head_;   // an unfinished head
  Buffer input_;  // behind prepare() and retain()
  std::uint64_t body_left_ = 0;
  std::uint64_t offset_ = 0;
  std::unique_ptr<ProtocolError> error_;
};

}  // namespace framecall
