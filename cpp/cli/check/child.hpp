// The program under test, where `framecall check` starts it itself.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <optional>
#include <string>

#include "check/peer.hpp"

namespace framecall::cli::check {

/// `command` with {host}, {port} and {root} filled in.
std::string filled_in(std::string command, const Endpoint& endpoint, const std::string& root);

/// A shell command, in a process group of its own, which the destructor ends. Its output is kept.
class Child {
 public:
  /// Throws std::system_error.
  explicit Child(const std::string& command);
  ~Child();
  Child(const Child&) = delete;

  /// It has ended by itself. Its exit status, or 128 and the number of the signal, is then in status().
  bool ended();
  /// Waits; false if it has not ended at `deadline`.
  bool wait(Clock::time_point deadline);
  int status() const { return status_; }
  /// The end of what it wrote to stdout and stderr.
  std::string output(std::size_t max_size = 600);

 private:
  pid_t id_ = -1;
  std::FILE* output_ = nullptr;
  bool ended_ = false;
  int status_ = 0;
};

}  // namespace framecall::cli::check
