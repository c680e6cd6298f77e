#include "framecall/dialect.hpp"

#include <array>
#include <stdexcept>

#include "framecall/json_text.hpp"

namespace framecall {
namespace {

std::array<Dialect, 2> make_dialects() {
  Dialect published;
  published.name = "published";
  published.summary = "the taught sender to the byte, its typo included: file_name, file_siz";
  published.size_keys = {"file_siz", "file_size", "filesize", "total_size"};
  return {Dialect(), published};
}

// The value that all the keys which are there agree on, null if none is there.
template <class Equal>
const Token* agreed(const Header& header, const std::vector<std::string>& keys, Equal equal) {
  const Token* found = nullptr;
  std::string_view found_key;
  for (const std::string& key : keys) {
    const Token* token = header.find(key);
    if (token == nullptr) continue;
    if (found != nullptr && !equal(*found, *token)) {
      throw ProtocolError(ErrorCode::invalid_request, 0,
                          std::string(found_key) + " and " + key + " are both there and differ");
    }
    if (found == nullptr) {
      found = token;
      found_key = key;
    }
  }
  return found;
}

std::uint64_t checked_size(const Token& token, std::string_view key) {
  const auto size = size_value(token);
  if (size) return *size;
  throw ProtocolError(ErrorCode::invalid_request, 0,
                      std::string(key) + " is not an integer 0 .. 2^63-1: " + printable(token.text, 40));
}

const Token* upload_size(const Header& header, const Dialect& dialect) {
  for (const std::string& key : dialect.size_keys) {
    if (const Token* token = header.find(key)) checked_size(*token, key);
  }
  return agreed(header, dialect.size_keys,
                [](const Token& a, const Token& b) { return *size_value(a) == *size_value(b); });
}

bool is_rpc(const Header& header) {
  return header.has(Key::method) || header.has(Key::result) || header.has(Key::error) || header.has(Key::item);
}

}  // namespace

std::span<const Dialect> dialects() {
  static const std::array<Dialect, 2> all = make_dialects();
  return all;
}

const Dialect* find_dialect(std::string_view name) {
  for (const Dialect& dialect : dialects()) {
    if (dialect.name == name) return &dialect;
  }
  return nullptr;
}

std::string upload_header(const Dialect& dialect, std::string_view name, std::uint64_t size) {
  std::string text = "{";
  write_string(text, dialect.name_keys.front());
  text += ": ";
  write_string(text, name);
  text += ", ";
  write_string(text, dialect.size_keys.front());
  text += ": ";
  write_integer(text, size);
  text += '}';
  return text;
}

std::optional<UploadHead> upload_head(const Header& header, const Dialect& dialect) {
  if (is_rpc(header)) return std::nullopt;
  const Token* size = upload_size(header, dialect);
  const Token* name = agreed(header, dialect.name_keys, [](const Token& a, const Token& b) {
    std::string scratch_a, scratch_b;
    return a.is_string() && b.is_string() ? string_value(a, scratch_a) == string_value(b, scratch_b) : a.text == b.text;
  });
  if (size == nullptr || name == nullptr) return std::nullopt;
  return UploadHead{name, *size_value(*size)};
}

std::uint64_t body_size(const Header& header, const Dialect& dialect) {
  if (is_rpc(header)) {
    const Token* token = header.find(Key::body_size);
    return token != nullptr ? checked_size(*token, "body_size") : 0;
  }
  const Token* token = upload_size(header, dialect);
  return token != nullptr ? *size_value(*token) : 0;
}

}  // namespace framecall
