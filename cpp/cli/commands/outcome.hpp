// What became of a file, or of a question: for people, for programs, and as an exit code.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "commands/arguments.hpp"

namespace framecall::cli {

struct Outcome {
  std::string name;
  std::uint64_t size = 0;
  double seconds = 0;
  std::string error;
  int exit_code = ok;
  std::optional<bool> confirmed;  ///< of a file that was sent: whether the receiver said in some way that it has it
};

double seconds_since(std::chrono::steady_clock::time_point start);

/// The exception that is being handled, told apart by what the caller can do next. `peer`: who refuses, for people.
void note_failure(Outcome& outcome, bool connected, const char* peer);

/// The same for what Client throws, and failed for everything else: an error of a file should be no std::system_error.
void note_call_failure(Outcome& outcome);

/// A line on stderr: an error, a doubt, or unless `quiet` the size and the rate.
void print_outcome(const Outcome& outcome, bool quiet);

/// All of them on stdout as one JSON object; `count_key`: for the number of those without an error.
void print_summary(const std::vector<Outcome>& outcomes, double seconds, const char* count_key);

/// That of the first one that failed.
int exit_code_of(const std::vector<Outcome>& outcomes);

}  // namespace framecall::cli
