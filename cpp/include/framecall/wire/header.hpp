// A frame's header, read in one pass without allocation: each top-level member as a piece of the text.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framecall/error.hpp"

namespace framecall {

/// The keys that frames give a meaning to (PROTOCOL.md, section 4). Others are found by name.
enum class Key : std::uint8_t {
  jsonrpc,
  id,
  method,
  params,
  body_size,
  timeout_ms,
  more,
  stream,
  result,
  error,
  item,
  digest,
  metadata,
  traceparent,
  tracestate,
  dtype,
  shape,
  tensors,
};
inline constexpr std::size_t key_count = 18;

/// A member's value: its text, checked, and what it is. Strings keep their quotes and escapes.
struct Token {
  enum class Kind : std::uint8_t {
    plain_string,
    escaped_string,
    integer,
    real,
    boolean_true,
    boolean_false,
    null,
    list,
    object
  };
  std::string_view text;
  Kind kind = Kind::null;

  bool is_string() const { return kind == Kind::plain_string || kind == Kind::escaped_string; }
};

/// The members of one header. Of duplicates the last one counts, as in Python. Views live as long as the text given to
/// read(). One Header serves any number of texts, one after the other, and allocates only for keys that have no name
/// above. One thread at a time.
class Header {
 public:
  /// Checks all of `text` and remembers its members. Throws ProtocolError: parse_error if it is not what json.loads
  /// takes, invalid_request if it is no object.
  void read(std::string_view text);

  std::string_view text() const { return text_; }
  bool has(Key key) const { return (seen_ >> static_cast<unsigned>(key) & 1) != 0; }
  /// The member's value, null if it is absent.
  const Token* find(Key key) const { return has(key) ? &known_[static_cast<std::size_t>(key)] : nullptr; }
  /// The same by name, for every key (`name` is generalised UTF-8).
  const Token* find(std::string_view name) const;
  /// The keys that came, decoded, at most `max_count`: for messages about one that is missing.
  std::vector<std::string> keys(std::size_t max_count) const;

 private:
  struct Member {
    std::string_view key;  // as it stands between the quotes
    bool escaped;
    Token value;
  };
  std::string_view text_;
  std::uint32_t seen_ = 0;
  std::array<Token, key_count> known_;
  std::vector<Member> others_;
};

/// The value of a string token, as generalised UTF-8: a view into the text, or into `scratch` if there were escapes.
std::string_view string_value(const Token& token, std::string& scratch);

/// The value of a size: an integer 0 .. 2^63 - 1 (also spelt -0); nothing for any other token.
std::optional<std::uint64_t> size_value(const Token& token);

}  // namespace framecall
