#include "framecall/wire/dialect.hpp"

#include <algorithm>

#include "framecall/detail/json_text.hpp"
#include "framecall/wire/json.hpp"

namespace framecall {
namespace {

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

// json.dumps(value, ensure_ascii=False).
void write_unescaped(std::string& out, std::string_view value) {
  out += '"';
  for (const char c : value) {
    if (is_plain(c) || static_cast<unsigned char>(c) >= 0x7f) {
      out += c;
    } else {
      write_code_point(out, static_cast<unsigned char>(c));
    }
  }
  out += '"';
}

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::optional<Operation> operation_for(const Dialect& dialect, std::string_view word) {
  for (const auto& [spelling, operation] : dialect.words) {
    if (spelling == word) return operation;
  }
  return std::nullopt;
}

std::string text_with(std::string_view text, const AnswerValues& values) {
  std::string files;
  for (const std::string& file : values.files) files += (files.empty() ? "" : "\n") + file;
  const std::string size = std::to_string(values.size);
  const std::pair<std::string_view, std::string_view> places[] = {
      {"$name", values.name}, {"$size", size},   {"$checksum", values.checksum},
      {"$user", values.user}, {"$files", files}, {"$message", values.message}};
  std::string result;
  while (!text.empty()) {
    std::string_view put = text.substr(0, 1), place = put;
    for (const auto& [name, value] : places) {
      if (text.starts_with(name)) put = value, place = name;
    }
    result += put;
    text.remove_prefix(place.size());
  }
  return result;
}

Json json_with(const Json& value, const AnswerValues& values) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (text == "$size") return values.size;
    if (text == "$files") return values.files;
    return text_with(text, values);
  }
  if (!value.is_structured()) return value;
  Json result = value;
  for (auto& [key, member] : result.items()) member = json_with(value.is_array() ? member : value.at(key), values);
  return result;
}

std::string file_members(const Dialect& dialect, std::string_view name, std::uint64_t size, std::string_view checksum) {
  std::string text;
  const auto write = [&](std::string_view value) {
    dialect.escape_non_ascii ? write_string(text, value) : write_unescaped(text, value);
  };
  write(dialect.name_keys.front());
  text += ": ";
  write(name);
  text += ", ";
  write(dialect.size_keys.front());
  text += ": ";
  write_integer(text, size);
  if (!checksum.empty() && dialect.checksum_place == Dialect::ChecksumPlace::header) {
    text += ", ";
    write(dialect.checksum_keys.front());
    text += ": ";
    write(checksum);
  }
  if (!dialect.extra_members.empty()) (text += ", ") += dialect.extra_members;
  return text;
}

}  // namespace

const Dialect& default_dialect() {
  static const Dialect dialect;
  return dialect;
}

std::string file_header(const Dialect& dialect, std::string_view name, std::uint64_t size, std::string_view checksum) {
  return std::string("{").append(file_members(dialect, name, size, checksum)).append("}");
}

std::string upload_header(const Dialect& dialect, std::string_view name, std::uint64_t size,
                          std::string_view checksum) {
  std::string text = "{";
  if (dialect.upload_form == Dialect::UploadForm::operation && !dialect.operation_keys.empty()) {
    write_string(text, dialect.operation_keys.front());
    text += ": ";
    write_string(text, word_for(dialect, Operation::upload));
    text += ", ";
  }
  return text.append(file_members(dialect, name, size, checksum)).append("}");
}

std::string request_header(const Dialect& dialect, Operation operation, std::string_view name) {
  Json header = Json::object();
  if (!dialect.operation_keys.empty()) header[dialect.operation_keys.front()] = word_for(dialect, operation);
  if (!name.empty()) header[dialect.name_keys.front()] = name;
  return dump_json(header);
}

std::string_view word_for(const Dialect& dialect, Operation operation) {
  for (const auto& [spelling, meaning] : dialect.words) {
    if (meaning == operation) return spelling;
  }
  return {};
}

