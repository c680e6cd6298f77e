// The retry rule, without connections and clocks.
#include "framecall/detail/retry.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>

namespace framecall::retry_test {
namespace {

using namespace std::chrono_literals;
using Pause = std::optional<std::chrono::milliseconds>;

constexpr std::chrono::steady_clock::time_point start{};
constexpr auto deadline = start + 1s;

ClientOptions options_of(unsigned attempts) {
  ClientOptions options;
  options.attempts = attempts;
  options.backoff = 100ms;
  options.max_backoff = 350ms;
  return options;
}

TEST(Retry, pauses_double_up_to_the_longest_and_are_shortened_by_a_half_at_most) {
  const ClientOptions options = options_of(3);
  EXPECT_EQ(retry_pause(options, 1, 0), 100ms);
  EXPECT_EQ(retry_pause(options, 2, 0), 200ms);
  EXPECT_EQ(retry_pause(options, 3, 0), 350ms);
  EXPECT_EQ(retry_pause(options, 4'000'000'000U, 0), 350ms);
  EXPECT_EQ(retry_pause(options, 1, 1), 50ms);
  EXPECT_EQ(retry_pause(options, 2, 0.5), 150ms);
  ClientOptions none;
  none.backoff = 0ms;
  EXPECT_EQ(retry_pause(none, 4'000'000'000U, 0.5), 0ms);
  ClientOptions longer = options;
  longer.backoff = 1h;
  EXPECT_EQ(retry_pause(longer, 1, 0), 350ms);
}

TEST(Retry, what_has_not_left_is_sent_again_at_once_whatever_the_method_does) {
  Tries tries{1, 0};
  EXPECT_EQ(pause_before_retry(options_of(3), tries, false, false, start, deadline, 0), Pause(0ms));
  EXPECT_EQ(tries.sent, 0u);
  tries.count = 3;
  EXPECT_EQ(pause_before_retry(options_of(3), tries, false, true, start, deadline, 0), Pause());
}

TEST(Retry, what_may_have_been_carried_out_is_sent_again_once_and_only_if_that_does_no_harm) {
  Tries tries{1, 0};
  EXPECT_EQ(pause_before_retry(options_of(9), tries, true, false, start, deadline, 0), Pause());
  tries = {1, 0};
  EXPECT_EQ(pause_before_retry(options_of(9), tries, true, true, start, deadline, 0), Pause(100ms));
  tries.count = 2;
  EXPECT_EQ(pause_before_retry(options_of(9), tries, true, true, start, deadline, 0), Pause());
  EXPECT_EQ(tries.sent, 2u);
}

TEST(Retry, attempts_count_all_of_them) {
  for (const unsigned attempts : {0U, 1U}) {
    Tries tries{1, 0};
    EXPECT_EQ(pause_before_retry(options_of(attempts), tries, true, true, start, deadline, 0), Pause());
  }
  Tries tries{1, 0};
  EXPECT_EQ(pause_before_retry(options_of(2), tries, true, true, start, deadline, 0), Pause(100ms));
}

TEST(Retry, nothing_is_sent_after_its_deadline) {
  for (const auto left : {-1ms, 0ms, 99ms, 100ms}) {
    Tries tries{1, 0};
    EXPECT_EQ(pause_before_retry(options_of(3), tries, true, true, deadline - left, deadline, 0), Pause());
  }
  Tries tries{1, 0};
  EXPECT_EQ(pause_before_retry(options_of(3), tries, true, true, deadline - 101ms, deadline, 0), Pause(100ms));
  tries = {1, 0};
  EXPECT_EQ(pause_before_retry(options_of(3), tries, false, false, deadline, deadline, 0), Pause());
}

TEST(Retry, shares_are_spread) {
  double least = 1, most = 0;
  for (int i = 0; i < 1000; ++i) {
    const double share = random_share();
    least = std::min(least, share);
    most = std::max(most, share);
  }
  EXPECT_GE(least, 0);
  EXPECT_LT(least, 0.1);
  EXPECT_GT(most, 0.9);
  EXPECT_LE(most, 1);
}

}  // namespace
}  // namespace framecall::retry_test
