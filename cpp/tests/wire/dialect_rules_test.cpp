// Rules for drafts that no file was read into; those of files are in dialect_file_test.cpp.
#include "wire/dialect_rules.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace framecall::dialect_rules_test {
namespace {

std::string problem_of(const std::function<void(DialectDraft&)>& change) {
  DialectDraft draft("d.toml");
  change(draft);
  try {
    apply_rules(draft);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(DialectRules, a_draft_becomes_a_dialect) {
  DialectDraft draft("d.toml");
  draft.order = DialectDraft::Order::both;
  draft.login = Dialect::Login::text;
  draft.login_ok.kind = Answer::Kind::text;
  apply_rules(draft);
  ASSERT_EQ(draft.prefixes.size(), 2u);
  EXPECT_EQ(draft.prefixes[0], PrefixFormat());
  EXPECT_EQ(draft.prefixes[1].order, PrefixFormat::Order::big);
  EXPECT_TRUE(draft.lines) << "a login in raw text is a line";
  EXPECT_FALSE(draft.user_keys.empty());
  EXPECT_EQ(draft.command_size_key, "total_size");
  EXPECT_EQ(word_for(draft, Operation::download), "get");
}

TEST(DialectRules, contradictions_name_a_setting) {
  EXPECT_EQ(problem_of([](DialectDraft&) {}), "");
  EXPECT_EQ(problem_of([](DialectDraft& draft) { draft.width = 3; }),
            "d.toml: prefix.width is 3: 2, 4 or 8 for binary");
  EXPECT_EQ(problem_of([](DialectDraft& draft) { draft.name_keys.clear(); }),
            "d.toml: keys.name is empty: at least one key");
  EXPECT_EQ(problem_of([](DialectDraft& draft) { draft.bare_names = true; }),
            "d.toml: request.bare_names is true, and request.lines is not");
  EXPECT_EQ(problem_of([](DialectDraft& draft) { draft.extra_keys = {"method"}; }),
            "d.toml: keys.extra has \"method\", which makes a frame a call: set header.calls = false");
}

}  // namespace
}  // namespace framecall::dialect_rules_test
