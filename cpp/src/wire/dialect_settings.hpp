// The settings of a dialect's file: their names, their types, and where each value goes.
#pragma once

#include <string_view>

#include "wire/dialect_draft.hpp"

namespace framecall {

/// Reads TOML text into a draft of its source. Throws std::invalid_argument that names the source, the line and the setting:
/// for text that is no TOML, unknown settings, wrong types and values.
void read_settings(std::string_view text, DialectDraft& draft);

}  // namespace framecall
