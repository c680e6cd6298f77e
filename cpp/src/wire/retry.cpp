#include "framecall/detail/retry.hpp"

#include <algorithm>
#include <random>

namespace framecall {

using std::chrono::milliseconds;

milliseconds retry_pause(const ClientOptions& options, unsigned failures, double share) {
  const auto longest = options.max_backoff.count();
  auto pause = std::min(options.backoff.count(), longest);
  for (unsigned i = 1; i < failures && pause < longest && pause > 0; ++i) pause = std::min(pause * 2, longest);
  return milliseconds(pause - static_cast<milliseconds::rep>(static_cast<double>(pause) * share / 2));
}

std::optional<milliseconds> pause_before_retry(const ClientOptions& options, Tries& tries, bool sent, bool idempotent,
                                               std::chrono::steady_clock::time_point now,
                                               std::chrono::steady_clock::time_point deadline, double share) {
  if (sent) ++tries.sent;
  if (tries.count >= options.attempts || now >= deadline) return std::nullopt;
  if (!sent) return milliseconds(0);
  if (!idempotent || tries.sent >= max_sent) return std::nullopt;
  const auto pause = retry_pause(options, tries.count, share);
  if (now + pause >= deadline) return std::nullopt;
  return pause;
}

double random_share() {
  thread_local std::minstd_rand random(std::random_device{}());
  return std::uniform_real_distribution<double>(0, 1)(random);
}

}  // namespace framecall
