// The built-in methods that need no files: `echo`, `upper`, and those whose names begin with `rpc.` (PROTOCOL.md, section 4).
#pragma once

#include <vector>

#include "server/methods/method_table.hpp"

namespace framecall {

/// Their rows.
std::vector<BuiltinMethod> builtin_methods();

}  // namespace framecall
