// Dialects as files: the TOML form that DIALECTS.md describes, and the ones that are shipped.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "framecall/wire/dialect.hpp"

namespace framecall {

/// Reads a dialect from TOML text. An empty text speaks the taught form, more leniently than default_dialect(): many
/// aliases for each key, a byte order mark is skipped, of a path the last part counts. The last part of `source`
/// without `.toml` is the dialect's name. Throws std::invalid_argument that names `source`, the line and the setting:
/// for text that is no TOML, unknown settings, wrong types and values, and settings that contradict each other.
Dialect parse_dialect(std::string_view text, std::string_view source);

/// The same from a file of at most 1 MiB. Throws SystemError, std::invalid_argument.
Dialect load_dialect(const std::filesystem::path& path);

/// Every shipped dialect, `default` first, then by name.
std::vector<Dialect> shipped_dialects();

/// The TOML text of a shipped dialect, a start for a file of one's own. Throws std::invalid_argument for other names.
std::string shipped_dialect_text(std::string_view name);

/// The shipped dialect of that name, or else the file. Throws std::invalid_argument for a name that is neither, which
/// lists the shipped ones, and what load_dialect() throws.
Dialect find_dialect(const std::string& name_or_path);

}  // namespace framecall
