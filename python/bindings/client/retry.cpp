#include "client/retry.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

#include "framecall/client_options.hpp"
#include "framecall/detail/retry.hpp"

namespace framecall::python {
namespace {

std::chrono::milliseconds to_milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::clamp(seconds, 0.0, 1e9) * 1000));
}
double to_seconds(std::chrono::milliseconds time) { return std::chrono::duration<double>(time).count(); }

ClientOptions options_of(unsigned attempts, double backoff, double max_backoff) {
  ClientOptions options;
  options.attempts = attempts;
  options.backoff = to_milliseconds(backoff);
  options.max_backoff = to_milliseconds(max_backoff);
  return options;
}

// Seconds before the next attempt to connect.
double pause_to_connect(unsigned failures, double backoff, double max_backoff) {
  return to_seconds(retry_pause(options_of(0, backoff, max_backoff), failures, random_share()));
}

// Seconds before an idempotent call is sent again whose connection was lost `tries` times, with `left` seconds until its
// deadline; None: it is not.
std::optional<double> pause_to_retry(unsigned tries, unsigned attempts, double backoff, double max_backoff,
                                     std::optional<double> left) {
  Tries failed{tries, tries - 1};
  const std::chrono::steady_clock::time_point now{};
  const auto pause = pause_before_retry(options_of(attempts, backoff, max_backoff), failed, true, true, now,
                                        now + to_milliseconds(left.value_or(1e9)), random_share());
  if (!pause) return std::nullopt;
  return to_seconds(*pause);
}

}  // namespace

void add_retry(pybind11::module_& module) {
  module.def("retry_pause", &pause_to_connect);
  module.def("pause_before_retry", &pause_to_retry);
}

}  // namespace framecall::python
