#include <algorithm>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

#include "commands/arguments.hpp"
#include "commands/commands.hpp"
#include "framecall/wire/dialect_file.hpp"
#include "framecall/wire/json.hpp"

namespace framecall::cli {
namespace {

struct DialectsFlags {
  std::string name;
  bool json = false;
};

void list(bool as_json) {
  Json dialects = Json::array();
  std::size_t width = 0;
  for (const Dialect& dialect : shipped_dialects()) {
    width = std::max(width, dialect.name.size());
    dialects.push_back({{"name", dialect.name}, {"summary", dialect.summary}});
  }
  if (as_json) {
    std::printf("%s\n", dump_json({{"dialects", std::move(dialects)}}).c_str());
    return;
  }
  for (const Json& dialect : dialects) {
    std::printf("%-*s  %s\n", static_cast<int>(width), dialect["name"].get_ref<const std::string&>().c_str(),
                dialect["summary"].get_ref<const std::string&>().c_str());
  }
}

int show(const std::string& name, bool as_json) {
  std::string text;
  try {
    text = shipped_dialect_text(name);
  } catch (const std::invalid_argument& error) {
    complain(error.what());
    return usage_error;
  }
  if (as_json) {
    const Json json = {{"name", name}, {"summary", find_dialect(name).summary}, {"text", std::move(text)}};
    text = dump_json(json) + "\n";
  }
  std::fwrite(text.data(), 1, text.size(), stdout);
  return ok;
}

int dialects(const DialectsFlags& flags) {
  int exit_code = ok;
  if (flags.name.empty()) {
    list(flags.json);
  } else {
    exit_code = show(flags.name, flags.json);
  }
  if (std::fflush(stdout) == 0) return exit_code;
  complain("stdout: what was to be said could not be written");
  return failed;
}

}  // namespace

void add_dialects(CLI::App& app, int& exit_code) {
  const auto flags = std::make_shared<DialectsFlags>();
  CLI::App* command = app.add_subcommand("dialects", "List the dialects that are known, or print one as TOML");
  command->footer(
      "Example: framecall dialects framed > mine.toml\n"
      "Change what differs, then: framecall serve --dialect mine.toml. DIALECTS.md explains the settings.");
  command->add_option("name", flags->name, "A dialect of the list: its TOML text, to start a file of your own from");
  command->add_flag("--json", flags->json, "On stdout one JSON object: dialects, or name, summary and text");
  command->callback([flags, &exit_code] { exit_code = dialects(*flags); });
}

}  // namespace framecall::cli
