// Lines from a person or a pipe.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace framecall::cli {

/// Reads stdin line by line. When stdin and stdout are a terminal: with a prompt, and where the build has libedit with
/// editing and a history of `history_size` lines, in memory only. While one exists, SIGINT ends the program with 130;
/// like SIGTERM and SIGHUP, it leaves the terminal as it was.
class LineInput {
 public:
  static constexpr int history_size = 1000;

  explicit LineInput(std::string prompt);
  ~LineInput();
  LineInput(const LineInput&) = delete;
  LineInput& operator=(const LineInput&) = delete;

  /// The next line without its line feed; nothing at the end of input.
  std::optional<std::string> next();
  /// For the history: what was more than blanks.
  void remember(const std::string& line);

 private:
  struct Editor;
  std::string prompt_;
  bool interactive_;
  std::unique_ptr<Editor> editor_;
};

}  // namespace framecall::cli
