// Any text: the readers agree with each other and with the writer, and what is printed of it is fit to be printed.
#include <cstdlib>
#include <iostream>

#include "framecall/error.hpp"
#include "support/json_agreement.hpp"

namespace {

bool is_printable(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    char32_t c = 0;
    const int size = framecall::decode_utf8(text.data() + at, text.data() + text.size(), c, false);
    if (size == 0 || c < ' ' || (c >= 0x7f && c < 0xa0)) return false;
    at += static_cast<std::size_t>(size);
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string wrong = framecall::disagreement(text);
  const std::string printed = framecall::printable(text, 40);
  if (!is_printable(printed) || printed.size() > 4 * 40 + 3) wrong += " printable()";
  if (wrong.empty()) return 0;
  std::cerr << wrong << "\n";
  std::abort();
}
