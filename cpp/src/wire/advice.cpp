#include "wire/advice.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "framecall/error.hpp"
#include "framecall/wire/frame.hpp"
#include "framecall/wire/header.hpp"

namespace framecall {
namespace {

using View = std::string_view;
using PrefixKind = PrefixFormat::Kind;
using ByteOrder = PrefixFormat::Order;

// A header of at most this size is looked at again, to find out what is wrong with it.
constexpr std::size_t max_examined = 64 * 1024;

bool is_object(View text) {
  try {
    Header header;
    header.read(text);
    return true;
  } catch (const ProtocolError&) {
    return false;
  }
}

// Of an unsigned number of `size` bytes at the front; nothing if fewer are there.
std::optional<std::uint64_t> number(View bytes, ByteOrder order, std::size_t size = 4) {
  if (bytes.size() < size) return std::nullopt;
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    value = value << 8 | static_cast<unsigned char>(bytes[order == ByteOrder::big ? i : size - 1 - i]);
  }
  return value;
}

bool can_be_length(std::optional<std::uint64_t> value) {
  return value && *value >= 2 && *value <= largest_max_header_size;
}

std::string quoted_text(View bytes) { return std::string("\"").append(printable(bytes, 24)).append("\""); }

bool is_json_text(View bytes) {
  const std::size_t next = bytes.size() > 1 ? bytes.find_first_not_of(" \t\r\n", 1) : View::npos;
  return bytes.starts_with('{') && (next == View::npos ? is_text(bytes) : bytes[next] == '"' || bytes[next] == '\'');
}

std::string decimal_advice(View bytes, const PrefixFormat& format) {
  const std::size_t run = std::min(bytes.find_first_not_of("0123456789 "), bytes.size());
  if (bytes.substr(0, run).find_first_of("0123456789") == View::npos) return {};
  const bool ends = run == bytes.size();
  if (!ends && bytes[run] == ':')
    return "; a length that ends with \":\" (a netstring) is out of reach of the dialects";
  if (!ends && bytes[run] != '{') return {};
  const std::string setting = format.kind == PrefixKind::binary ? "prefix.kind = \"decimal\" and " : "";
  return "; the length is written in decimal digits: the dialect settings " + setting +
         "prefix.width = " + (ends ? "(their number)" : std::to_string(run)) + " read it";
}

std::string swapped_advice(View bytes, const PrefixFormat& format, std::uint32_t max_header) {
  if (format.kind == PrefixKind::decimal) {
    for (const ByteOrder order : {ByteOrder::little, ByteOrder::big}) {
      const auto value = number(bytes, order);
      if (bytes.size() <= 4 || bytes[4] != '{' || !can_be_length(value)) continue;
      return "; it is a binary length of " + std::to_string(*value) +
             ": the dialect settings prefix.kind = \"binary\" and " + "prefix.order = \"" +
             (order == ByteOrder::big ? "big" : "little") + "\" read it";
    }
    return {};
  }
  const ByteOrder order = format.order == ByteOrder::big ? ByteOrder::little : ByteOrder::big;
  const auto value = number(bytes, order, format.width);
  const View behind = bytes.substr(std::min<std::size_t>(format.width, bytes.size()));
  const bool second = behind.size() > 4 && behind[4] == '{';  // a length of the body, which is told about next
  const bool fits = behind.empty() || behind[0] == '{' || second;
  if (!value || *value < 2 || *value > max_header || !fits) return {};
  const bool big = order == ByteOrder::big;
  return "; with its bytes swapped it is " + std::to_string(*value) + ": the sender writes " +
         (big ? "big-endian lengths, struct.pack('!I', n): the dialect setting prefix.order = \"big\" reads them"
              : "little-endian lengths, struct.pack('i', n): the dialect setting prefix.order = \"little\" reads them");
}

bool is_letter(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
bool is_letter_or_digit(char c) { return is_letter(c) || (c >= '0' && c <= '9'); }

bool is_ascii_text(View bytes) {
  return std::all_of(bytes.begin(), bytes.end(),
                     [](char c) { return c < ' ' ? c == '\t' || c == '\r' || c == '\n' : c <= '~'; });
}

std::string text_advice(View bytes, std::size_t shown) {
  const View magic = bytes.substr(0, 4), behind = bytes.substr(magic.size());
  const bool before_length =
      std::all_of(magic.begin(), magic.end(), is_letter_or_digit) && behind.size() > 4 && behind[4] == '{' &&
      (can_be_length(number(behind, ByteOrder::little)) || can_be_length(number(behind, ByteOrder::big)));
  if (before_length) {
    return "; the text " + quoted_text(magic) + " stands in front of the length, which is out of reach of the dialects";
  }
  const View first = bytes.substr(0, shown);
  if (!is_ascii_text(first)) return {};
  const std::string text = "; the first bytes are text: " + printable(first);
  if (bytes.starts_with("Content-")) {
    return text + ": lines in front of a header, as in HTTP, are out of reach of the dialects";
  }
  const auto word = static_cast<std::size_t>(std::find_if_not(first.begin(), first.end(), is_letter) - first.begin());
  const bool command =
      word > 0 && (word == first.size() || first[word] == ' ' || first[word] == '\n' || first[word] == '\r');
  return command ? text + ": the dialect settings request.lines = true and [words] read commands like it" : text;
}

// --- headers

// Whether all that is not ASCII can be GBK, and the rest is a JSON object.
std::pair<bool, bool> as_eight_bits(View head) {
  if (std::all_of(head.begin(), head.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; })) return {};
  std::string gbk, single;
  bool is_gbk = true;
  for (std::size_t i = 0; i < head.size(); ++i) {
    const auto byte = static_cast<unsigned char>(head[i]);
    single += byte < 0x80 ? head[i] : '?';
    if (byte < 0x80) {
      gbk += head[i];
      continue;
    }
    const auto next = i + 1 < head.size() ? static_cast<unsigned char>(head[i + 1]) : 0;
    is_gbk = is_gbk && byte > 0x80 && byte < 0xff && next >= 0x40 && next != 0x7f && next != 0xff;
    gbk += '?';
    if (is_gbk) ++i;
    if (is_gbk && i < head.size()) single += static_cast<unsigned char>(head[i]) < 0x80 ? head[i] : '?';
  }
  return {is_gbk && is_object(gbk), is_object(single)};
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// A length of characters: the header goes on for as many bytes as its characters have more than one.
bool counts_characters(View behind_prefix, std::size_t length) {
  std::size_t size = 0, characters = 0;
  while (size < behind_prefix.size() && characters < length) {
    ++size;
    while (size < behind_prefix.size() && is_continuation(behind_prefix[size])) ++size;
    ++characters;
  }
  return characters == length && size > length && is_object(behind_prefix.substr(0, size));
}

std::string content_of_another_kind(View head) {
  const std::pair<View, const char*> kinds[] = {{"\xff\xd8\xff", "a JPEG picture"}, {"\x89PNG", "a PNG picture"},
                                                {"GIF8", "a GIF picture"},          {"%PDF", "a PDF file"},
                                                {"PK\x03\x04", "a ZIP file"},       {"\x1f\x8b", "a gzip file"}};
  for (const auto& [start, name] : kinds) {
    if (head.starts_with(start)) {
      return std::string("behind the length there is ") + name +
             ", not a JSON header: a length and raw bytes are out of reach of the dialects";
    }
  }
  // Protocols 2 to 5 of pickle begin with 80 hex and their number.
  if (head.size() >= 2 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5) {
    return "the header is a pickle, not JSON: it is never read, because reading one runs what is in it";
  }
  return {};
}

std::string utf16_advice(View head) {
  const bool marked = head.starts_with("\xff\xfe") || head.starts_with("\xfe\xff");
  const bool little = head.size() >= 4 && head[0] == '{' && head[1] == 0 && head[2] != 0 && head[3] == 0;
  const bool big = head.size() >= 4 && head[0] == 0 && head[1] == '{' && head[2] == 0 && head[3] != 0;
  return marked || little || big ? "the header is UTF-16, not UTF-8: the sender has to encode it with .encode('utf-8')"
                                 : "";
}

std::string misplaced_length(View bytes, const PrefixFormat& format) {
  if (format.kind == PrefixKind::decimal) return {};
  const View head = bytes.substr(format.width);
  for (const ByteOrder order : {ByteOrder::little, ByteOrder::big}) {
    for (const std::size_t size : {std::size_t{4}, std::size_t{8}}) {
      const auto second = number(head, order, size);
      if (head.size() > size && head[size] == '{' && !is_text(head.substr(0, size)) && second && *second >> 40 == 0) {
        return "a second binary length, " + std::to_string(*second) +
               ", stands between the length and the header, which is out of reach of the dialects";
      }
    }
  }
  const View later = bytes.substr(1);
  if (later.size() > format.width && later[format.width] == '{' &&
      can_be_length(number(later, format.order, format.width))) {
    return "the byte " + printable(bytes.substr(0, 1)) + " stands in front of the length " +
           std::to_string(*number(later, format.order, format.width)) + ", which is out of reach of the dialects";
  }
  return {};
}

std::uint64_t announced(View bytes, const PrefixFormat& format) {
  if (format.kind == PrefixKind::binary) return number(bytes, format.order, format.width).value_or(0);
  std::uint64_t value = 0;
  for (const char c : bytes.substr(0, format.width)) {
    if (c >= '0' && c <= '9') value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

}  // namespace

std::string length_advice(View bytes, const PrefixFormat& format, std::uint32_t max_header, std::size_t shown) {
  const auto looks_like = [&](const char* what) {
    return std::string("; the first bytes are ").append(what) + ": " + printable(bytes.substr(0, shown));
  };
  for (const View start : {"GET ", "POST", "HEAD", "PUT ", "OPTI", "HTTP"}) {
    if (bytes.starts_with(start)) return looks_like("HTTP");
  }
  if (bytes.starts_with("\x16\x03")) return looks_like("a TLS handshake");
  if (is_json_text(bytes)) {
    return "; this is JSON without a length in front of it: " + quoted_text(bytes.substr(0, shown)) +
           "; the sender has to write one, struct.pack('i', len(header)); the dialect settings request.lines = true "
           "and "
           "login.form = \"text\" read requests and logins like it, but no uploads";
  }
  if (!utf16_advice(bytes).empty()) return "; this is text in UTF-16 without a length in front of it";
  std::string advice = decimal_advice(bytes, format);
  if (advice.empty()) advice = swapped_advice(bytes, format, max_header);
  if (advice.empty()) advice = text_advice(bytes, shown);
  return advice;
}

std::string header_advice(View bytes, const PrefixFormat& format) {
  const std::uint64_t length = announced(bytes, format);
  const View behind_prefix = bytes.substr(std::min<std::size_t>(format.width, bytes.size()));
  const View head = behind_prefix.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(length, max_examined)));
  for (const std::string& advice :
       {content_of_another_kind(head), utf16_advice(head), misplaced_length(bytes, format)}) {
    if (!advice.empty()) return advice;
  }
  if (head.size() < length) return {};
  if (length > format.width && is_object(head.substr(0, head.size() - format.width))) {
    return "the length counts itself: it is " + std::to_string(length) + ", and the header has " +
           std::to_string(length - format.width) + " bytes; it has to be len(header)";
  }
  if (counts_characters(behind_prefix, head.size())) {
    return "the length counts characters, not bytes: it has to be len(header) of the encoded header";
  }
  const auto [gbk, single] = as_eight_bits(head);
  if (gbk || single) {
    return std::string("the header is not UTF-8: it would be JSON in ") +
           (gbk && single ? "GBK or CP1252"
            : gbk         ? "GBK"
                          : "CP1252") +
           "; the sender has to encode it with .encode('utf-8')";
  }
  return {};
}

std::string unfinished_advice(View bytes, const PrefixFormat& format) {
  if (bytes.size() <= format.width) return {};
  const View text = bytes.substr(format.width);
  const std::uint64_t length = announced(bytes, format);
  std::string advice = ": " + std::to_string(text.size()) + " of its " + std::to_string(length) + " bytes came";
  if (text.size() > max_examined || !is_object(text)) return advice;
  return advice + (text.size() + format.width == length ? ", which are a whole header: the length counts itself"
                                                        : ", which are a whole header: the length is too large");
}

}  // namespace framecall
