#include "terminal/interrupt.hpp"

#include <poll.h>

#include <algorithm>
#include <csignal>

namespace framecall::cli {
namespace {

constexpr auto look_again = std::chrono::milliseconds(100);  // for a signal that came just before a wait

volatile std::sig_atomic_t was_interrupted = 0;

}  // namespace

void catch_interrupt() {
  struct sigaction action{};
  action.sa_handler = [](int) { was_interrupted = 1; };
  ::sigaction(SIGINT, &action, nullptr);  // without SA_RESTART: waits end
}

void check_interrupt() {
  if (was_interrupted != 0) throw Interrupted();
}

void sleep_until(std::chrono::steady_clock::time_point when) {
  for (auto now = std::chrono::steady_clock::now(); now < when; now = std::chrono::steady_clock::now()) {
    check_interrupt();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(when - now);
    ::poll(nullptr, 0, static_cast<int>(std::min(left, look_again).count()));
  }
}

}  // namespace framecall::cli
