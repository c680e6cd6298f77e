#include "framecall/detail/units.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace framecall {
namespace {

using std::chrono::milliseconds;

std::string problem_of(auto parse, std::string_view text) {
  try {
    parse("--name", text);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}

TEST(Units, sizes_are_bytes_or_have_a_power_of_1024) {
  EXPECT_EQ(parse_size("x", "0"), 0u);
  EXPECT_EQ(parse_size("x", "64"), 64u);
  EXPECT_EQ(parse_size("x", "64K"), 64u << 10);
  EXPECT_EQ(parse_size("x", "1.5M"), 3u << 19);
  EXPECT_EQ(parse_size("x", "2GiB"), std::uint64_t{2} << 30);
  EXPECT_EQ(parse_size("x", "1TB"), std::uint64_t{1} << 40);
  EXPECT_EQ(parse_size("x", "9223372036854775807"), std::uint64_t{INT64_MAX});
}

TEST(Units, another_size_is_refused_by_name) {
  for (const char* text : {"", "x", "-1", "5Q", "5 M", "1e3", "M", "0x10"}) {
    EXPECT_EQ(problem_of(parse_size, text),
              "--name: \"" + std::string(text) + "\" is not a size; use bytes such as 64, 64K, 1.5M or 2G");
  }
  EXPECT_EQ(problem_of(parse_size, "9000P"), "--name: \"9000P\" is more than 2^63-1 bytes");
  EXPECT_EQ(problem_of(parse_size, "18446744073709551615"),
            "--name: \"18446744073709551615\" is more than 2^63-1 bytes");
}

TEST(Units, durations_are_seconds_or_have_a_unit) {
  EXPECT_EQ(parse_duration("x", "0"), milliseconds(0));
  EXPECT_EQ(parse_duration("x", "0.5"), milliseconds(500));
  EXPECT_EQ(parse_duration("x", "0.0001"), milliseconds(1));  // rounded up: what is not 0 stays so
  EXPECT_EQ(parse_duration("x", "10s"), milliseconds(10000));
  EXPECT_EQ(parse_duration("x", "500ms"), milliseconds(500));
  EXPECT_EQ(parse_duration("x", "2min"), milliseconds(120000));
  EXPECT_EQ(parse_duration("x", "1h"), milliseconds(3600000));
}

TEST(Units, another_duration_is_refused_by_name) {
  for (const char* text : {"", "x", "-1", "5 s", "1e9", "5d"}) {
    EXPECT_EQ(problem_of(parse_duration, text), "--name: \"" + std::string(text) +
                                                    "\" is not a duration; use seconds such as 10 or 2.5, or 500ms, "
                                                    "2min, 1h");
  }
  EXPECT_EQ(problem_of(parse_duration, "1000000h"), "--name: \"1000000h\" is more than 30 years");
}

TEST(Units, an_exact_text_is_read_back) {
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1000}, std::uint64_t{1024},
                                   std::uint64_t{64} << 20, std::uint64_t{3} << 19, std::uint64_t{INT64_MAX}}) {
    EXPECT_EQ(parse_size("x", exact_size(size)), size) << exact_size(size);
  }
  EXPECT_EQ(exact_size(64 << 20), "64M");
  EXPECT_EQ(exact_size(1000), "1000");
  for (const int count : {0, 1, 10, 250, 1000, 1500, 600000}) {
    EXPECT_EQ(parse_duration("x", exact_duration(milliseconds(count))), milliseconds(count));
  }
  EXPECT_EQ(exact_duration(milliseconds(250)), "0.25");
  EXPECT_EQ(exact_duration(milliseconds(600000)), "600");
}

TEST(Units, a_size_for_people_is_rounded) {
  EXPECT_EQ(size_text(999), "999 bytes");
  EXPECT_EQ(size_text(1536), "1.5 KiB");
  EXPECT_EQ(size_text(4.2 * (1 << 30)), "4.2 GiB");
}

}  // namespace
}  // namespace framecall
