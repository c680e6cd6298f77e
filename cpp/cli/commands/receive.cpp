#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "commands/arguments.hpp"
#include "commands/commands.hpp"
#include "commands/dialect_flags.hpp"
#include "commands/outcome.hpp"
#include "framecall/detail/file_store.hpp"
#include "framecall/error.hpp"
#include "terminal/progress.hpp"

namespace framecall::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct ReceiveFlags : DialectFlags {
  std::string output = ".";
  std::vector<std::string> names;
  bool json = false, quiet = false, no_progress = false;
};

// Where each of the names goes to. Throws std::invalid_argument for one that would leave the folder, and for two that
// would become the same file.
std::vector<std::filesystem::path> targets_of(const ReceiveFlags& flags) {
  std::vector<std::filesystem::path> targets;
  for (const std::string& name : flags.names) {
    const std::string local = name.substr(name.find_last_of("/\\") + 1);  // npos + 1 is 0
    try {
      check_file_name(local);
    } catch (const CallError& error) {
      throw std::invalid_argument(name + ": cannot be stored: " + error.what());
    }
    targets.push_back(std::filesystem::path(flags.output) / local);
    if (std::count(targets.begin(), targets.end(), targets.back()) > 1) {
      throw std::invalid_argument(name + ": another file would be stored under the same name, " + local);
    }
  }
  return targets;
}

Outcome receive(Connection& connection, const std::string& name, const std::filesystem::path& target, bool bars) {
  Outcome outcome;
  outcome.name = name;
  const auto start = Clock::now();
  try {
    ProgressBar bar(name, bars);
    DialectClient& client = connection.client();
    connection.progress = [&bar](std::uint64_t done, std::uint64_t size) { bar.update(done, size); };
    outcome.size = client.receive_file(name, target);
  } catch (...) {
    note_failure(outcome, connection.connected(), "peer");
  }
  connection.progress = nullptr;
  if (connection.connected() &&
      (connection.dialect().one_file || !connection.ready() || !connection.client().usable())) {
    connection.close();
  }
  outcome.seconds = seconds_since(start);
  return outcome;
}

int receive(const ReceiveFlags& flags) {
  std::unique_ptr<Connection> connection;
  std::vector<std::filesystem::path> targets;
  try {
    connection = std::make_unique<Connection>(flags);
    targets = targets_of(flags);
  } catch (const std::invalid_argument& error) {
    complain(error.what());
    return usage_error;
  }
  const auto start = Clock::now();
  const bool bars = !flags.quiet && !flags.no_progress && ProgressBar::possible();
  std::vector<Outcome> outcomes;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    outcomes.push_back(receive(*connection, flags.names[i], targets[i], bars));
    print_outcome(outcomes.back(), flags.quiet || flags.json);
    if (!connection->ready()) break;  // the others would get no further
  }
  if (flags.json) print_summary(outcomes, seconds_since(start), "files_received");
  return exit_code_of(outcomes);
}

}  // namespace

void add_receive(CLI::App& app, int& exit_code) {
  const auto flags = std::make_shared<ReceiveFlags>();
  CLI::App* command = app.add_subcommand("receive", "Download files from a server script in its dialect");
  command->footer(
      "Example: framecall receive 127.0.0.1:8080 photo.jpg --dialect scripts.toml --output photos\n"
      "A file gets its name when it is whole. One that the server does not have ends this with code 5, after the\n"
      "others.");
  add_dialect_flags(*command, *flags);
  command->add_option("names", flags->names, "Names as the server knows them; the last part of each is the local name")
      ->required();
  command->add_option("--output", flags->output, "The folder that receives the files")->capture_default_str();
  command->add_flag("--json", flags->json, "A summary on stdout as one JSON object");
  command->add_flag("--quiet,-q", flags->quiet, "Say nothing but errors");
  command->add_flag("--no-progress", flags->no_progress, "No progress bar");
  command->callback([flags, &exit_code] { exit_code = receive(*flags); });
}

}  // namespace framecall::cli
