// A fixed table of named commands, for peers that speak the remote-command form. What arrives is looked up, never run.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <stop_token>
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
  static constexpr std::size_t max_output = 16 << 20;  ///< bytes, see set_max_output()

  CommandTable() = default;
  /// Throws SystemError, and std::invalid_argument that names the key.
  explicit CommandTable(const std::filesystem::path& path);

  bool has(std::string_view line) const;
  /// There is a command that runs a program.
  bool has_programs() const;
  /// The answer, if no program has to run for it: the text of the command; for a line that is not in the table
  /// `unknown command: LINE`.
  std::optional<std::string> answer_at_once(std::string_view line) const;
  /// The same, or the standard output, then the standard error of the command's program. Blocks until the program ends; it
  /// is killed when `stop` is requested, and with the thread that called this, so also when this process is killed. Never
  /// throws for what a program does.
  std::string run(std::string_view line, const std::stop_token& stop = {}) const;

  /// A program that runs for longer is killed with all that it started, and a last line says so. 30 seconds at first.
  void set_timeout(std::chrono::milliseconds timeout) { timeout_ = timeout; }
  /// A program that writes more bytes is killed in the same way. 16 MiB at first.
  void set_max_output(std::size_t size) { max_output_ = size; }

 private:
  struct Command {
    std::vector<std::string> arguments;  // empty: the text
    std::string text;
  };
  std::string run_program(const Command& command, const std::stop_token& stop) const;

  std::map<std::string, Command, std::less<>> commands_;
  std::chrono::milliseconds timeout_ = std::chrono::seconds(30);
  std::size_t max_output_ = max_output;
};

}  // namespace framecall
