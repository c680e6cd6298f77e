#include "server/sessions/dialect_checks.hpp"

#include <gtest/gtest.h>

#include <string>

#include "framecall/error.hpp"

namespace framecall::dialect_checks_test {
namespace {

std::string problem_of(std::string_view text, const Dialect& dialect = {}) {
  Header header;
  header.read(text);
  try {
    check_whole(header, dialect, "an upload");
    return {};
  } catch (const CallError& error) {
    return error.what();
  }
}

TEST(DialectChecks, a_piece_of_a_file_is_refused_by_the_name_of_its_key) {
  EXPECT_NE(problem_of(R"({"file_name": "a", "chunk_index": 2, "total_chunks": 9})").find("chunk_index, total_chunks"),
            std::string::npos);
  EXPECT_EQ(problem_of(R"({"file_name": "a", "offset": null, "resume": false})"), "") << "says that it is none";
  Dialect dialect;
  dialect.size_keys = {"part"};
  EXPECT_EQ(problem_of(R"({"file_name": "a", "part": 10})", dialect), "") << "mapped by the dialect";
}

TEST(DialectChecks, a_path_is_refused_or_cut_as_the_dialect_says) {
  Dialect dialect;
  EXPECT_EQ(stored_name(dialect, "a/b.txt"), "a/b.txt");
  try {
    check_stored_name("a/b.txt", dialect);
    FAIL();
  } catch (const CallError& error) {
    EXPECT_NE(std::string(error.what()).find("request.last_path_part"), std::string::npos) << error.what();
  }
  dialect.last_path_part = true;
  EXPECT_EQ(stored_name(dialect, "C:\\a\\b.txt"), "b.txt");
  check_stored_name("b.txt", dialect);
}

TEST(DialectChecks, tells_which_key_may_be_a_size) {
  EXPECT_NE(advice_about_size(R"({"cmd": "x", "len": 12})").find("\"len\": 12"), std::string::npos);
  EXPECT_EQ(advice_about_size(R"({"cmd": "x", "len": 0})"), "");
  EXPECT_EQ(advice_about_size(""), "");
  EXPECT_NE(advice_about_surplus("a.txt").find("a.txt"), std::string::npos);
}

TEST(DialectChecks, joins_keys_for_messages) {
  EXPECT_EQ(joined({"a", "b"}), "a, b");
  EXPECT_EQ(joined({}), "none");
}

}  // namespace
}  // namespace framecall::dialect_checks_test
