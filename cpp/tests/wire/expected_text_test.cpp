#include "wire/expected_text.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace framecall::expected_text_test {
namespace {

// What becomes of `bytes` that come one by one: "whole, then REST", "no: BYTES", or "part".
std::string outcome(const std::string& text, std::string_view bytes) {
  ExpectedText expected;
  EXPECT_TRUE(expected.expect(text));
  for (const char byte : bytes) {
    if (!expected.expecting()) return "no: " + expected.release();
    if (!expected.add({&byte, 1})) return "no: " + expected.release();
  }
  if (!expected.whole()) return "part";
  expected.accept();
  EXPECT_FALSE(expected.expecting());
  return "whole, then " + expected.release();
}

TEST(ExpectedText, is_found_however_it_comes) {
  EXPECT_EQ(outcome("OK", "OK"), "whole, then ");
  EXPECT_EQ(outcome("OK", "O"), "part");
  EXPECT_EQ(outcome("OK", "NO"), "no: N");
  EXPECT_EQ(outcome("\x06", "\x06"), "whole, then ");
  EXPECT_EQ(outcome("\x06", std::string_view("\x06\0\0\0{", 5)),
            std::string("whole, then ") + std::string("\0\0\0{", 4));
}

TEST(ExpectedText, blanks_at_its_ends_do_not_matter) {
  EXPECT_EQ(outcome("OK\n", " OK"), "whole, then ");
  EXPECT_EQ(outcome(" OK ", "OK \r\n"), "whole, then ");
  EXPECT_EQ(outcome("  ", " "), "part");
  EXPECT_EQ(outcome("  ", "  "), "whole, then ");
}

TEST(ExpectedText, longer_text_is_another_one) {
  EXPECT_EQ(outcome("OK", "OKAY"), "no: OKA");
  EXPECT_EQ(outcome("OK", "OK\nAY"), "whole, then AY");
}

TEST(ExpectedText, what_came_before_counts) {
  ExpectedText expected;
  EXPECT_FALSE(expected.expect(""));
  EXPECT_TRUE(expected.expect("ready go"));
  EXPECT_TRUE(expected.add("ready"));
  EXPECT_TRUE(expected.begun());
  EXPECT_TRUE(expected.expect("ready"));
  EXPECT_TRUE(expected.whole());
  EXPECT_FALSE(expected.expect("go"));
  EXPECT_FALSE(expected.whole());
  EXPECT_EQ(expected.release(), "ready");
  EXPECT_FALSE(expected.begun());
}

TEST(ExpectedText, no_more_than_64_KiB_are_compared) {
  ExpectedText expected;
  expected.expect(std::string(100'000, 'x'));
  EXPECT_TRUE(expected.add(std::string((64 << 10) - 1, 'x')));
  EXPECT_FALSE(expected.add("x"));
}

}  // namespace
}  // namespace framecall::expected_text_test
