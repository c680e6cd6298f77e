#include "server/sessions/frame_writer.hpp"

#include <algorithm>

#include "framecall/detail/json_text.hpp"

namespace framecall {

std::size_t FrameWriter::longest_header() {
  if (longest_header_ == 0) {
    longest_header_ = static_cast<std::uint32_t>(
        std::min(framecall::longest_header(decoder_.prefix()), longest_header_sent(port_.options().max_header)));
  }
  return longest_header_;
}

void FrameWriter::append_error(std::string_view id, const Failure& failure) {
  std::string& text = port_.scratch();
  text.clear();
  const bool closing = port_.draining() && port_.life() != SessionPort::Life::leaving;
  write_error_within(longest_header(), text, id, failure.code, failure.message, failure.data, closing);
  append_frame(text);
}

void FrameWriter::end_with(std::string_view id, const Failure& failure) {
  port_.leave(failure.message);
  append_error(id, failure);
}

void FrameWriter::refuse(std::int64_t code, const std::string& message, const std::string& data) {
  const Answer& answer = port_.options().dialect.refused;
  if (!answer) {
    end_with("null", {code, message, data});
    return;
  }
  port_.leave(message);
  AnswerValues values;
  values.message = message;
  std::string text = fill_in(answer, values);
  if (answer.kind != Answer::Kind::frame) {
    port_.out().append(text);
    return;
  }
  for (std::size_t size = message.size() / 2; text.size() > longest_header() && size > 0; size /= 2) {
    const std::string shorter = message_text(message, size);
    values.message = shorter;
    text = fill_in(answer, values);
  }
  if (text.size() > longest_header()) {  // a dialect that was made without its file's checks
    append_error("null", {code, message, data});
    return;
  }
  append_frame(text);
}

}  // namespace framecall
