// When a call is sent again whose connection was lost: one rule for all clients. No clock, no waiting.
#pragma once

#include <chrono>
#include <optional>

#include "framecall/client_options.hpp"

namespace framecall {

/// How often a call is sent at most that a server may have carried out: it may be what has ended the server.
inline constexpr unsigned max_sent = 2;

/// The attempts at one call so far, the one under way included.
struct Tries {
  unsigned count = 0;  ///< at connecting and at sending
  unsigned sent = 0;   ///< that failed and that a server may have carried out
};

/// The pause before the next attempt after `failures` in a row, 1 or more: ClientOptions::backoff, doubled for each further one
/// up to max_backoff, less up to a half by `share`, 0 .. 1: clients that lost a server together do not come back together.
std::chrono::milliseconds retry_pause(const ClientOptions& options, unsigned failures, double share);

/// For a call whose connection was lost: how long to wait before it is sent again. Nothing: it ends with its error, because
/// the attempts are used up, because it may have been carried out and is not idempotent or was sent max_sent times, or because
/// the pause would last until its deadline. `sent`: some of it may have reached the server. Counts the failure in `tries`.
std::optional<std::chrono::milliseconds> pause_before_retry(const ClientOptions& options, Tries& tries, bool sent,
                                                            bool idempotent, std::chrono::steady_clock::time_point now,
                                                            std::chrono::steady_clock::time_point deadline,
                                                            double share);

/// A random `share`; thread-safe.
double random_share();

}  // namespace framecall
