// Settings as they are read, before any rule; whole files are in dialect_file_test.cpp.
#include "wire/dialect_settings.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace framecall::dialect_settings_test {
namespace {

std::string problem_of(std::string_view text) {
  DialectDraft draft("d.toml");
  try {
    read_settings(text, draft);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(DialectSettings, values_go_to_their_fields_and_lines_are_noted) {
  DialectDraft draft("d.toml");
  read_settings("summary = \"s\"\n[prefix]\norder = \"auto\"\nwidth = 99\n[words]\nlist = [\"a\", \"b\"]\n", draft);
  EXPECT_EQ(draft.summary, "s");
  EXPECT_EQ(draft.order, DialectDraft::Order::both);
  EXPECT_EQ(draft.width, 99) << "whether that fits is a matter of the rules";
  EXPECT_EQ(draft.word_list(Operation::list), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(draft.lines_given.at("prefix.width"), 4u);
  EXPECT_FALSE(draft.given("words.quit"));
}

TEST(DialectSettings, mistakes_are_named_with_their_line) {
  EXPECT_EQ(problem_of(""), "");
  EXPECT_EQ(problem_of("\nsummary = 5"), "d.toml:2: summary is 5: a string in quotes");
  EXPECT_EQ(problem_of("prefix = 1"), "d.toml:1: prefix is 1: a table, [prefix]");
  EXPECT_EQ(problem_of("[session]\npause_ms = 60001"), "d.toml:2: session.pause_ms is 60001: an integer 0 .. 60000");
  EXPECT_TRUE(problem_of("[prefix]\nwidht = 4").starts_with("d.toml:2: prefix.widht is no setting: ")) << "unknown";
  EXPECT_TRUE(problem_of("a = ").starts_with("d.toml:1: ")) << "no TOML";
}

}  // namespace
}  // namespace framecall::dialect_settings_test
