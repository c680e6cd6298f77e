#include "framecall/detail/json_text.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "framecall/detail/json_reader.hpp"

namespace framecall {

// ---- reading

void JsonReader::fail(const char* what) const {
  const auto offset = static_cast<std::uint64_t>(at_ - begin_);
  throw ProtocolError(ErrorCode::parse_error, offset,
                      std::string("not JSON: ") + what + " at byte " + std::to_string(offset));
}

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string_view JsonReader::number(bool& real) {
  const char* const start = at_;
  const auto digits = [this] {
    const char* const first = at_;
    while (at_ < end_ && is_digit(*at_)) ++at_;
    if (at_ == first) fail("expecting a value");
    return static_cast<std::size_t>(at_ - first);
  };
  take('-');
  std::size_t integer_size = 1;
  if (!take('0')) integer_size = digits();
  if (take('.')) {
    real = true;
    digits();
  }
  if (take('e') || take('E')) {
    real = true;
    if (!take('+')) take('-');
    digits();
  }
  if (!real && integer_size > max_integer_digits) fail("integer of more than 4300 digits");
  return {start, static_cast<std::size_t>(at_ - start)};
}

StringToken JsonReader::unusual_string(const char* start) {
  StringToken token;
  while (at_ < end_) {
    const auto c = static_cast<unsigned char>(*at_);
    if (c == '"') {
      token.raw = {start, static_cast<std::size_t>(at_ - start)};
      ++at_;
      return token;
    }
    if (c == '\\') {
      token.escaped = true;
      if (end_ - at_ < 2) break;
      if (at_[1] == 'u') {
        if (end_ - at_ < 6) fail("invalid \\u escape");
        for (int i = 2; i < 6; ++i) {
          if (hex_value(at_[i]) < 0) fail("invalid \\u escape");
        }
        at_ += 6;
      } else if (std::string_view("\"\\/bfnrt").find(at_[1]) != std::string_view::npos) {
        at_ += 2;
      } else {
        fail("invalid escape");
      }
    } else if (c < 0x20) {
      fail("control character in a string");
    } else if (c < 0x80) {
      ++at_;
    } else {
      char32_t code_point = 0;
      const int size = decode_utf8(at_, end_, code_point, false);
      if (size == 0) fail("invalid UTF-8");
      at_ += size;
      token.ascii = false;
    }
    at_ = find_special(at_, end_);
  }
  fail("string without an end");
}

bool decode_string(std::string_view raw, std::string& out) {
  constexpr std::string_view names = "\"\\/bfnrt";
  constexpr std::string_view values = "\"\\/\b\f\n\r\t";
  const auto unit = [](const char* digits) {
    char32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 4 | static_cast<char32_t>(hex_value(digits[i]));
    return value;
  };
  bool ascii = true;
  const char* at = raw.data();
  const char* const end = at + raw.size();
  while (at < end) {
    if (*at != '\\') {
      const char* const start = at;
      while (at < end && *at != '\\') ascii &= static_cast<unsigned char>(*at++) < 0x80;
      out.append(start, at);
    } else if (at[1] != 'u') {
      out += values[names.find(at[1])];
      at += 2;
    } else {
      char32_t code_point = unit(at + 2);
      at += 6;
      if (code_point >= 0xd800 && code_point < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
        const char32_t low = unit(at + 2);
        if (low >= 0xdc00 && low < 0xe000) {  // only a high one directly before a low one makes a pair
          code_point = 0x10000 + ((code_point - 0xd800) << 10) + (low - 0xdc00);
          at += 6;
        }
      }
      ascii &= code_point < 0x80;
      append_utf8(out, code_point);
    }
  }
  return ascii;
}

int decode_utf8(const char* at, const char* end, char32_t& code_point, bool surrogates) {
  const auto byte = [&](int i) { return static_cast<char32_t>(static_cast<unsigned char>(at[i])); };
  const auto continues = [&](int count) {
    if (end - at <= count) return false;
    for (int i = 1; i <= count; ++i) {
      if ((byte(i) & 0xc0) != 0x80) return false;
    }
    return true;
  };
  if (byte(0) < 0x80) {
    code_point = byte(0);
    return 1;
  }
  if (byte(0) >= 0xc2 && byte(0) < 0xe0 && continues(1)) {
    code_point = (byte(0) & 0x1f) << 6 | (byte(1) & 0x3f);
    return 2;
  }
  if (byte(0) >= 0xe0 && byte(0) < 0xf0 && continues(2)) {
    code_point = (byte(0) & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f);
    if (code_point < 0x800) return 0;
    return surrogates || code_point < 0xd800 || code_point > 0xdfff ? 3 : 0;
  }
  if (byte(0) >= 0xf0 && byte(0) < 0xf5 && continues(3)) {
    code_point = (byte(0) & 0x07) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 | (byte(3) & 0x3f);
    return code_point >= 0x10000 && code_point <= 0x10ffff ? 4 : 0;
  }
  return 0;
}

void append_utf8(std::string& out, char32_t c) {
  const auto tail = [](char32_t bits) { return static_cast<char>(0x80 | (bits & 0x3f)); };
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += {static_cast<char>(0xc0 | c >> 6), tail(c)};
  } else if (c < 0x10000) {
    out += {static_cast<char>(0xe0 | c >> 12), tail(c >> 6), tail(c)};
  } else {
    out += {static_cast<char>(0xf0 | c >> 18), tail(c >> 12), tail(c >> 6), tail(c)};
  }
}

