#include "framecall/wire/header.hpp"

#include <charconv>

#include "framecall/detail/json_reader.hpp"

namespace framecall {
namespace {

constexpr std::array<std::string_view, key_count> key_names = {
    "jsonrpc", "id",   "method", "params",   "body_size",   "timeout_ms", "more",  "stream", "result",
    "error",   "item", "digest", "metadata", "traceparent", "tracestate", "dtype", "shape",  "tensors"};

constexpr std::size_t no_key = key_count;

std::size_t key_index(std::string_view name) {
  for (std::size_t i = 0; i < key_count; ++i) {
    if (key_names[i] == name) return i;
  }
  return no_key;
}

// The commonest keys exactly as json.dumps writes them, colon and blank included, in one comparison: this halves the
// time of a typical header. no_key: read it the long way.
std::size_t take_usual_key(JsonReader& reader) {
  const std::string_view rest = reader.rest();
  const auto is = [&](Key key, std::string_view text) {
    if (!rest.starts_with(text)) return no_key;
    reader.advance(text.size());
    return static_cast<std::size_t>(key);
  };
  if (rest.size() < 4) return no_key;
  switch (rest[1]) {
    case 'b': return is(Key::body_size, "\"body_size\": ");
    case 'i': return is(Key::id, "\"id\": ");
    case 'j': return is(Key::jsonrpc, "\"jsonrpc\": ");
    case 'm':
      if (rest[3] == 't') {
        const std::size_t key = is(Key::method, "\"method\": ");
        return key != no_key ? key : is(Key::metadata, "\"metadata\": ");
      }
      return is(Key::more, "\"more\": ");
    case 'p': return is(Key::params, "\"params\": ");
    case 'r': return is(Key::result, "\"result\": ");
    case 't': return is(Key::timeout_ms, "\"timeout_ms\": ");
    default: return no_key;
  }
}

// Tells what kind of token was read.
struct KindBuilder {
  using Value = Token::Kind;
  Value null() { return Value::null; }
  Value boolean(bool value) { return value ? Value::boolean_true : Value::boolean_false; }
  Value integer(std::string_view) { return Value::integer; }
  Value real(std::string_view) { return Value::real; }
  Value special(double) { return Value::real; }
  Value string(const StringToken& token) { return token.escaped ? Value::escaped_string : Value::plain_string; }
  Value list() { return Value::list; }
  void append(Value&, Value) {}
  Value object() { return Value::object; }
  Value key(const StringToken&) { return Value::null; }
  void set(Value&, Value, Value) {}
  Value finish(Value kind) { return kind; }
};

}  // namespace

void Header::read(std::string_view text) {
  text_ = text;
  seen_ = 0;
  others_.clear();
  JsonReader reader(text);
  KindBuilder kinds;
  reader.skip_white_space();
  if (!reader.take('{')) {
    reader.document(kinds);
    throw ProtocolError(ErrorCode::invalid_request, 0, "the header is JSON but not an object");
  }
  reader.skip_white_space();
  if (!reader.take('}')) {
    for (;;) {
      std::size_t known = take_usual_key(reader);
      StringToken name;
      if (known == no_key) {
        if (!reader.take('"')) reader.fail("expecting a key in double quotes");
        name = reader.string();
        if (name.escaped) {
          std::string decoded;
          decode_string(name.raw, decoded);
          known = key_index(decoded);
        } else {
          known = key_index(name.raw);
        }
        reader.skip_white_space();
        if (!reader.take(':')) reader.fail("expecting ':'");
      }
      reader.skip_white_space();
      const char* const start = reader.position();
      const Token::Kind kind = reader.value(kinds, 2);
      const Token token{{start, static_cast<std::size_t>(reader.position() - start)}, kind};
      if (known != no_key) {
        known_[known] = token;
        seen_ |= 1u << known;
      } else {
        others_.push_back({name.raw, name.escaped, token});
      }
      reader.skip_white_space();
      if (reader.take('}')) break;
      if (!reader.take(',')) reader.fail("expecting ',' or '}'");
      reader.skip_white_space();
    }
  }
  reader.expect_end();
}

const Token* Header::find(std::string_view name) const {
  const std::size_t known = key_index(name);
  if (known != no_key) return find(static_cast<Key>(known));
  std::string decoded;
  for (auto member = others_.rbegin(); member != others_.rend(); ++member) {  // the last one counts
    if (!member->escaped) {
      if (member->key == name) return &member->value;
      continue;
    }
    decoded.clear();
    decode_string(member->key, decoded);
    if (decoded == name) return &member->value;
  }
  return nullptr;
}

std::vector<std::string> Header::keys(std::size_t max_count) const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < key_count && names.size() < max_count; ++i) {
    if (has(static_cast<Key>(i))) names.emplace_back(key_names[i]);
  }
  for (const Member& member : others_) {
    if (names.size() >= max_count) break;
    std::string name;
    decode_string(member.key, name);
    names.push_back(std::move(name));
  }
  return names;
}

std::string_view string_value(const Token& token, std::string& scratch) {
  const std::string_view raw = token.text.substr(1, token.text.size() - 2);
  if (token.kind == Token::Kind::plain_string) return raw;
  scratch.clear();
  decode_string(raw, scratch);
  return scratch;
}

std::optional<std::uint64_t> size_value(const Token& token) {
  if (token.kind != Token::Kind::integer) return std::nullopt;
  std::int64_t size = 0;
  const auto result = std::from_chars(token.text.data(), token.text.data() + token.text.size(), size);
  if (result.ec != std::errc{} || size < 0) return std::nullopt;
  return static_cast<std::uint64_t>(size);
}

}  // namespace framecall
