#include "framecall/detail/setting_values.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <utility>

#include "framecall/detail/file_store.hpp"
#include "framecall/detail/units.hpp"
#include "framecall/error.hpp"
#include "framecall/users.hpp"
#include "framecall/wire/dialect_file.hpp"

namespace framecall {
namespace {

void check(const Setting& setting, const SettingValue& value, SettingSource source) {
  const auto check_word = [&](const std::string& word) {
    if (!setting.choices.empty() && std::ranges::find(setting.choices, word) == setting.choices.end()) {
      refuse_value(setting, source, "\"" + printable(word, 40) + "\"");
    }
  };
  if (const auto* const number = std::get_if<std::uint64_t>(&value)) {
    if (*number < setting.least || *number > setting.most) {
      refuse_value(setting, source, setting.number_text(*number));
    }
  } else if (const auto* const word = std::get_if<std::string>(&value)) {
    check_word(*word);
  } else if (const auto* const words = std::get_if<std::vector<std::string>>(&value)) {
    if (words->empty() && !setting.choices.empty()) refuse_value(setting, source, "none");
    for (const std::string& one : *words) check_word(one);
  }
}

std::uint64_t parse_count(const Setting& setting, const std::string& text, SettingSource source) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, problem] = std::from_chars(text.data(), end, number);
  if (problem != std::errc() || rest != end) refuse_value(setting, source, "\"" + printable(text, 40) + "\"");
  return number;
}

SettingValue parse(const Setting& setting, const std::vector<std::string>& texts, SettingSource source) {
  if (setting.type == SettingType::list) return texts;
  const std::string& one = texts.at(0);
  switch (setting.type) {
    case SettingType::bytes: return parse_size(setting.named(source), one);
    case SettingType::seconds: return static_cast<std::uint64_t>(parse_duration(setting.named(source), one).count());
    case SettingType::count:
    case SettingType::percent: return parse_count(setting, one, source);
    case SettingType::flag:
      if (one != "true" && one != "false" && one != "1" && one != "0") {
        refuse_value(setting, source, "\"" + printable(one, 40) + "\"");
      }
      return one == "true" || one == "1";
    default: return one;
  }
}

Durability durability_of(std::string_view word) {
  return word == "none" ? Durability::none : word == "full" ? Durability::full : Durability::close;
}

}  // namespace

void refuse_value(const Setting& setting, SettingSource source, std::string_view value) {
  throw std::invalid_argument(setting.named(source) + ": expected " + setting.expected() + ", got " +
                              std::string(value));
}

void set_value(ServerSettings& settings, const Setting& setting, SettingValue value, SettingSource source) {
  check(setting, value, source);
  setting.set(settings, std::move(value));
  settings.sources[setting.name] = source;
}

void set_text(ServerSettings& settings, const Setting& setting, const std::vector<std::string>& texts,
              SettingSource source) {
  set_value(settings, setting, parse(setting, texts, source), source);
}

ServerOptions check_limits(ServerOptions options) {
  ServerSettings settings;
  settings.options = std::move(options);
  for (const Setting& setting : server_settings()) {
    if (setting.of_options) check(setting, setting.get(settings), SettingSource::option);
  }
  return std::move(settings.options);
}

ServerOptions open_settings(const ServerSettings& settings) {
  ServerOptions options = settings.options;
  if (!settings.durability.empty()) options.put_durability = durability_of(settings.durability);
  options.dialect = find_dialect(settings.dialect);
  if (!settings.users.empty()) {
    if (options.dialect.login == Dialect::Login::none) {
      const auto source = settings.sources.find("users");
      throw std::invalid_argument(
          find_setting("users")->named(source != settings.sources.end() ? source->second : SettingSource::option) +
          ": the dialect \"" + options.dialect.name +
          "\" has no login; set login.form in a dialect file, or use the dialect login");
    }
    options.users = std::make_shared<const Users>(settings.users);
  }
  if (!settings.commands.empty()) {
    const auto commands = std::make_shared<CommandTable>(settings.commands);
    commands->set_timeout(settings.command_timeout);
    commands->set_max_output(settings.max_output);
    options.commands = commands;
  }
  return options;
}

std::shared_ptr<FileStore> open_root(const ServerSettings& settings) {
  if (settings.root.empty()) return nullptr;
  FileStoreOptions options = settings.files;
  options.access = Access::named(settings.access);
  if (!settings.durability.empty()) options.durability = durability_of(settings.durability);
  return std::make_shared<FileStore>(settings.root, options);
}

}  // namespace framecall
