// The one JSON grammar: a recursive descent reader that hands values to a builder (see json_text.hpp for what it takes).
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "framecall/detail/json_text.hpp"
#include "framecall/error.hpp"

namespace framecall {

/// A string as it stands between its quotes in the text: checked, escapes not undone.
struct StringToken {
  std::string_view raw;
  bool escaped = false;  ///< has a backslash: decode_string() tells its value
  bool ascii = true;     ///< every raw byte is below 0x80 (an escape may still stand for more)
};

/// Builds nothing: reading with it checks the text. The members are what JsonReader asks of a builder.
struct NoValues {
  struct Value {};
  Value null() { return {}; }
  Value boolean(bool) { return {}; }
  Value integer(std::string_view /*digits*/) { return {}; }  ///< -?(0|[1-9][0-9]*), at most max_integer_digits
  Value real(std::string_view /*number*/) { return {}; }     ///< to_double() tells its value
  Value special(double /*nan_or_infinity*/) { return {}; }
  Value string(const StringToken&) { return {}; }
  Value list() { return {}; }  ///< a list to append to; `finish` makes the value of it
  void append(Value&, Value) {}
  Value object() { return {}; }  ///< an object to set members of, in the order of the text, duplicates included
  Value key(const StringToken&) { return {}; }
  void set(Value&, Value /*key*/, Value) {}
  Value finish(Value) { return {}; }
};

/// Reads one text. Every function throws ProtocolError(parse_error) at the first fault, with its offset in the text.
/// Needs less than 256 KiB of stack at the full depth.
class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : begin_(text.data()), at_(begin_), end_(begin_ + text.size()) {}

  /// The whole text as one value, white space around it allowed.
  template <class Builder>
  auto document(Builder& builder) {
    skip_white_space();
    auto result = value(builder, 1);
    expect_end();
    return result;
  }

  /// The value at the current place; `depth` is its own level, 1 at the top.
  template <class Builder>
  auto value(Builder& builder, int depth) -> decltype(builder.null()) {
    if (at_ == end_) fail("expecting a value");
    switch (*at_) {
      case '"': ++at_; return builder.string(string());
      case '{': return object(builder, depth);
      case '[': return list(builder, depth);
      case 'n': expect("null"); return builder.null();
      case 't': expect("true"); return builder.boolean(true);
      case 'f': expect("false"); return builder.boolean(false);
      case 'N': expect("NaN"); return builder.special(NAN);
      case 'I': expect("Infinity"); return builder.special(HUGE_VAL);
      case '-':
        if (end_ - at_ > 1 && at_[1] == 'I') {
          expect("-Infinity");
          return builder.special(-HUGE_VAL);
        }
    }
    bool real = false;
    const std::string_view text = number(real);
    return real ? builder.real(text) : builder.integer(text);
  }

  /// The string whose opening quote has been taken.
  StringToken string() {
    const char* start = at_;
    at_ = find_special(at_, end_);
    if (at_ < end_ && *at_ == '"') [[likely]]
      return {{start, static_cast<std::size_t>(at_++ - start)}};
    return unusual_string(start);
  }

  const char* position() const { return at_; }
  std::string_view rest() const { return {at_, static_cast<std::size_t>(end_ - at_)}; }
  void advance(std::size_t size) { at_ += size; }
  void skip_white_space() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) ++at_;
  }
  bool take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  /// Only white space may follow.
  void expect_end() {
    skip_white_space();
    if (at_ != end_) fail("extra data");
  }
  /// Throws ProtocolError(parse_error): `what` and where.
  [[noreturn]] void fail(const char* what) const;

 private:
  template <class Builder>
  auto list(Builder& builder, int depth) -> decltype(builder.null()) {
    if (depth > max_depth) fail("nested too deep");
    ++at_;
    auto items = builder.list();
    skip_white_space();
    if (take(']')) return builder.finish(std::move(items));
    for (;;) {
      builder.append(items, value(builder, depth + 1));
      skip_white_space();
      if (take(']')) return builder.finish(std::move(items));
      if (!take(',')) fail("expecting ',' or ']'");
      skip_white_space();
    }
  }

  template <class Builder>
  auto object(Builder& builder, int depth) -> decltype(builder.null()) {
    if (depth > max_depth) fail("nested too deep");
    ++at_;
    auto members = builder.object();
    skip_white_space();
    if (take('}')) return builder.finish(std::move(members));
    for (;;) {
      if (!take('"')) fail("expecting a key in double quotes");
      auto key = builder.key(string());
      skip_white_space();
      if (!take(':')) fail("expecting ':'");
      skip_white_space();
      builder.set(members, std::move(key), value(builder, depth + 1));
      skip_white_space();
      if (take('}')) return builder.finish(std::move(members));
      if (!take(',')) fail("expecting ',' or '}'");
      skip_white_space();
    }
  }

  void expect(std::string_view word) {
    if (!rest().starts_with(word)) fail("expecting a value");
    at_ += word.size();
  }
  std::string_view number(bool& real);
  StringToken unusual_string(const char* start);

  const char* begin_;
  const char* at_;
  const char* end_;
};

}  // namespace framecall
