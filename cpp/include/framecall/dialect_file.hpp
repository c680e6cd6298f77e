// Dialects as files: the TOML form that DIALECTS.md describes, and the ones that are shipped.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "framecall/dialect.hpp"

namespace framecall {

/// Reads a dialect from TOML text. What the text leaves out is as in `Dialect` for relatives: many aliases for each
/// key, and an empty text speaks the taught form. Throws std::invalid_argument that names `source`, the line and the
/// key: for TOML that is none, for unknown keys, wrong types, and settings that contradict each other.
Dialect parse_dialect(std::string_view text, std::string_view source);

/// Reads it from a file; its name without `.toml` is the dialect's. Throws std::system_error, std::invalid_argument.
Dialect load_dialect(const std::filesystem::path& path);

/// Every shipped dialect, `default` first, then by name.
std::vector<Dialect> shipped_dialects();

/// The shipped dialect of that name, or else the file; `auto` is one of the shipped. Throws std::invalid_argument for a
/// name that is neither, std::system_error.
Dialect find_dialect(const std::string& name_or_path);

}  // namespace framecall
