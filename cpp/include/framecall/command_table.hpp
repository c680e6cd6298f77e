// A fixed table of named commands, for peers that speak the remote-command form. What arrives is looked up, never run.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace framecall {

/// Read from a TOML file, a table for each command:
///
///     ["disk free"]                  # what a peer sends, blanks trimmed
///     run = ["df", "-h"]             # the program and its arguments, fixed here; no shell
///     [motd]
///     text = "welcome\n"             # or a fixed text
///
/// Const after construction; run() may be called from several threads.
class CommandTable {
 public:
  static constexpr std::size_t max_output = 16 << 20;  ///< bytes; more is cut, with a last line that says so

  CommandTable() = default;
  /// Throws std::system_error, and std::invalid_argument that names the key.
  explicit CommandTable(const std::filesystem::path& path);

  bool has(std::string_view line) const;
  /// The standard output, then the standard error of the command's program, or its text; for a line that is not in the
  /// table `unknown command: LINE`. Blocks until the program ends. Never throws for what a program does.
  std::string run(std::string_view line) const;

  /// A program that runs for longer is killed with all that it started, and a last line says so. 30 seconds at first.
  void set_timeout(std::chrono::milliseconds timeout) { timeout_ = timeout; }

 private:
  struct Command {
    std::vector<std::string> arguments;  // empty: the text
    std::string text;
  };
  std::string run_program(const Command& command) const;

  std::map<std::string, Command, std::less<>> commands_;
  std::chrono::milliseconds timeout_ = std::chrono::seconds(30);
};

}  // namespace framecall
