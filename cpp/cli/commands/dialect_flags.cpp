#include "commands/dialect_flags.hpp"

#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "commands/arguments.hpp"
#include "framecall/wire/dialect_file.hpp"

namespace framecall::cli {
namespace {

// A password on the command line is one that everybody on the machine can read.
std::string read_password(const DialectFlags& flags) {
  if (flags.password_file.empty()) {
    const char* const password = std::getenv("FRAMECALL_PASSWORD");
    if (password != nullptr) return password;
    throw std::invalid_argument("--user needs --password-file, or FRAMECALL_PASSWORD in the environment");
  }
  std::ifstream file(flags.password_file, std::ios::binary);
  std::string line;
  if (!file || (!std::getline(file, line) && !file.eof())) {
    throw std::invalid_argument("--password-file " + flags.password_file + ": cannot be read");
  }
  if (line.ends_with('\r')) line.pop_back();
  if (line.empty()) throw std::invalid_argument("--password-file " + flags.password_file + ": the first line is empty");
  return line;
}

}  // namespace

void add_dialect_flags(CLI::App& command, DialectFlags& flags) {
  command.add_option("address", flags.address, "HOST:PORT, [IPV6]:PORT or unix:PATH")->required();
  command
      .add_option("--dialect", flags.dialect, "What the peer speaks: a name (see framecall dialects) or a TOML file")
      ->capture_default_str()
      ->envname("FRAMECALL_DIALECT");
  command.add_option("--user", flags.user, "Log in as this user, in a dialect with a login")->envname("FRAMECALL_USER");
  command
      .add_option("--password-file", flags.password_file,
                  "Its first line is the password (else FRAMECALL_PASSWORD in the environment)")
      ->envname("FRAMECALL_PASSWORD_FILE");
  command.add_option("--timeout", flags.timeout, "To connect, and without progress, seconds")
      ->capture_default_str()
      ->envname("FRAMECALL_TIMEOUT");
}

void add_call_dialect(CLI::App& command, std::string& dialect) {
  command
      .add_option("--dialect", dialect,
                  "How the server writes lengths: a name such as big-endian (see framecall dialects), or a TOML file")
      ->capture_default_str()
      ->envname("FRAMECALL_DIALECT");
}

std::shared_ptr<const Dialect> dialect_of_calls(const std::string& name) {
  auto dialect = std::make_shared<const Dialect>(find_dialect(name));
  if (!dialect->calls) {
    throw std::invalid_argument("--dialect: \"" + dialect->name + "\" has no calls, header.calls is false");
  }
  return dialect->prefixes.front() == PrefixFormat() ? nullptr : dialect;
}

Connection::Connection(const DialectFlags& flags)
    : endpoint_(Endpoint::parse(flags.address)),
      dialect_(find_dialect(flags.dialect)),
      timeout_(parse_duration("--timeout", flags.timeout)),
      user_(flags.user) {
  if (user_.empty()) {
    if (!flags.password_file.empty()) throw std::invalid_argument("--password-file goes with --user");
    return;
  }
  if (dialect_.login == Dialect::Login::none) {
    throw std::invalid_argument("--user: the dialect \"" + dialect_.name + "\" has no login");
  }
  password_ = read_password(flags);
}

DialectClient& Connection::client() {
  if (client_) return *client_;
  ready_ = false;
  DialectOptions options;
  options.dialect = dialect_;
  options.timeout = timeout_;
  options.warning = [](std::string_view message) { complain(std::string("warning: ").append(message)); };
  options.progress = [this](std::uint64_t done, std::uint64_t size) {
    if (progress) progress(done, size);
  };
  client_ = std::make_unique<DialectClient>(endpoint_, std::move(options));
  if (!user_.empty()) client_->login(user_, password_);
  ready_ = true;
  return *client_;
}

}  // namespace framecall::cli
