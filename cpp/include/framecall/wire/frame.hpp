// Frames: bytes in, events out. No sockets, no clock; the one state machine of the wire.
//
//    4 bytes          N bytes                      B bytes
//   +---------------+----------------------------+------------------+
//   | int32 LE  = N | UTF-8 JSON object (header) | body, raw bytes  |     PROTOCOL.md, section 1
//   +---------------+----------------------------+------------------+
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "framecall/wire/buffer.hpp"
#include "framecall/wire/dialect.hpp"
#include "framecall/wire/header.hpp"

namespace framecall {

inline constexpr std::uint32_t default_max_header_size = 1 << 20;
/// Above it the fourth byte of a frame would not be 0, which tells frames from text, HTTP and TLS.
inline constexpr std::uint32_t largest_max_header_size = (1 << 24) - 1;

/// The length in front of a header of `size` bytes: struct.pack('i', size).
/// Throws std::invalid_argument above largest_max_header_size, and for a size that the prefix has no room for.
std::string encode_prefix(std::size_t size, const PrefixFormat& format = PrefixFormat());
/// The same into `to`, which has room for longest_prefix bytes; returns how many it took.
std::size_t write_prefix(char* to, std::size_t size, const PrefixFormat& format);
inline constexpr std::size_t longest_prefix = 255;  ///< bytes
/// The longest header that such a prefix announces, at most largest_max_header_size.
std::size_t longest_header(const PrefixFormat& format);
/// The longest header that a peer is sent whose own limit is not known: our limit for what it sends, and at least the default.
inline std::size_t longest_header_sent(std::uint32_t max_header) {
  return max_header < default_max_header_size ? default_max_header_size : max_header;
}
/// The least that longest_header() must be: an error reply without a message fits in.
inline constexpr std::size_t shortest_prefix_room = 256;
/// Prefix and header of a frame; `header` is JSON text. Throws as encode_prefix().
std::string encode_head(std::string_view header, const PrefixFormat& prefix = PrefixFormat());
/// The same for a header written in place behind 4 bytes, which it fills in.
void fill_prefix(std::string& head);

/// Whether a stream that begins with `bytes` begins with a frame: a length that can be one, then what opens an object.
enum class FrameStart : std::uint8_t { no, maybe, yes };
FrameStart frame_start(std::string_view bytes, const Dialect& dialect, std::uint32_t max_header_size);

/// Printable, in whatever encoding: what may be a raw line, or a part of one.
bool is_text(std::string_view bytes);

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
    text_received,      ///< a raw line between two frames, whole: body(). Only in a dialect with `lines`
    zero_received,      ///< a length of 0. Only in a dialect where it means something
    connection_closed,  ///< close() between two messages
  };

  /// `dialect` must outlive the decoder. Throws std::invalid_argument above largest_max_header_size.
  explicit Decoder(std::uint32_t max_header_size = default_max_header_size, const Dialect& dialect = default_dialect());

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

  /// Nothing came for a while: what could still have become a longer line, or a frame, is a line if it is text. True
  /// if next_event() has something to say now.
  bool end_text();

  /// How the length is written: what the first bytes told, where the dialect has several.
  const PrefixFormat& prefix() const { return prefix_; }

  /// Bytes that it holds of what has come.
  std::size_t memory() const { return head_.size() + input_.size(); }

  /// Right after header_received: the whole body, if all of it was given already; it brings no events then. The views
  /// of the header stay valid, as this one, until the next call of next_event().
  std::optional<std::string_view> take_whole_body();

  /// Between two messages, with nothing of the next one.
  bool idle() const { return state_ == State::head && head_.empty() && window_.empty(); }
  /// A head has begun and is not whole.
  bool in_head() const { return state_ == State::head && !head_.empty(); }
  /// end_text() might end something: a line, or the first bytes of what nobody can tell yet.
  bool in_text() const { return dialect_->lines && !head_.empty() && (state_ == State::text || !start_known_); }
  /// Raw text that has begun with an object, whose end has not come.
  bool in_object() const { return state_ == State::text && !head_.empty() && object_size() == std::size_t{0}; }
  /// What there is may be a line, but is more probably the beginning of a frame: its first byte, or decimal digits.
  bool in_length() const;
  /// For messages about an unfinished head: how far it got. Empty, or `: ...`.
  std::string unfinished() const;
  /// Bytes of the stream that have been used.
  std::uint64_t offset() const { return offset_; }

 private:
  enum class State : std::uint8_t { head, text, body, failed };
  bool find_start();
  bool read_head(Header& header);
  bool read_text();
  std::optional<std::size_t> object_size() const;
  std::string known(std::string_view bytes) const;
  [[noreturn]] void fail_head(std::string_view head, const ProtocolError& error);
  Event end_head(Event event);
  std::string_view ahead(std::size_t from, char* scratch) const;
  [[noreturn]] void fail(ErrorCode code, std::uint64_t offset, const std::string& message);

  const Dialect* dialect_;
  std::uint32_t max_header_size_;
  State state_ = State::head;
  PrefixFormat prefix_;
  bool prefix_known_;   // one of the dialect's, for the rest of the connection
  bool start_known_;    // what begins here is a frame
  bool quiet_ = false;  // no more text for this line
  bool closed_ = false;
  bool zero_ = false;       // the head was a length of 0
  bool head_used_ = false;  // the first used_size_ bytes of head_ were handed out
  std::size_t used_size_ = 0;
  std::string_view window_;  // given and not used yet
  std::string_view body_;
  Buffer head_;   // an unfinished head
  Buffer input_;  // behind prepare() and retain()
  std::uint64_t body_left_ = 0;
  std::uint64_t offset_ = 0;
  std::unique_ptr<ProtocolError> error_;
};

}  // namespace framecall
