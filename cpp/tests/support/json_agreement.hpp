// The three readers of JSON text against each other, and against the writer: for header_test and fuzz_json.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "framecall/detail/json_reader.hpp"
#include "framecall/wire/header.hpp"
#include "framecall/wire/json.hpp"

namespace framecall {

/// "" when `read` takes it, else "CODE at OFFSET".
template <class Read>
std::string refusal(Read read) {
  try {
    read();
    return {};
  } catch (const ProtocolError& error) {
    return std::to_string(static_cast<int>(error.code())) + " at " + std::to_string(error.offset());
  }
}

/// What a header says of one member of the value that the same text stands for; "" if they agree.
inline std::string disagreement(const Header& header, const std::string& key, const Json& value) {
  const Token* token = header.find(key);
  if (token == nullptr) return "missing";
  const Json read = parse_json(token->text);
  if (dump_json(read) != dump_json(value)) return "another value";
  std::string scratch;
  std::optional<std::uint64_t> size;
  switch (token->kind) {
    case Token::Kind::plain_string:
    case Token::Kind::escaped_string:
      if (!value.is_string() || string_value(*token, scratch) != value.get_ref<const std::string&>()) return "string";
      break;
    case Token::Kind::integer:
      if (!is_integer(value)) return "integer";
      if (value.is_number_unsigned() && value.get<std::uint64_t>() <= INT64_MAX) size = value.get<std::uint64_t>();
      if (value.type() == Json::value_t::number_integer && value >= 0) size = value.get<std::uint64_t>();
      break;
    case Token::Kind::real:
      if (!value.is_number_float()) return "real";
      break;
    case Token::Kind::boolean_true:
    case Token::Kind::boolean_false:
      if (value != (token->kind == Token::Kind::boolean_true)) return "boolean";
      break;
    case Token::Kind::null:
      if (!value.is_null()) return "null";
      break;
    case Token::Kind::list:
      if (!value.is_array()) return "list";
      break;
    case Token::Kind::object:
      if (!value.is_object()) return "object";
      break;
  }
  if (token->is_string() != value.is_string()) return "is_string";
  return size_value(*token) == size ? "" : "size_value";
}

/// How the readers disagree about `text`, or the writer with them; "" if they agree.
inline std::string disagreement(std::string_view text) {
  Json value;
  const std::string refused = refusal([&] { value = parse_json(text); });
  NoValues no_values;
  if (refusal([&] { JsonReader(text).document(no_values); }) != refused) return "JsonReader";
  Header header;
  const bool object = refused.empty() && value.is_object();
  const std::string expected = refused.empty() && !object ? "-32600 at 0" : refused;
  if (const auto got = refusal([&] { header.read(text); }); got != expected)
    return "Header: " + got + ", not " + expected;
  if (!refused.empty()) return {};

  const std::string written = dump_json(value);
  if (!std::all_of(written.begin(), written.end(), [](char c) { return c >= ' ' && c <= '~'; })) return "not ASCII";
  Json again;
  if (const auto got = refusal([&] { again = parse_json(written); }); !got.empty()) return "what was written: " + got;
  if (dump_json(again) != written) return "not stable: " + written;
  if (!object) return {};

  for (const auto& [key, member] : value.items()) {
    if (const auto got = disagreement(header, key, member); !got.empty()) return "member " + key + ": " + got;
  }
  for (std::string key : header.keys(SIZE_MAX)) {
    if (!value.contains(key)) return "a key that did not come: " + key;
  }
  for (std::size_t i = 0; i < key_count; ++i) {
    const Token* token = header.find(static_cast<Key>(i));
    if ((token != nullptr) != header.has(static_cast<Key>(i))) return "has() and find()";
  }
  return {};
}

}  // namespace framecall
