#include "server/rate_table.hpp"

#include <gtest/gtest.h>

namespace framecall::rate_table_test {
namespace {

// How many of `attempts` are allowed.
int allowed(RateTable& table, std::uint64_t key, std::int64_t now, int attempts = 1000) {
  int count = 0;
  for (int i = 0; i < attempts; ++i) count += table.take(key, now) ? 1 : 0;
  return count;
}

TEST(RateTable, allows_a_burst_and_then_the_rate) {
  RateTable table(500, 20);
  EXPECT_EQ(allowed(table, 1, 1000), 20);
  EXPECT_EQ(allowed(table, 1, 1001), 0) << "half of one";
  EXPECT_EQ(allowed(table, 1, 1002), 1);
  EXPECT_EQ(allowed(table, 1, 1012), 5);
}

TEST(RateTable, a_long_silence_saves_up_no_more_than_the_burst) {
  RateTable table(500, 20);
  EXPECT_EQ(allowed(table, 1, 1000), 20);
  EXPECT_EQ(allowed(table, 1, 1'000'000'000), 20);
}

TEST(RateTable, without_a_rate_everything_is_allowed) {
  RateTable table(0, 0);
  EXPECT_EQ(allowed(table, 1, 0), 1000);
}

TEST(RateTable, one_key_does_not_use_up_the_rate_of_another) {
  RateTable table(1, 10);
  EXPECT_EQ(allowed(table, 0, 0), 10);
  int others = 0;
  for (std::uint64_t key = 1; key <= 100; ++key) others += table.take(key, 0) ? 1 : 0;
  EXPECT_GE(others, 95) << "few of them can share the place of the first one";
}

TEST(RateTable, however_many_keys_there_are_the_total_is_bounded) {
  RateTable table(1, 1);
  int all = 0;
  for (std::uint64_t key = 0; key < 50'000; ++key) all += table.take(key, 0) ? 1 : 0;
  EXPECT_LE(all, 4096);
  EXPECT_GE(all, 4000) << "they spread over the whole table";
}

TEST(RateTable, which_keys_share_a_place_differs_from_table_to_table) {
  // The keys that have nothing left because an earlier key shares their place.
  const auto blocked = [] {
    RateTable table(1, 1);
    std::uint64_t sum = 0;
    for (std::uint64_t key = 0; key < 1000; ++key) sum += table.take(key, 0) ? 0 : key * key;
    return sum;
  };
  EXPECT_NE(blocked(), blocked());
}

}  // namespace
}  // namespace framecall::rate_table_test
