#include <algorithm>
#include <csignal>
#include <exception>
#include <string>
#include <string_view>

#include "arguments.hpp"
#include "commands.hpp"
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
  add_serve(app, exit_code);
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
  try {
    app.parse(argument_count, arguments);
  } catch (const CLI::ParseError& error) {
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
