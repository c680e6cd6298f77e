// Ctrl-C for commands that have something to say, or to put away, before they end.
#pragma once

#include <chrono>

namespace framecall::cli {

struct Interrupted {};

/// From here on SIGINT is noted, and ends waits, but nothing else.
void catch_interrupt();

/// Throws Interrupted once SIGINT has come.
void check_interrupt();

/// Throws Interrupted when SIGINT comes first.
void sleep_until(std::chrono::steady_clock::time_point when);

}  // namespace framecall::cli
