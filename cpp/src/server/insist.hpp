// For work that somebody waits for, while there is no memory.
#pragma once

#include <chrono>
#include <new>
#include <thread>

namespace framecall {

/// Calls `function` until it does not fail for want of memory, with pauses. It must change nothing before it throws.
template <class Function>
void insist(const Function& function) {
  constexpr auto pause =
      std::chrono::milliseconds(10);  // memory comes back when others are done; without it this would spin
  for (;;) {
    try {
      function();
      return;
    } catch (const std::bad_alloc&) {
      std::this_thread::sleep_for(pause);
    }
  }
}

}  // namespace framecall
