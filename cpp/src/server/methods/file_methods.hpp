// The built-in methods whose names begin with `file.` (PROTOCOL.md, section 4).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "framecall/server_options.hpp"
#include "server/methods/method_table.hpp"

namespace framecall {

/// Their rows.
std::vector<BuiltinMethod> file_methods();

/// The files of these options. Throws CallError(failed_precondition) if there are none.
FileStore& files_of(const ServerOptions& options);

/// Throws CallError(resource_exhausted) for a file of more than max_file bytes.
void check_max_file(const ServerOptions& options, std::string_view name, std::uint64_t size);

}  // namespace framecall
