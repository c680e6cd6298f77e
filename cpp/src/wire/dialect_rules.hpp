// The settings of a dialect that go together: what follows from what, and what contradicts what.
#pragma once

#include "wire/dialect_draft.hpp"

namespace framecall {

/// Completes a draft. Throws std::invalid_argument that names the source, the line and the setting, for settings that
/// contradict each other.
void apply_rules(DialectDraft& draft);

}  // namespace framecall
