// Frames for one peer, with lengths as it writes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "framecall/detail/file_store.hpp"
#include "framecall/error.hpp"
#include "framecall/wire/buffer.hpp"
#include "framecall/wire/frame.hpp"
#include "server/sessions/session_port.hpp"

namespace framecall {

class FrameWriter {
 public:
  /// Both must outlive it; `decoder` knows how the peer writes lengths.
  FrameWriter(SessionPort& port, const Decoder& decoder) : port_(port), decoder_(decoder) {}

  /// A frame. Throws as encode_prefix(), and std::bad_alloc; then nothing of the frame is sent.
  void append_frame(std::string_view header, Buffer&& body = {}) {
    char prefix[longest_prefix];
    port_.out().append_frame(prefix_of(header, prefix), header, std::move(body));
  }
  void append_frame(std::string_view header, FileStore::Download&& file, Buffer&& trailer = {}) {
    char prefix[longest_prefix];
    port_.out().append_frame(prefix_of(header, prefix), header, std::move(file), std::move(trailer));
  }
  /// The longest header that the peer's lengths can announce, and that the peer can be expected to take.
  std::size_t longest_header();
  /// An error reply, cut to what the peer's lengths announce.
  void append_error(std::string_view id, const Failure& failure);
  /// Answers, and leaves.
  void end_with(std::string_view id, const Failure& failure);
  /// The answer that the dialect has for what is refused, and leaves. `data`: see Failure.
  void refuse(std::int64_t code, const std::string& message, const std::string& data = {});

 private:
  std::string_view prefix_of(std::string_view header, char* to) const {
    return {to, write_prefix(to, header.size(), decoder_.prefix())};
  }

  SessionPort& port_;
  const Decoder& decoder_;
  std::uint32_t longest_header_ = 0;  // once it was asked for
};

}  // namespace framecall
