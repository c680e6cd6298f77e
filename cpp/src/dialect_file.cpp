#include "framecall/dialect_file.hpp"

#include <stdexcept>

namespace framecall {

Dialect parse_dialect(std::string_view, std::string_view source) {
  throw std::invalid_argument(std::string(source) + ": not there yet");
}

Dialect load_dialect(const std::filesystem::path& path) { return parse_dialect({}, path.string()); }

std::vector<Dialect> shipped_dialects() {
  Dialect published;
  published.name = "published";
  published.summary = "the taught sender to the byte, its typo included: file_name, file_siz";
  published.size_keys = {"file_siz", "file_size", "filesize", "total_size"};
  return {Dialect(), published};
}

Dialect find_dialect(const std::string& name_or_path) {
  for (Dialect& dialect : shipped_dialects()) {
    if (dialect.name == name_or_path) return std::move(dialect);
  }
  return load_dialect(name_or_path);
}

}  // namespace framecall
