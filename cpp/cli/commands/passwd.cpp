#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

#include "commands/arguments.hpp"
#include "commands/commands.hpp"
#include "framecall/error.hpp"
#include "framecall/users.hpp"

namespace framecall::cli {
namespace {

struct PasswdFlags {
  std::string file, name;
  bool remove = false, quiet = false;
};

termios echoing{};  // for the handler of a signal

void restore_and_end(int signal) {
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &echoing);
  ::_exit(128 + signal);
}

/// The terminal without echo; a signal that ends the program puts it back first.
class WithoutEcho {
 public:
  WithoutEcho() {
    ::tcgetattr(STDIN_FILENO, &echoing);
    struct sigaction action{};
    action.sa_handler = restore_and_end;
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::sigaction(signal, &action, nullptr);
    action.sa_handler = SIG_IGN;  // nobody stops here and leaves a shell without echo
    ::sigaction(SIGTSTP, &action, nullptr);
    termios silent = echoing;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    silent.c_lflag |= ECHONL;
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  }
  WithoutEcho(const WithoutEcho&) = delete;
  ~WithoutEcho() {
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &echoing);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP}) std::signal(signal, SIG_DFL);
  }
};

std::string read_password(const char* prompt) {
  const bool terminal = ::isatty(STDIN_FILENO) == 1;
  std::unique_ptr<WithoutEcho> silent;
  if (terminal) {
    silent = std::make_unique<WithoutEcho>();  // before the prompt: what is typed at it must not show
    std::fputs(prompt, stderr);
  }
  std::string password;
  if (!std::getline(std::cin, password)) throw std::runtime_error("no password on standard input");
  if (!password.empty() && password.back() == '\r') password.pop_back();
  return password;
}

int passwd(const PasswdFlags& flags) {
  try {
    const std::filesystem::path path(flags.file);
    Users users = std::filesystem::exists(path) ? Users(path) : Users();
    if (flags.remove) {
      if (!users.remove(flags.name)) throw std::runtime_error(flags.file + ": no user \"" + flags.name + "\"");
    } else {
      const std::string password = read_password("Password: ");
      const bool terminal = ::isatty(STDIN_FILENO) == 1;
      if (terminal && read_password("Again: ") != password) throw std::runtime_error("the two passwords differ");
      users.set(flags.name, password);
    }
    users.save(path);
    if (!flags.quiet) {
      std::fprintf(stderr, "%s: user \"%s\" %s, %zu in all\n", printable(flags.file).c_str(),
                   printable(flags.name).c_str(), flags.remove ? "removed" : "set", users.size());
    }
    return ok;
  } catch (const std::exception& error) {
    complain(error.what());
    return failed;
  }
}

}  // namespace

void add_passwd(CLI::App& app, int& exit_code) {
  const auto flags = std::make_shared<PasswdFlags>();
  CLI::App* command = app.add_subcommand("passwd", "Set a user's password in a users file, for serve --users");
  command->footer(
      "Examples: framecall passwd users.txt ann\n"
      "          printf '%s\\n' \"$PASSWORD\" | framecall passwd users.txt ann\n"
      "Passwords are kept as salted hashes (scrypt). For scripts that send a digest of the password instead of the\n"
      "password, give that digest here.");
  command->add_option("file", flags->file, "The users file; made if it is not there")->required();
  command->add_option("name", flags->name, "The user")->required();
  command->add_flag("--remove", flags->remove, "Remove the user");
  command->add_flag("--quiet,-q", flags->quiet, "Say nothing on success");
  command->callback([flags, &exit_code] { exit_code = passwd(*flags); });
}

}  // namespace framecall::cli
