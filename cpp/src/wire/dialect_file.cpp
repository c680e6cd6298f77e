#include "framecall/wire/dialect_file.hpp"

#include <cerrno>
#include <cstdio>
#include <memory>
#include <span>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "framecall/detail/suggestion.hpp"
#include "wire/dialect_draft.hpp"
#include "wire/dialect_rules.hpp"
#include "wire/dialect_settings.hpp"

namespace framecall {

// Name and text of the shipped dialects; CMake makes the definition from cpp/dialects/*.toml.
std::span<const std::pair<std::string_view, std::string_view>> shipped_texts();

namespace {

constexpr std::size_t max_file_size = 1 << 20;

std::string read_file(const std::filesystem::path& path) {
  const auto fail = [&] { throw SystemError(errno, std::generic_category(), path.string()); };
  const auto close = [](std::FILE* file) { std::fclose(file); };
  const std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(path.c_str(), "rb"), close);
  if (!file) fail();
  std::string text(max_file_size + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) fail();
  if (text.size() > max_file_size) throw std::invalid_argument(path.string() + ": more than 1 MiB is no dialect");
  return text;
}

const std::pair<std::string_view, std::string_view>* find_shipped(std::string_view name) {
  for (const auto& shipped : shipped_texts()) {
    if (shipped.first == name) return &shipped;
  }
  return nullptr;
}

Dialect shipped_dialect(const std::pair<std::string_view, std::string_view>& shipped) {
  if (shipped.first == default_dialect().name) return default_dialect();
  return parse_dialect(shipped.second, std::string(shipped.first).append(".toml"));
}

[[noreturn]] void fail_unknown(std::string_view name, std::string_view but) {
  std::string text = quoted_value(name).append(" is ").append(but);
  const char* separator = ": ";
  std::vector<std::string_view> names;
  for (const auto& shipped : shipped_texts()) {
    text.append(separator).append(shipped.first);
    separator = ", ";
    names.push_back(shipped.first);
  }
  throw std::invalid_argument(text.append(suggestion(name, names)));
}

}  // namespace

Dialect parse_dialect(std::string_view text, std::string_view source) {
  DialectDraft draft(source);
  read_settings(text, draft);
  apply_rules(draft);
  return Dialect(std::move(draft));
}

Dialect load_dialect(const std::filesystem::path& path) { return parse_dialect(read_file(path), path.string()); }

std::vector<Dialect> shipped_dialects() {
  std::vector<Dialect> dialects;
  for (const auto& shipped : shipped_texts()) dialects.push_back(shipped_dialect(shipped));
  return dialects;
}

std::string shipped_dialect_text(std::string_view name) {
  const auto* shipped = find_shipped(name);
  if (shipped == nullptr) fail_unknown(name, "none of the shipped dialects");
  return std::string(shipped->second);
}

Dialect find_dialect(const std::string& name_or_path) {
  if (const auto* shipped = find_shipped(name_or_path)) return shipped_dialect(*shipped);
  std::error_code ignored;
  if (std::filesystem::status(name_or_path, ignored).type() == std::filesystem::file_type::not_found) {
    fail_unknown(name_or_path, "neither a file nor one of the shipped dialects");
  }
  return load_dialect(name_or_path);
}

}  // namespace framecall
