// Sets values of the settings table from text, checks them, and makes the options of a server from them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "framecall/detail/settings.hpp"

namespace framecall {

class FileStore;

/// Checks the value and stores it. Throws std::invalid_argument that names the setting as `source` writes it, the value, and
/// what is allowed.
void set_value(ServerSettings& settings, const Setting& setting, SettingValue value, SettingSource source);

/// The same from text: one text, or those of a list.
void set_text(ServerSettings& settings, const Setting& setting, const std::vector<std::string>& texts,
              SettingSource source);

/// Throws the std::invalid_argument of set_value() for a value that a SettingValue cannot hold.
[[noreturn]] void refuse_value(const Setting& setting, SettingSource source, std::string_view value);

/// Checks the limits of a program. Throws std::invalid_argument.
ServerOptions check_limits(ServerOptions options);

/// Loads the dialect, the users and the commands. Throws std::invalid_argument for files with mistakes, std::system_error for
/// those that cannot be read.
ServerOptions open_settings(const ServerSettings& settings);

/// The store of the root folder; null if there is no root. Throws std::system_error.
std::shared_ptr<FileStore> open_root(const ServerSettings& settings);

}  // namespace framecall