bool is_call(const Header& header, const Dialect& dialect) {
  return dialect.calls &&
         (header.has(Key::method) || header.has(Key::result) || header.has(Key::error) || header.has(Key::item));
}

std::optional<std::string> text_of(const Header& header, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    const Token* token = header.find(key);
    if (token == nullptr) continue;
    std::string scratch;
    return std::string(token->is_string() ? string_value(*token, scratch) : token->text);
  }
  return std::nullopt;
}

Operation operation_of(const Header& header, const Dialect& dialect) {
  if (!dialect.operation_keys.empty()) {
    for (const std::string& key : dialect.operation_keys) {
      const auto word = text_of(header, {key});
      const auto operation = word ? operation_for(dialect, *word) : std::nullopt;
      if (operation) return *operation;
    }
  }
  const auto has_one_of = [&](const std::vector<std::string>& keys) {
    return std::any_of(keys.begin(), keys.end(), [&](const std::string& key) { return header.find(key) != nullptr; });
  };
  if (has_one_of(dialect.user_keys) && has_one_of(dialect.password_keys)) return Operation::login;
  if (has_one_of(dialect.name_keys) && has_one_of(dialect.size_keys)) return Operation::upload;
  return Operation::message;
}

LineRequest read_line(std::string_view line, const Dialect& dialect) {
  line = trimmed(line);
  const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
  const auto operation = operation_for(dialect, line.substr(0, end));
  if (operation) return {*operation, std::string(trimmed(line.substr(end)))};
  return {dialect.bare_names ? Operation::download : Operation::command, std::string(line)};
}

std::optional<UploadHead> upload_head(const Header& header, const Dialect& dialect) {
  if (is_call(header, dialect)) return std::nullopt;
  const Token* size = upload_size(header, dialect);
  const Token* name = agreed(header, dialect.name_keys, [](const Token& a, const Token& b) {
    std::string scratch_a, scratch_b;
    return a.is_string() && b.is_string() ? string_value(a, scratch_a) == string_value(b, scratch_b) : a.text == b.text;
  });
  if (size == nullptr || name == nullptr) return std::nullopt;
  return UploadHead{name, *size_value(*size)};
}

std::uint64_t body_size(const Header& header, const Dialect& dialect) {
  if (is_call(header, dialect)) {
    const Token* token = header.find(Key::body_size);
    return token != nullptr ? checked_size(*token, "body_size") : 0;
  }
  if (!dialect.operation_keys.empty()) {
    const Operation operation = operation_of(header, dialect);
    if (operation != Operation::upload && operation != Operation::message) return 0;
  }
  const Token* token = upload_size(header, dialect);
  if (token == nullptr) return 0;
  const std::uint64_t size = *size_value(*token);
  if (dialect.checksum_place != Dialect::ChecksumPlace::trailer) return size;
  if (size > std::uint64_t{INT64_MAX} - checksum_size) {
    throw ProtocolError(ErrorCode::invalid_request, 0,
                        "no room for a checksum behind " + std::to_string(size) + " bytes");
  }
  return size + checksum_size;
}

std::string fill_in(const Answer& answer, const AnswerValues& values) {
  if (answer.kind == Answer::Kind::frame) return dump_json(json_with(parse_json(answer.content), values));
  return text_with(answer.content, values);
}

bool agrees(const Answer& answer, std::string_view received) {
  const auto has_place = [](std::string_view text) { return text.find('$') != std::string_view::npos; };
  if (answer.kind != Answer::Kind::frame)
    return has_place(answer.content) || trimmed(answer.content) == trimmed(received);
  const Json expected = parse_json(answer.content), got = parse_json(received);
  if (!got.is_object()) return false;
  for (const auto& [key, value] : expected.items()) {
    if (!got.contains(key)) return false;
    if (value.is_string() && has_place(value.get_ref<const std::string&>())) continue;
    if (got.at(key) != value) return false;
  }
  return true;
}

}  // namespace framecall
