// What a Decoder makes of a stream that comes in pieces: for frame_test and fuzz_decoder.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framecall/wire/frame.hpp"

namespace framecall {

struct Message {
  std::string header, body;
  bool whole = false;
  bool operator==(const Message&) const = default;
};

/// Everything that must not depend on how the stream was cut.
struct Outcome {
  std::vector<Message> messages;
  std::string end;  // "need_data", "connection_closed" or "error CODE at OFFSET: TEXT"
  std::uint64_t offset = 0, body_left = 0;
  bool idle = false, in_head = false;
  /// The end without its text: that names a cause as far as the bytes behind the fault have come.
  std::string verdict() const { return end.substr(0, end.find(": ")); }
  bool operator==(const Outcome& other) const {
    return messages == other.messages && verdict() == other.verdict() && offset == other.offset &&
           body_left == other.body_left && idle == other.idle && in_head == other.in_head;
  }
};

inline std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  for (const Message& message : outcome.messages) {
    out << printable(message.header) << " + " << message.body.size() << " bytes" << (message.whole ? "\n" : " ...\n");
  }
  return out << outcome.end << "; offset " << outcome.offset << ", body_left " << outcome.body_left
             << (outcome.idle ? ", idle" : "") << (outcome.in_head ? ", in_head" : "");
}

/// How a piece is handed in.
enum class Way {
  prepare,        ///< prepare(), commit(), every event
  prepare_ahead,  ///< prepare(), commit(), one event: the rest waits until the end
  feed,           ///< feed(), every event
  retain,         ///< feed(), one event, retain(), every event
  take_body,      ///< as much as is missing of a body by take_body(), the rest by feed()
};
inline constexpr Way ways[] = {Way::prepare, Way::prepare_ahead, Way::feed, Way::retain, Way::take_body};

class Receiver {
 public:
  Receiver(Way way, std::uint32_t max_header_size, const Dialect& dialect)
      : way_(way), decoder_(max_header_size, dialect) {}

  /// False once the stream has failed. The bytes are gone when it returns: a view that lives on is found by
  /// AddressSanitizer.
  bool take(std::string_view piece) {
    if (way_ == Way::take_body) {
      const std::size_t count = std::min<std::uint64_t>(decoder_.body_left(), piece.size());
      if (count > 0) {
        decoder_.take_body(count);
        outcome_.messages.back().body += piece.substr(0, count);
        piece.remove_prefix(count);
      }
    }
    if (way_ == Way::prepare || way_ == Way::prepare_ahead) {
      const std::span<char> space = decoder_.prepare(piece.size());
      std::copy(piece.begin(), piece.end(), space.begin());
      decoder_.commit(piece.size());
      if (way_ == Way::prepare) return all_events();
      one_event();
      return !failed_;
    }
    const auto copy = std::make_unique<char[]>(piece.size());
    std::copy(piece.begin(), piece.end(), copy.get());
    decoder_.feed({copy.get(), piece.size()});
    if (way_ != Way::retain) return all_events();
    one_event();
    decoder_.retain();
    std::fill_n(copy.get(), piece.size(), '#');
    return all_events();
  }

  Outcome finish(bool closed) {
    if (!failed_ && closed) decoder_.close();
    if (!failed_) all_events();
    outcome_.offset = decoder_.offset();
    outcome_.body_left = decoder_.body_left();
    outcome_.idle = decoder_.idle();
    outcome_.in_head = decoder_.in_head();
    return std::move(outcome_);
  }

 private:
  bool all_events() {
    while (one_event()) continue;
    return !failed_;
  }

  bool one_event() {
    if (failed_) return false;
    try {
      switch (decoder_.next_event(header_)) {
        case Decoder::Event::need_data: outcome_.end = "need_data"; return false;
        case Decoder::Event::connection_closed: outcome_.end = "connection_closed"; return false;
        case Decoder::Event::header_received:
          outcome_.messages.push_back({std::string(header_.text()), "", false});
          break;
        case Decoder::Event::body_received: outcome_.messages.back().body += decoder_.body(); break;
        case Decoder::Event::end_of_message: outcome_.messages.back().whole = true; break;
        case Decoder::Event::text_received:
          outcome_.messages.push_back({"text", std::string(decoder_.body()), true});
          break;
        case Decoder::Event::zero_received: outcome_.messages.push_back({"zero", "", true}); break;
      }
    } catch (const ProtocolError& error) {
      failed_ = true;
      outcome_.end = "error " + std::to_string(static_cast<int>(error.code())) + " at " +
                     std::to_string(error.offset()) + ": " + error.what();
    }
    return !failed_;
  }

  Way way_;
  Decoder decoder_;
  Header header_;
  Outcome outcome_;
  bool failed_ = false;
};

/// `sizes`: of the pieces, one after the other; the last piece is what they leave.
inline Outcome decode(std::string_view stream, std::span<const std::size_t> sizes, Way way, bool closed,
                      std::uint32_t max_header_size = default_max_header_size,
                      const Dialect& dialect = default_dialect()) {
  Receiver receiver(way, max_header_size, dialect);
  bool going = true;
  for (std::size_t size : sizes) {
    if (!going) break;
    going = receiver.take(stream.substr(0, size));
    stream.remove_prefix(std::min(size, stream.size()));
  }
  if (going && !stream.empty()) receiver.take(stream);
  return receiver.finish(closed);
}

}  // namespace framecall
