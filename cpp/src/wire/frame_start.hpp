// How a frame begins: the length in front of it in any format, and how it is told from raw text.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "framecall/wire/dialect.hpp"
#include "framecall/wire/frame.hpp"

namespace framecall {

/// More than any prefix and the byte behind it: what has to be seen of a frame to know it.
inline constexpr std::size_t ahead_size = 24;

// The number in the first bytes of a prefix, with zeros in the place of those that are not there yet: the least it can
// become. A signed one, as struct.unpack('i') reads it, is negative if the highest byte says so.
inline std::int64_t binary_value(std::string_view bytes, const PrefixFormat& format) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < format.width; ++i) {
    const std::size_t from = format.order == PrefixFormat::Order::big ? i : format.width - 1u - i;
    value = value << 8 | (from < bytes.size() ? static_cast<unsigned char>(bytes[from]) : 0u);
  }
  return format.width == 4 ? static_cast<std::int32_t>(value) : static_cast<std::int64_t>(value);
}

// -1 for what is no number.
inline std::int64_t decimal_value(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' '), last = text.find_last_not_of(' ');
  if (first == std::string_view::npos) return -1;
  std::int64_t value = 0;
  for (const char c : text.substr(first, last - first + 1)) {
    if (c < '0' || c > '9') return -1;
    value = std::min<std::int64_t>(value * 10 + (c - '0'), std::int64_t{1} << 40);
  }
  return value;
}

inline std::int64_t prefix_value(std::string_view bytes, const PrefixFormat& format) {
  return format.kind == PrefixFormat::Kind::decimal ? decimal_value(bytes) : binary_value(bytes, format);
}

inline bool is_white(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
inline bool is_decimal_digit(char c) { return c >= '0' && c <= '9'; }

inline bool opens_header(char c) { return c == '{' || is_white(c) || c == '\xef'; }

// The first byte of any JSON text, or of a byte order mark in front of one.
inline bool opens_json(char c) {
  return opens_header(c) || is_decimal_digit(c) || std::string_view("[\"-tfnNI").find(c) != std::string_view::npos;
}

/// Blanks and digits at the beginning.
std::size_t digits_and_blanks(std::string_view bytes);

/// Whether `bytes` begin with a prefix of this format and a header.
FrameStart match_start(std::string_view bytes, const PrefixFormat& format, const Dialect& dialect,
                       std::uint32_t max_header);
/// Whether `bytes` begin with one of these formats, and with which: byte by byte, so that the verdict does not depend on how
/// many have come.
FrameStart match_any_start(std::string_view bytes, std::span<const PrefixFormat> formats, const Dialect& dialect,
                           std::uint32_t max_header, PrefixFormat& found);

}  // namespace framecall
