#include "wire/expected_text.hpp"

#include <algorithm>
#include <utility>

#include "framecall/wire/frame.hpp"

namespace framecall {
namespace {

constexpr std::size_t max_compared = 64 << 10;  // bytes of an answer
constexpr std::string_view blanks = " \t\r\n";

std::string_view without_blanks(std::string_view text) {
  const std::size_t first = text.find_first_not_of(blanks);
  return first == std::string_view::npos ? std::string_view()
                                         : text.substr(first, text.find_last_not_of(blanks) + 1 - first);
}

}  // namespace

// `size`: of the text in what is kept.
ExpectedText::Match ExpectedText::match(std::size_t& size) const {
  const std::string_view bytes = kept_, text = text_;
  if (bytes.starts_with(text)) {
    size = text.size();
  } else {
    const std::string_view core = without_blanks(text);
    const std::size_t first = std::min(bytes.find_first_not_of(blanks), bytes.size());
    const std::string_view rest = bytes.substr(first);
    if (core.empty() || !rest.starts_with(core)) {
      const bool part = text.starts_with(bytes) || core.starts_with(rest);
      return part && bytes.size() < max_compared ? Match::part : Match::no;
    }
    size = first + core.size();
  }
  const bool text_goes_on = size < bytes.size() && is_text(text) && bytes[size] > ' ' && bytes[size] < '\x7f';
  return text_goes_on ? Match::no : Match::whole;
}

bool ExpectedText::expect(std::string text) {
  text_ = std::move(text);
  std::size_t size = 0;
  if (!text_.empty() && match(size) == Match::no) text_.clear();
  return expecting();
}

bool ExpectedText::add(std::string_view bytes) {
  kept_ += bytes;
  std::size_t size = 0;
  if (match(size) == Match::no) text_.clear();
  return expecting();
}

bool ExpectedText::whole() const {
  std::size_t size = 0;
  return expecting() && match(size) == Match::whole;
}

void ExpectedText::accept() {
  std::size_t size = 0;
  match(size);
  kept_.erase(0, std::max(size, std::min(kept_.find_first_not_of(blanks, size), kept_.size())));
  text_.clear();
}

std::string ExpectedText::release() { return std::exchange(kept_, {}); }

}  // namespace framecall
