// What the requests of a dialect are checked for, and advice about those that go wrong.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "framecall/wire/dialect.hpp"
#include "framecall/wire/header.hpp"

namespace framecall {

/// Throws CallError for a request that is about a piece of a file, which the dialect would take for the whole. `what`: "an
/// upload".
void check_whole(const Header& header, const Dialect& dialect, const char* what);
/// The name under which a file of this name is stored: its last path part, if the dialect says so.
std::string stored_name(const Dialect& dialect, std::string_view name);
/// check_file_name(), with advice for a path.
void check_stored_name(const std::string& name, const Dialect& dialect);
/// Keys as a list for messages: "file_name, name"; "none".
std::string joined(const std::vector<std::string>& keys);
/// For bytes that follow a message and are no frame: which of its keys may be their size. Empty, or `; ...`.
std::string advice_about_size(std::string_view message);

/// For bytes that follow an upload of this name, and are no frame.
std::string advice_about_surplus(std::string_view file);

}  // namespace framecall
