// Any first bytes of a connection: a verdict stands, whatever follows, and what is HTTP gets one whole answer.
//
//   byte 0             bits 0 and 1: what is looked for, bits 2 to 4: the dialect
//   the rest           the bytes
#include <array>
#include <cstdlib>
#include <iostream>

#include "framecall/wire/dialect_file.hpp"
#include "framecall/wire/frame.hpp"
#include "server/sessions/protocol_detection.hpp"

namespace {

using namespace framecall;

const Dialect& dialect_of(std::uint8_t choice) {
  static const std::array<Dialect, 8> all = {default_dialect(),           find_dialect("auto"),
                                             find_dialect("lesson-get"),  find_dialect("framed"),
                                             find_dialect("big-endian"),  find_dialect("ascii-length"),
                                             find_dialect("real-python"), find_dialect("eight-bytes")};
  return all[choice % all.size()];
}

void fail(std::string_view what, std::string_view bytes) {
  std::cerr << what << ": " << printable(bytes, 200) << "\n";
  std::abort();
}

// The answer is there from the end of the head on, or from too long a head on, and is one whole reply.
void check_http(std::string_view bytes) {
  const std::string answer = http_answer(bytes, true), not_serving = http_answer(bytes, false);
  const bool whole = bytes.find("\r\n\r\n") != std::string_view::npos || bytes.size() > max_http_head;
  if (answer.empty() == whole || not_serving.empty() == whole) fail("an answer too early or too late", bytes);
  if (answer.empty()) return;
  const std::size_t head = answer.find("\r\n\r\n"), length = answer.find("Content-Length: ");
  if (!answer.starts_with("HTTP/1.1 ") || head == std::string::npos || length > head) fail("no reply", bytes);
  const std::size_t body = answer.size() - head - 4;
  if (body != 0 && std::stoul(answer.substr(length + 16)) != body) fail("a wrong length", bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using Verdict = FirstBytes::Verdict;
  if (size < 1) return 0;
  const FirstBytes first{.frames = (data[0] & 1) != 0, .http = (data[0] & 2) != 0};
  const Dialect& dialect = dialect_of(data[0] >> 2);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);

  Verdict before = Verdict::undecided;
  for (std::size_t count = 1; count <= std::min<std::size_t>(bytes.size(), 64); ++count) {
    const Verdict verdict = first.judge(bytes.substr(0, count), false, dialect, default_max_header_size);
    if (before != Verdict::undecided && verdict != before) fail("another verdict later", bytes);
    before = verdict;
    first.judge(bytes.substr(0, count), true, dialect, default_max_header_size);
  }
  if (before == Verdict::undecided && bytes.size() >= 64) fail("no verdict", bytes);
  check_http(bytes);
  return 0;
}
