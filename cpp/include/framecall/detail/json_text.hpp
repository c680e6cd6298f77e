// JSON text exactly as CPython's json module reads and writes it: the parts that need no value type.
//
// Reading: what `json.loads(bytes.decode("utf-8"))` takes is taken, with the same meaning, and nothing else: NaN,
// Infinity and -Infinity, integers of any size up to 4,300 digits, escapes of lone surrogates; no byte order mark, no
// NUL behind the document, strict UTF-8. Writing: the bytes of `json.dumps(value)` with default arguments.
// Where this side may differ: nesting deeper than `max_depth` is refused whatever the Python version would do.
//
// Strings are "generalised UTF-8": UTF-8 in which a lone surrogate stands as its three bytes ED Ax xx. Only escapes
// make such bytes; raw ones in the text are refused.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace framecall {

/// Deepest nesting that is read and written, counted with the top value as 1: what CPython 3.6 to 3.11 can write
/// (993) is read.
inline constexpr int max_depth = 1000;

/// Most digits of an integer, CPython's own limit (sys.int_info.default_max_str_digits).
inline constexpr std::size_t max_integer_digits = 4300;

/// True for a character that stands for itself in a string as json.dumps writes it.
inline bool is_plain(char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; }

/// The first byte that is not is_plain(), `end` if all are. Reads nothing at or behind `end`.
inline const char* find_special(const char* at, const char* end) {
#ifdef __SSE2__
  for (; end - at >= 16; at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i below_blank = _mm_cmplt_epi8(bytes, _mm_set1_epi8(' '));  // signed: also 0x80 and above
    const __m128i is_del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
    const __m128i is_quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    const __m128i is_backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    const int special =
        _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(below_blank, is_del), _mm_or_si128(is_quote, is_backslash)));
    if (special != 0) return at + std::countr_zero(static_cast<unsigned>(special));
  }
#endif
  while (at < end && is_plain(*at)) ++at;
  return at;
}

/// Appends the value of a string with escapes to `out`, as generalised UTF-8. True if all of it is ASCII.
/// `raw` has been checked by JsonReader (json_reader.hpp).
bool decode_string(std::string_view raw, std::string& out);

/// One code point of generalised UTF-8 at `at` (before `end`) into `code_point`; the number of its bytes, 0 if it is
/// malformed. Encoded surrogates are taken only with `surrogates`.
int decode_utf8(const char* at, const char* end, char32_t& code_point, bool surrogates);

/// Appends `code_point` to `out` as generalised UTF-8.
void append_utf8(std::string& out, char32_t code_point);

/// float() of the text of a JSON number: correctly rounded, infinite beyond the range, signed zero below it.
double to_double(std::string_view number);

void write_code_point(std::string& out, char32_t code_point);  ///< inside of a string, escaped where json.dumps does
/// Quotes included. Throws std::invalid_argument if `text` is not generalised UTF-8.
void write_string(std::string& out, std::string_view text);
void write_double(std::string& out, double value);  ///< float.__repr__, or NaN, Infinity, -Infinity
void write_integer(std::string& out, std::int64_t value);
void write_integer(std::string& out, std::uint64_t value);

}  // namespace framecall
