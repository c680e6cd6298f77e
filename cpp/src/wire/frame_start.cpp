#include "wire/frame_start.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "framecall/detail/json_text.hpp"

namespace framecall {
namespace {

// The same for several decimal formats: the longest one that fits the digits and blanks in front of the header.
FrameStart match_decimal(std::string_view bytes, std::span<const PrefixFormat> formats, const Dialect& dialect,
                         std::uint32_t max_header, PrefixFormat& found) {
  const std::size_t run = digits_and_blanks(bytes);
  const bool open = run == bytes.size();  // more of them may come
  FrameStart best = FrameStart::no;
  for (const PrefixFormat& format : formats) {
    if (format.kind != PrefixFormat::Kind::decimal || run == 0) continue;
    if (open && run < ahead_size - 1) best = std::max(best, run <= format.width ? FrameStart::maybe : FrameStart::no);
    if (run < format.width || (best == FrameStart::yes && format.width < found.width)) continue;
    const std::int64_t value = decimal_value(bytes.substr(0, format.width));
    const bool blanks = bytes.substr(format.width, run - format.width).find_first_not_of(' ') == std::string_view::npos;
    const bool zero = value == 0 && run == format.width && dialect.zero_prefix != Dialect::ZeroPrefix::refuse;
    if (!zero && (value < 2 || value > static_cast<std::int64_t>(max_header) || !blanks)) continue;
    if (open) {
      if (run < ahead_size - 1) best = FrameStart::maybe;
    } else if (zero || opens_header(bytes[run])) {
      best = FrameStart::yes;
      found = format;
    }
  }
  return best;
}

void check_header_size(std::size_t size) {
  if (size > largest_max_header_size) {
    throw std::invalid_argument("a header of " + std::to_string(size) + " bytes: at most " +
                                std::to_string(largest_max_header_size) + " can be sent");
  }
}

void write_default_prefix(char* to, std::size_t size) {
  for (std::size_t i = 0; i < 4; ++i) to[i] = static_cast<char>(size >> (8 * i) & 0xff);
}

}  // namespace

std::size_t digits_and_blanks(std::string_view bytes) {
  const auto end = std::find_if(bytes.begin(), bytes.end(), [](char c) { return c != ' ' && !is_decimal_digit(c); });
  return static_cast<std::size_t>(end - bytes.begin());
}

FrameStart match_start(std::string_view bytes, const PrefixFormat& format, const Dialect& dialect,
                       std::uint32_t max_header) {
  const std::string_view prefix = bytes.substr(0, format.width);
  const std::int64_t value = prefix_value(prefix, format);
  if (format.kind == PrefixFormat::Kind::decimal && value < 0 &&
      prefix.find_first_not_of(' ') != std::string_view::npos)
    return FrameStart::no;
  if (value > static_cast<std::int64_t>(max_header)) return FrameStart::no;
  if (value < 0 && format.kind == PrefixFormat::Kind::binary) return FrameStart::no;
  if (bytes.size() < format.width) return FrameStart::maybe;
  if (value == 0 && dialect.zero_prefix != Dialect::ZeroPrefix::refuse) return FrameStart::yes;
  if (value < 2) return FrameStart::no;
  if (bytes.size() == format.width) return FrameStart::maybe;
  // Two letters and a blank are the beginning of a line, such as "ls x".
  const bool text = format.kind == PrefixFormat::Kind::binary && std::all_of(prefix.begin(), prefix.end(), is_plain);
  if (text && is_white(bytes[format.width])) return FrameStart::no;
  return opens_header(bytes[format.width]) ? FrameStart::yes : FrameStart::no;
}

FrameStart match_any_start(std::string_view bytes, std::span<const PrefixFormat> formats, const Dialect& dialect,
                           std::uint32_t max_header, PrefixFormat& found) {
  bool maybe = false;
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    const std::string_view first = bytes.substr(0, size);
    const bool several = formats.size() > 1;
    const FrameStart decimal = several ? match_decimal(first, formats, dialect, max_header, found) : FrameStart::no;
    if (decimal == FrameStart::yes) return decimal;
    maybe = decimal == FrameStart::maybe;
    for (const PrefixFormat& format : formats) {
      if (several && format.kind == PrefixFormat::Kind::decimal) continue;
      const FrameStart result = match_start(first, format, dialect, max_header);
      if (result == FrameStart::yes && !maybe) {
        found = format;
        return result;
      }
      maybe = maybe || result != FrameStart::no;
    }
    if (!maybe) return FrameStart::no;
  }
  return maybe ? FrameStart::maybe : FrameStart::no;
}

std::size_t write_prefix(char* to, std::size_t size, const PrefixFormat& format) {
  check_header_size(size);
  if (format == PrefixFormat()) {
    write_default_prefix(to, size);
    return 4;
  }
  std::size_t left = size;
  if (format.kind == PrefixFormat::Kind::decimal) {
    for (std::size_t i = format.width; i > 0; --i, left /= 10) to[i - 1] = static_cast<char>('0' + left % 10);
  } else {
    for (std::size_t i = 0; i < format.width; ++i, left >>= 8) {
      const std::size_t at = format.order == PrefixFormat::Order::big ? format.width - 1u - i : i;
      to[at] = static_cast<char>(left & 0xff);
    }
  }
  if (left != 0) throw std::invalid_argument("a header of " + std::to_string(size) + " bytes: too long for its prefix");
  return format.width;
}

std::string encode_prefix(std::size_t size, const PrefixFormat& format) {
  std::string prefix(format.width, '\0');
  write_prefix(prefix.data(), size, format);
  return prefix;
}

std::size_t longest_header(const PrefixFormat& format) {
  const bool decimal = format.kind == PrefixFormat::Kind::decimal;
  std::uint64_t room = 0;  // digits or bytes of the largest value, one by one
  for (std::size_t i = 0; i < format.width && room < largest_max_header_size; ++i) {
    room = decimal ? room * 10 + 9 : room << 8 | 0xff;
  }
  return static_cast<std::size_t>(std::min<std::uint64_t>(room, largest_max_header_size));
}

std::string encode_head(std::string_view header, const PrefixFormat& prefix) {
  return encode_prefix(header.size(), prefix).append(header);
}

void fill_prefix(std::string& head) {
  const std::size_t size = head.size() - 4;
  check_header_size(size);
  write_default_prefix(head.data(), size);
}

bool is_text(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) {
    return static_cast<unsigned char>(c) >= ' ' ? c != '\x7f' : c == '\t' || c == '\n' || c == '\r';
  });
}

FrameStart frame_start(std::string_view bytes, const Dialect& dialect, std::uint32_t max_header_size) {
  PrefixFormat found;
  return match_any_start(bytes, dialect.prefixes, dialect, max_header_size, found);
}

}  // namespace framecall
