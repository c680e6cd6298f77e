#include "arguments.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <utility>

#include "framecall/error.hpp"

namespace framecall::cli {
namespace {

// The number in front of a unit; the unit stays in `text`.
double take_number(std::string_view& text) {
  double number = 0;
  const std::string_view whole = text;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (result.ec != std::errc{} || !(number >= 0)) {
    throw std::invalid_argument("\"" + printable(whole) + "\" does not begin with a number");
  }
  text.remove_prefix(static_cast<std::size_t>(result.ptr - text.data()));
  return number;
}

}  // namespace

std::uint64_t parse_size(std::string_view text) {
  const std::string_view whole = text;
  std::uint64_t exact = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), exact);
  if (result.ec == std::errc{} && result.ptr == text.data() + text.size()) return exact;  // above 2^53 too
  double number = take_number(text);
  if (text.ends_with("iB")) {
    text.remove_suffix(2);
  } else if (text.ends_with('B')) {
    text.remove_suffix(1);
  }
  const std::size_t power = text.empty() ? 0 : std::string_view("KMGTP").find(text) + 1;
  if (text.size() > 1 || (!text.empty() && power == 0)) {
    throw std::invalid_argument("\"" + printable(whole) + "\" is not a size: 64, 64K, 1.5M, 2G");
  }
  number *= std::pow(1024.0, static_cast<double>(power));
  if (number >= 0x1p63) throw std::invalid_argument("\"" + printable(whole) + "\" is more than 2^63-1 bytes");
  return static_cast<std::uint64_t>(number);
}

std::chrono::milliseconds parse_duration(std::string_view text) {
  const std::string_view whole = text;
  double seconds = take_number(text);
  if (text == "ms") {
    seconds /= 1000;
  } else if (text == "min") {
    seconds *= 60;
  } else if (text == "h") {
    seconds *= 3600;
  } else if (!text.empty() && text != "s") {
    throw std::invalid_argument("\"" + printable(whole) + "\" is not a duration: 10, 0.5, 500ms, 2min");
  }
  if (seconds > 1e9) throw std::invalid_argument("\"" + printable(whole) + "\" is more than 30 years");
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(seconds * 1000)));
}

std::string size_text(double bytes) {
  const char* unit = "bytes";
  for (const char* next : {"KiB", "MiB", "GiB", "TiB"}) {
    if (bytes < 1000) break;
    bytes /= 1024;
    unit = next;
  }
  char text[32];
  std::snprintf(text, sizeof text, unit[0] == 'b' ? "%.0f %s" : "%.1f %s", bytes, unit);
  return text;
}

void complain(std::string_view message) { std::fprintf(stderr, "framecall: %s\n", printable(message, 2000).c_str()); }

}  // namespace framecall::cli
