// The progress bar of a transfer, on a terminal only.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace framecall::cli {

/// One line on stderr that is drawn anew, a few times a second: name, percentage, amount, rate, time left.
/// Nothing at all when `enabled` is false.
class ProgressBar {
 public:
  ProgressBar(std::string name, bool enabled);
  /// Takes the line away.
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;

  void update(std::uint64_t done, std::uint64_t size);

  /// True when stderr is a terminal that can redraw a line.
  static bool possible();

 private:
  using Clock = std::chrono::steady_clock;
  std::string name_;
  bool enabled_;
  bool drawn_ = false;
  Clock::time_point started_ = Clock::now();
  Clock::time_point next_ = started_;
};

}  // namespace framecall::cli
