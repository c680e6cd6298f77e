// What the commands share: exit codes, and messages about arguments. Sizes and durations are in framecall/detail/units.hpp.
#pragma once

#include <string_view>

#include "framecall/detail/units.hpp"

namespace framecall::cli {

enum ExitCode : int {
  ok = 0,
  failed = 1,
  usage_error = 2,
  cannot_connect = 3,
  timed_out = 4,
  refused_by_peer = 5,
  interrupted = 130,
};

/// `message` on stderr behind "framecall: ", control characters escaped.
void complain(std::string_view message);

}  // namespace framecall::cli
