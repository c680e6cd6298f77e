#include "framecall/detail/suggestion.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace framecall::suggestion_test {
namespace {

constexpr std::string_view known[] = {"kind", "width", "order", "detect", "zero", "a"};

TEST(Suggestion, is_the_word_that_was_probably_meant) {
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"widht", "width"},  {"wdth", "width"},  {"widthh", "width"}, {"Order", "order"}, {"kinds", "kind"},
      {"dtect", "detect"}, {"width", "width"}, {"speed", ""},       {"w", ""},          {"", ""},
      {"b", ""},
  };
  for (const auto& [word, meant] : rows) EXPECT_EQ(nearest_word(word, known), meant) << word;
  EXPECT_EQ(nearest_word(std::string(1 << 20, 'w'), known), "") << "and at once";
}

TEST(Suggestion, is_a_part_of_a_message) {
  EXPECT_EQ(suggestion("widht", known), "; did you mean \"width\"?");
  EXPECT_EQ(suggestion("speed", known), "");
}

}  // namespace
}  // namespace framecall::suggestion_test
