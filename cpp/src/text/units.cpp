#include "framecall/detail/units.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "framecall/error.hpp"

namespace framecall {
namespace {

[[noreturn]] void refuse(std::string_view name, std::string_view text, const char* why) {
  throw std::invalid_argument(std::string(name) + ": \"" + printable(text) + "\" " + why);
}

// The number in front of a unit, which stays in `text`; nothing if there is none.
std::optional<double> take_number(std::string_view& text) {
  double number = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (result.ec != std::errc{} || !(number >= 0)) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(result.ptr - text.data()));
  return number;
}

}  // namespace

std::uint64_t parse_size(std::string_view name, std::string_view text) {
  const std::string_view whole = text;
  const char* const no_size = "is not a size; use bytes such as 64, 64K, 1.5M or 2G";
  std::uint64_t exact = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), exact);
  if (result.ec == std::errc{} && result.ptr == text.data() + text.size()) {  // above 2^53 too
    if (exact > INT64_MAX) refuse(name, whole, "is more than 2^63-1 bytes");
    return exact;
  }
  std::optional<double> number = take_number(text);
  if (!number) refuse(name, whole, no_size);
  if (text.ends_with("iB")) {
    text.remove_suffix(2);
  } else if (text.ends_with('B')) {
    text.remove_suffix(1);
  }
  const std::size_t power = text.empty() ? 0 : std::string_view("KMGTP").find(text) + 1;
  if (text.size() > 1 || (!text.empty() && power == 0)) refuse(name, whole, no_size);
  *number *= std::pow(1024.0, static_cast<double>(power));
  if (*number >= 0x1p63) refuse(name, whole, "is more than 2^63-1 bytes");
  return static_cast<std::uint64_t>(*number);
}

std::chrono::milliseconds parse_duration(std::string_view name, std::string_view text) {
  const std::string_view whole = text;
  std::optional<double> seconds = take_number(text);
  if (seconds && text == "ms") {
    *seconds /= 1000;
  } else if (seconds && text == "min") {
    *seconds *= 60;
  } else if (seconds && text == "h") {
    *seconds *= 3600;
  } else if (!seconds || (!text.empty() && text != "s")) {
    refuse(name, whole, "is not a duration; use seconds such as 10 or 2.5, or 500ms, 2min, 1h");
  }
  if (*seconds > 1e9) refuse(name, whole, "is more than 30 years");
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(*seconds * 1000)));
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

std::string exact_size(std::uint64_t bytes) {
  std::size_t power = 0;
  for (; bytes != 0 && bytes % 1024 == 0 && power < 5; ++power) bytes /= 1024;
  std::string text = std::to_string(bytes);
  if (power > 0) text += "KMGTP"[power - 1];
  return text;
}

std::string exact_duration(std::chrono::milliseconds duration) {
  if (duration.count() < 0) return "-" + exact_duration(-duration);
  const auto [seconds, rest] = std::lldiv(duration.count(), 1000);
  std::string text = std::to_string(seconds);
  if (rest == 0) return text;
  char digits[8];
  std::snprintf(digits, sizeof digits, ".%03d", static_cast<int>(rest));
  text += digits;
  return text.substr(0, text.find_last_not_of('0') + 1);
}

}  // namespace framecall
