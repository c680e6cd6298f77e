#include "terminal/terminal.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "framecall/error.hpp"
#include "terminal/interrupt.hpp"

namespace framecall::cli {
namespace {

// How many bytes at the end of `text` may be the beginning of a character.
std::size_t unfinished(std::string_view text) {
  for (std::size_t size = 1; size <= std::min<std::size_t>(text.size(), 3); ++size) {
    const auto byte = static_cast<unsigned char>(text[text.size() - size]);
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) return size < (byte < 0xe0 ? 2U : byte < 0xf0 ? 3U : 4U) ? size : 0;
  }
  return 0;
}

}  // namespace

std::string for_terminal(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    std::size_t size = std::min(text.find_first_of("\n\t"), text.size());
    const bool ends_with_crlf = size > 0 && size < text.size() && text[size] == '\n' && text[size - 1] == '\r';
    if (ends_with_crlf) --size;
    shown += printable(text.substr(0, size), size);
    if (ends_with_crlf) ++size;
    if (size < text.size()) shown += text[size];
    text.remove_prefix(std::min(size + 1, text.size()));
  }
  return shown;
}

Output::Output(int descriptor, std::string shown)
    : descriptor_(descriptor), shown_(std::move(shown)), terminal_(::isatty(descriptor) == 1) {
  if (descriptor == STDOUT_FILENO) std::fflush(stdout);  // what was printed before comes before
}

Output::~Output() {
  if (cut_.empty()) return;
  try {
    write_all(for_terminal(cut_));
  } catch (...) {  // the terminal is gone
  }
}

void Output::write(std::string_view bytes) {
  if (!terminal_) {
    write_all(bytes);
    return;
  }
  std::string text = cut_.append(bytes);
  cut_ = text.substr(text.size() - unfinished(text));
  text.resize(text.size() - cut_.size());
  write_all(for_terminal(text));
}

void Output::write_all(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EINTR) {
      check_interrupt();
    } else {
      throw std::runtime_error("cannot write to " + shown_ + ": " + std::generic_category().message(errno));
    }
  }
}

void print(std::string_view bytes) { Output(STDOUT_FILENO, "stdout").write(bytes); }
void print_error(std::string_view bytes) { Output(STDERR_FILENO, "stderr").write(bytes); }

}  // namespace framecall::cli
