#include "wire/dialect_draft.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace framecall::dialect_draft_test {
namespace {

template <class Call>
std::string problem_of(Call call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(DialectDraft, is_named_after_its_file) {
  EXPECT_EQ(DialectDraft("/some/where/mine.toml").name, "mine");
  EXPECT_EQ(DialectDraft("mine.txt").name, "mine.txt");
}

TEST(DialectDraft, places_a_fault_where_the_setting_is) {
  DialectDraft draft("mine.toml");
  draft.lines_given.emplace("prefix.width", 7);
  EXPECT_TRUE(draft.given("prefix.width"));
  EXPECT_FALSE(draft.given("prefix"));
  EXPECT_EQ(problem_of([&] { draft.fail("prefix.width", "is 3"); }), "mine.toml:7: prefix.width is 3");
  EXPECT_EQ(problem_of([&] { draft.fail("prefix.order", "is x"); }), "mine.toml: prefix.order is x");
}

TEST(DialectDraft, shows_values_in_quotes_and_printable) {
  EXPECT_EQ(quoted_value("a\nb"), "\"a\\x0ab\"");
  EXPECT_LT(quoted_value(std::string(1000, 'x')).size(), 100u);
}

}  // namespace
}  // namespace framecall::dialect_draft_test
