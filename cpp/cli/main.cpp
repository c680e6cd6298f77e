#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "commands/arguments.hpp"
#include "commands/commands.hpp"
#include "framecall/detail/suggestion.hpp"
#include "framecall/version.hpp"

namespace framecall::cli {
namespace {

// CLI11 takes an argument in brackets for a list, and takes it apart; but not where no option awaits it.
const char* find_bracketed(const CLI::App& app, int argument_count, char** arguments) {
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  const CLI::App* command = nullptr;
  for (int i = 1; i < argument_count; ++i) {
    const std::string_view argument = arguments[i];
    const auto found = std::find_if(commands.begin(), commands.end(),
                                    [argument](const CLI::App* one) { return one->get_name() == argument; });
    if (command == nullptr && found != commands.end()) command = *found;
    if (command != nullptr && command->get_allow_extras()) return nullptr;
    if (argument.starts_with('[') && argument.ends_with(']')) return arguments[i];
  }
  return nullptr;
}

// The first argument that is no flag, which should be a command; null: there is none.
const char* find_command(int argument_count, char** arguments) {
  for (int i = 1; i < argument_count; ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--config") {
      ++i;  // its value
    } else if (!argument.starts_with('-')) {
      return arguments[i];
    }
  }
  return nullptr;
}

std::string suggested(std::string_view word, const std::vector<std::string>& known) {
  const std::vector<std::string_view> views(known.begin(), known.end());
  return suggestion(word, views);
}

using Commands = std::vector<const CLI::App*>;

const CLI::App* find_named(const Commands& commands, std::string_view name) {
  const auto found =
      std::find_if(commands.begin(), commands.end(), [&](const CLI::App* one) { return one->get_name() == name; });
  return found != commands.end() ? *found : nullptr;
}

int no_such_command(const Commands& commands, const std::string& name) {
  std::vector<std::string> names;
  for (const CLI::App* one : commands) names.push_back(one->get_name());
  complain("there is no command \"" + name + "\"" + suggested(name, names) + "; framecall --help lists them");
  return usage_error;
}

// `framecall help`, `framecall help COMMAND`.
int help(const CLI::App& app, const Commands& commands, int argument_count, char** arguments) {
  const std::string name = argument_count > 2 ? arguments[2] : "";
  const CLI::App* const command = find_named(commands, name);
  if (!name.empty() && command == nullptr) return no_such_command(commands, name);
  std::fputs(command != nullptr ? command->help(app.get_name()).c_str() : app.help().c_str(), stdout);
  return std::fflush(stdout) == 0 ? ok : failed;
}

// What CLI11 did not expect: a flag that the command does not have, or one word too many.
std::string surplus_text(const CLI::App& app, int argument_count, char** arguments) {
  const auto chosen = app.get_subcommands();
  const CLI::App& command = chosen.empty() ? app : *chosen.front();
  for (int i = 1; i < argument_count; ++i) {
    const std::string_view argument = arguments[i];
    const std::string word(argument.substr(0, argument.find('=')));
    if (!word.starts_with("--") || word.size() < 3 || command.get_option_no_throw(word) != nullptr) continue;
    if (app.get_option_no_throw(word) != nullptr) continue;
    std::vector<std::string> known;
    for (const CLI::Option* option : command.get_options()) {
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    }
    return command.get_name() + ": there is no flag " + word + suggested(word, known);
  }
  return {};
}

int run(int argument_count, char** arguments) {
  CLI::App app("Files and calls over a plain wire: 4 bytes of length, a JSON header, raw bytes.", "framecall");
  app.set_version_flag("--version", std::string("framecall ").append(version));
  app.set_config("--config", "", "Read settings from a file (TOML or INI, a section for each command)");
  app.require_subcommand(1);
  app.footer(
      "framecall COMMAND --help tells more about a command.\n"
      "Settings come from flags, else FRAMECALL_* in the environment, else --config.\n"
      "Exit codes: 0 ok, 1 failed, 2 usage, 3 cannot connect, 4 timed out, 5 refused by the peer, 130 interrupted.");
  int exit_code = failed;
  add_serve(app, exit_code, {arguments, static_cast<std::size_t>(argument_count)});
  add_send(app, exit_code);
  add_receive(app, exit_code);
  add_ask(app, exit_code);
  add_call(app, exit_code);
  add_ping(app, exit_code);
  add_discover(app, exit_code);
  add_put(app, exit_code);
  add_get(app, exit_code);
  add_files(app, exit_code);
  add_passwd(app, exit_code);
  add_chat(app, exit_code);
  add_udp(app, exit_code);
  add_dialects(app, exit_code);
  add_check(app, exit_code);
  if (const char* const argument = find_bracketed(app, argument_count, arguments)) {
    complain(std::string("an argument in brackets: write ./[FILE], or a blank in front of it: ").append(argument));
    return usage_error;
  }
  const char* const word = find_command(argument_count, arguments);
  const CLI::App& made = app;
  const Commands commands = made.get_subcommands([](const CLI::App*) { return true; });
  if (word != nullptr && std::string_view(word) == "help") return help(app, commands, argument_count, arguments);
  if (word != nullptr && find_named(commands, word) == nullptr) return no_such_command(commands, word);
  try {
    app.parse(argument_count, arguments);
  } catch (const CLI::ExtrasError& error) {
    const std::string text = surplus_text(app, argument_count, arguments);
    if (text.empty()) return app.exit(error) == 0 ? ok : usage_error;
    complain(text);
    return usage_error;
  } catch (const CLI::ParseError& error) {
    if (word == nullptr && error.get_name() == "RequiredError") {
      complain("a command is missing; framecall --help lists them");
      return usage_error;
    }
    return app.exit(error) == 0 ? ok : usage_error;
  }
  return exit_code;
}

}  // namespace
}  // namespace framecall::cli

int main(int argument_count, char** arguments) {
  std::signal(SIGPIPE, SIG_IGN);  // a peer that is gone is an error of one call, not the end of the program
  std::signal(SIGXFSZ, SIG_IGN);  // the same for a file beyond the limit of the shell
  try {
    return framecall::cli::run(argument_count, arguments);
  } catch (const std::exception& error) {
    framecall::cli::complain(error.what());
    return framecall::cli::failed;
  }
}
