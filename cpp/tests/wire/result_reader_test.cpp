#include "wire/result_reader.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "framecall/error.hpp"

namespace framecall::result_reader_test {
namespace {

template <class Call>
std::string problem_of(Call call) {
  try {
    call();
  } catch (const ProtocolError& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_request);
    return error.what();
  }
  return "";
}

TEST(ResultReader, reads_members) {
  const Json value = parse_json(R"({"s": 9223372036854775807, "t": 12.75, "n": -3.5, "w": "x", "l": [1]})");
  const ResultReader result(value, "peer: m");
  EXPECT_EQ(result.size("s"), 9223372036854775807u);
  EXPECT_EQ(result.time("t"), 12);
  EXPECT_EQ(result.time("n"), -4);
  EXPECT_EQ(result.text("w"), "x");
  EXPECT_EQ(result["l"], Json::array({1}));
  EXPECT_TRUE(result.has("l"));
  EXPECT_FALSE(result.has("m"));
}

TEST(ResultReader, names_what_is_wrong_and_shows_the_result) {
  const Json list = parse_json("[1]");
  EXPECT_EQ(problem_of([&] { const ResultReader result(list, "peer: m"); }),
            "peer: m: the result is not an object: [1]");
  const Json value = parse_json(R"({"s": "1"})");
  const ResultReader result(value, "peer: m");
  const std::string shown = R"(: {"s": "1"})";
  EXPECT_EQ(problem_of([&] { result.size("x"); }), "peer: m: \"x\" is missing" + shown);
  EXPECT_EQ(problem_of([&] { result.size("s"); }), "peer: m: \"s\" is not an integer of 0 .. 2^63-1" + shown);
  EXPECT_EQ(problem_of([&] { result.time("s"); }), "peer: m: \"s\" is not a time in seconds" + shown);
  const Json number = parse_json(R"({"s": 1e300})");
  const ResultReader large(number, "peer: m");
  EXPECT_NE(problem_of([&] { large.time("s"); }), "");
  EXPECT_NE(problem_of([&] { large.size("s"); }), "");
  EXPECT_NE(problem_of([&] { large.text("s"); }), "");
}

TEST(ResultReader, a_size_is_an_integer_that_is_not_negative) {
  EXPECT_EQ(size_of(parse_json("0")), std::optional<std::uint64_t>(0));
  for (const char* text : {"-1", "9223372036854775808", "1.5", "1e3", "null", "true", "\"1\""}) {
    EXPECT_EQ(size_of(parse_json(text)), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace framecall::result_reader_test
