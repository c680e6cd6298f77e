// What a peer wrote, on its way to a person: it must not drive the terminal.
#pragma once

#include <string>
#include <string_view>

namespace framecall::cli {

/// `text` as a terminal may show it: control characters (C0, C1), bidirectional controls and what is not UTF-8 as `\x1b`. Line
/// feeds and tabs stay.
std::string for_terminal(std::string_view text);

/// Where text and bytes of a peer go to. A terminal gets them escaped, anything else as they are: another program, or a file,
/// wants the data. Every command writes what came from a peer through it.
class Output {
 public:
  /// `shown`: its name, for messages. Closes nothing.
  Output(int descriptor, std::string shown);
  Output(const Output&) = delete;
  ~Output();

  /// Throws std::runtime_error if it cannot be written, Interrupted.
  void write(std::string_view bytes);

 private:
  void write_all(std::string_view bytes) const;

  const int descriptor_;
  const std::string shown_;
  const bool terminal_;
  std::string cut_;  // the beginning of a character whose rest comes with the next bytes
};

/// All of `bytes` to stdout, to stderr.
void print(std::string_view bytes);
void print_error(std::string_view bytes);

}  // namespace framecall::cli