namespace {

// from_chars leaves the value alone when it does not fit, and does not say on which side; about where the first digit
// that is not 0 stands tells, as both ends are more than 300 places away.
double beyond_range(std::string_view number) {
  const std::size_t e = std::min(number.find_first_of("eE"), number.size());
  const std::string_view mantissa = number.substr(0, e);
  std::int64_t exponent = 0;
  if (e < number.size()) {
    const char* first = number.data() + e + 1;
    const bool down = *first == '-';
    if (*first == '+') ++first;
    constexpr std::int64_t huge = std::int64_t{1} << 60;  // no mantissa is long enough to make up for it
    if (std::from_chars(first, number.data() + number.size(), exponent).ec != std::errc{})
      exponent = down ? -huge : huge;
    exponent = std::clamp(exponent, -huge, huge);
  }
  const auto point = static_cast<std::int64_t>(std::min(mantissa.find('.'), mantissa.size()));
  const auto lead = static_cast<std::int64_t>(mantissa.find_first_of("123456789"));
  const double value = exponent + point - lead > 0 ? HUGE_VAL : 0.0;
  return number.front() == '-' ? -value : value;
}

}  // namespace

double to_double(std::string_view number) {
  double value = 0;
  const auto result = std::from_chars(number.data(), number.data() + number.size(), value);
  return result.ec == std::errc::result_out_of_range ? beyond_range(number) : value;
}

// ---- writing

namespace {

void write_unit(std::string& out, char32_t unit) {
  constexpr char hex[] = "0123456789abcdef";
  out += {'\\', 'u', hex[unit >> 12 & 15], hex[unit >> 8 & 15], hex[unit >> 4 & 15], hex[unit & 15]};
}

template <class Integer>
void write_any_integer(std::string& out, Integer value) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

}  // namespace

void write_code_point(std::string& out, char32_t c) {
  switch (c) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    case '\b': out += "\\b"; return;
    case '\f': out += "\\f"; return;
    default: break;
  }
  if (c >= ' ' && c <= '~') {
    out += static_cast<char>(c);
  } else if (c <= 0xffff) {
    write_unit(out, c);
  } else {
    write_unit(out, 0xd7c0 + (c >> 10));
    write_unit(out, 0xdc00 | (c & 0x3ff));
  }
}

void write_string(std::string& out, std::string_view text) {
  out += '"';
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    const char* const plain = at;
    at = find_special(at, end);
    out.append(plain, at);
    if (at == end) break;
    char32_t code_point = 0;
    const int size = decode_utf8(at, end, code_point, true);
    if (size == 0) throw std::invalid_argument("a string is not UTF-8");
    write_code_point(out, code_point);
    at += size;
  }
  out += '"';
}

// float.__repr__: the shortest digits that read back the same; fixed notation for exponents -4 to 15.
void write_double(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
    return;
  }
  if (std::isinf(value)) {
    out += value < 0 ? "-Infinity" : "Infinity";
    return;
  }
  char text[32];
  char* const end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  char* const e = std::find(text, end, 'e');  // [-]d[.ddd]e±xx
  int exponent = 0;
  std::from_chars(e[1] == '+' ? e + 2 : e + 1, end, exponent);
  if (exponent < -4 || exponent >= 16) {
    out.append(text, end);
    return;
  }
  const char* at = text;
  if (*at == '-') out += *at++;
  char digits[20];
  int count = 0;
  for (; at < e; ++at) {
    if (*at != '.') digits[count++] = *at;
  }
  const auto append = [&](int from, int to) { out.append(digits + from, digits + to); };
  if (exponent < 0) {
    out += "0.";
    out.append(static_cast<std::size_t>(-exponent - 1), '0');
    append(0, count);
  } else if (count <= exponent + 1) {
    append(0, count);
    out.append(static_cast<std::size_t>(exponent + 1 - count), '0');
    out += ".0";
  } else {
    append(0, exponent + 1);
    out += '.';
    append(exponent + 1, count);
  }
}

void write_integer(std::string& out, std::int64_t value) { write_any_integer(out, value); }
void write_integer(std::string& out, std::uint64_t value) { write_any_integer(out, value); }

}  // namespace framecall
