// The settings of a server as one table: the source of the flags of `framecall serve`, its environment variables and its help,
// of the keywords of Python's Server, of the checks of ServerOptions, and of docs/SETTINGS.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "framecall/command_table.hpp"
#include "framecall/file_options.hpp"
#include "framecall/server_options.hpp"

namespace framecall {

/// Where a value came from; a message names the setting as it was written there.
enum class SettingSource : std::uint8_t {
  option,       ///< a program in C++: ServerOptions::max_body
  flag,         ///< --max-body
  environment,  ///< FRAMECALL_MAX_BODY
  file,         ///< --config: max-body
  keyword,      ///< Python: max_body
};

/// The values of all settings, with their defaults. Those of a limit are the ones of ServerOptions.
struct ServerSettings {
  ServerOptions options;
  FileStoreOptions files;
  std::vector<std::string> listen, echo, udp, protocols = {"frames"}, access = {"read", "write"};
  std::string udp_reply = "upper", root, dialect = "default", users, commands, durability;
  std::chrono::milliseconds command_timeout = std::chrono::seconds(30);
  std::uint64_t max_output = CommandTable::max_output;
  bool tutorial = false, quiet = false;
  std::map<std::string_view, SettingSource> sources;  ///< of the settings that are not at their defaults
};

enum class SettingType : std::uint8_t {
  bytes,
  seconds,  ///< kept in milliseconds
  count,
  percent,
  text,
  path,  ///< a file or a folder
  list,  ///< of texts
  flag,
};

/// A number (bytes, milliseconds, a count, percent), a text or path, a list, a flag.
using SettingValue = std::variant<std::uint64_t, std::string, std::vector<std::string>, bool>;

/// When a new value of a setting can take effect.
enum class SettingChange : std::uint8_t {
  reload,   ///< in a server that runs
  restart,  ///< only in a server that is started with it
};

/// A row of the table.
struct Setting {
  std::string_view name = {};  ///< of the keyword; flag() and variable() are made from it
  SettingType type = SettingType::count;
  SettingChange change = SettingChange::restart;
  std::string_view help = {};     ///< one line; the unit is added where the type does not show it
  std::string_view details = {};  ///< for the reference page only
  /// The range of a number. row<>() in settings.cpp lowers `most` to what its member can hold.
  std::uint64_t least = 0, most = INT64_MAX;
  std::span<const std::string_view> choices = {};  ///< of a text or a list; none: any
  std::string_view unset = {};                     ///< describes a default that is no plain value: "no limit"
  std::string_view short_flag = {};
  bool serve = true, python = true;                  ///< who has the setting
  std::optional<std::uint64_t> python_default = {};  ///< where it differs
  std::string_view option = {};                      ///< the member of ServerOptions, where its name differs
  bool of_options = false;                           ///< the value is in ServerOptions; set by row<>()
  SettingValue (*get)(const ServerSettings&) = {};   ///< set by row<>()
  void (*set)(ServerSettings&, SettingValue) = {};   ///< set by row<>()

  std::string flag() const;      ///< "--max-body"
  std::string variable() const;  ///< "FRAMECALL_MAX_BODY"
  std::string named(SettingSource source) const;
  /// What is allowed: "2 .. 16777215 bytes", "1 or more".
  std::string expected() const;
  std::string number_text(std::uint64_t number) const;  ///< a number of the setting; seconds from milliseconds
  /// The default as a flag takes it ("64M"), or `unset`.
  std::string default_text() const;
};

/// The table, in the order of the help.
std::span<const Setting> server_settings();

/// The row of this name; null if there is none.
const Setting* find_setting(std::string_view name);

/// The table as a JSON array of objects.
std::string settings_json();

}  // namespace framecall
