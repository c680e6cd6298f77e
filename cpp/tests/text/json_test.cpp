#include "framecall/wire/json.hpp"

#include <gtest/gtest.h>
#include <pthread.h>

#include <cmath>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "framecall/detail/json_text.hpp"
#include "framecall/error.hpp"
#include "support/json_agreement.hpp"
#include "support/sanitizers.hpp"

#ifdef __OPTIMIZE__
constexpr bool optimized = true;
#else
constexpr bool optimized = false;
#endif

namespace framecall::json_test {
namespace {

std::string repeat(std::string_view text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

std::string lists(int depth) { return repeat("[", depth) + repeat("]", depth); }
std::string objects(int depth) { return repeat("{\"a\": ", depth - 1) + "{}" + repeat("}", depth - 1); }

const std::string digits_4300(max_integer_digits, '7');

TEST(Json, what_is_read_is_written_as_python_writes_it) {
  const struct {
    std::string text, written;  // no second text: the first one
  } rows[] = {
      // constants, white space, separators
      {"null", ""},
      {"true", ""},
      {"false", ""},
      {" \t\r\n[ ] \t\r\n", "[]"},
      {"{}", ""},
      {"[]", ""},
      {"[[],{}]", "[[], {}]"},
      {"[1,2,3]", "[1, 2, 3]"},
      {"{\"a\":1,\"b\":[true,false,null]}", "{\"a\": 1, \"b\": [true, false, null]}"},
      {"{\n  \"a\": {\n    \"b\": []\n  }\n}", "{\"a\": {\"b\": []}}"},
      {"{\"z\": 1, \"a\": 2, \"m\": 3}", ""},
      // strings
      {"\"\"", ""},
      {R"("\b\f\n\r\t\"\\\/")", R"("\b\f\n\r\t\"\\/")"},
      {R"("\u0000\u001F\u0041")", R"("\u0000\u001fA")"},
      {"\"\x7f\"", R"("\u007f")"},
      {"\"/\"", ""},
      {"\"\u2028\u2029\"", R"("\u2028\u2029")"},
      {"\"你好\"", R"("\u4f60\u597d")"},
      {"\"\U0001f600\"", R"("\ud83d\ude00")"},
      {R"("\uD83D\uDE00")", R"("\ud83d\ude00")"},
      {R"("\ud800")", ""},
      {R"("\udfff")", ""},
      {R"("\udc00\ud800")", ""},
      {R"("\ud800\u0041")", R"("\ud800A")"},
      {R"("\ud800\ud83d\ude00")", ""},
      {"\"\ufffe\uffff\ufeff\"", R"("\ufffe\uffff\ufeff")"},
      {"{\"\": \"\"}", ""},
      {R"({"\u540d\n": 1})", ""},
      // integers
      {"0", ""},
      {"-0", "0"},
      {"-1", ""},
      {"9223372036854775807", ""},
      {"9223372036854775808", ""},
      {"18446744073709551615", ""},
      {"18446744073709551616", ""},
      {"-9223372036854775808", ""},
      {"-9223372036854775809", ""},
      {digits_4300, ""},
      {"-" + digits_4300, ""},
      // floats
      {"-0.0", ""},
      {"-0e0", "-0.0"},
      {"0e5", "0.0"},
      {"1.50", "1.5"},
      {"1e2", "100.0"},
      {"1E22", "1e+22"},
      {"1e23", "1e+23"},
      {"1e15", "1000000000000000.0"},
      {"9999999999999998.0", ""},
      {"1e16", "1e+16"},
      {"0.0001", ""},
      {"1e-5", "1e-05"},
      {"5e-324", ""},
      {"0.1", ""},
      {"1.7976931348623157e308", "1.7976931348623157e+308"},
      {"1e400", "Infinity"},
      {"-1e400", "-Infinity"},
      {"1e-400", "0.0"},
      {"-1e-400", "-0.0"},
      {"2e-324", "0.0"},
      {"1.7976931348623159e308", "Infinity"},
      {std::string(5000, '7') + ".0", "Infinity"},
      {"NaN", ""},
      {"Infinity", ""},
      {"-Infinity", ""},
      // duplicate keys: the last value, the first place
      {R"({"a": 1, "b": 2, "a": 3})", R"({"a": 3, "b": 2})"},
      {R"({"a": 1, "\u0061": 2})", R"({"a": 2})"},
      {R"({"": 1, "": 2, "": 3})", R"({"": 3})"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(dump_json(parse_json(row.text)), row.written.empty() ? row.text : row.written) << printable(row.text);
    EXPECT_EQ(disagreement(row.text), "") << printable(row.text);
  }
}

// What is refused is in json_text_test: the grammar is the same. Here: that the builder changes nothing about it.
TEST(Json, what_is_refused_is_a_parse_error_with_its_place) {
  for (const auto& [text, offset] : std::vector<std::pair<std::string, std::uint64_t>>{{"", 0},
                                                                                       {"{\"a\": 1,}", 8},
                                                                                       {"[1, nul]", 4},
                                                                                       {"\"\xed\xa0\x80\"", 1},
                                                                                       {"\ufeff{}", 0},
                                                                                       {std::string("{}\0", 3), 2},
                                                                                       {"7" + digits_4300, 4301},
                                                                                       {"[\"a\", \"\\x41\"]", 7}}) {
    EXPECT_EQ(refusal([&text = text] { parse_json(text); }), "-32700 at " + std::to_string(offset)) << printable(text);
    EXPECT_EQ(disagreement(text), "") << printable(text);
  }
}

TEST(Json, values_have_the_types_that_the_header_promises) {
  const Json value = parse_json(
      R"({"n": null, "b": true, "i": -1, "u": 18446744073709551615, "big": 1e2, "digits": 18446744073709551616,
                                    "s": "\ud800", "l": [], "o": {}, "inf": -Infinity, "nan": NaN})");
  EXPECT_TRUE(value["n"].is_null());
  EXPECT_EQ(value["b"], true);
  EXPECT_EQ(value["i"].get<std::int64_t>(), -1);
  EXPECT_EQ(value["u"].get<std::uint64_t>(), UINT64_MAX);
  EXPECT_TRUE(value["big"].is_number_float());
  EXPECT_TRUE(value["digits"].is_binary());
  EXPECT_EQ(value["s"].get<std::string>(), "\xed\xa0\x80");
  EXPECT_TRUE(value["l"].is_array() && value["o"].is_object());
  EXPECT_EQ(value["inf"].get<double>(), -HUGE_VAL);
  EXPECT_TRUE(std::isnan(value["nan"].get<double>()));
  EXPECT_EQ(value.begin().key(), "n");
  EXPECT_EQ(parse_json("-9223372036854775808").get<std::int64_t>(), INT64_MIN);
}

TEST(Json, values_made_in_cpp_are_written) {
  const std::string pair_of_two = "\xed\xa0\xbd\xed\xb8\x80";
  const std::vector<std::pair<Json, std::string>> rows = {
      {Json{{"name", "a"}, {"size", 3u}}, R"({"name": "a", "size": 3})"},
      {Json::array({1, 2.0, "x", nullptr, false}), R"([1, 2.0, "x", null, false])"},
      {Json(INT64_MIN), "-9223372036854775808"},
      {Json(UINT64_MAX), "18446744073709551615"},
      {Json(1e15), "1000000000000000.0"},
      {Json(std::nan("")), "NaN"},
      {Json(HUGE_VAL), "Infinity"},
      {Json(-HUGE_VAL), "-Infinity"},
      {Json(-0.0), "-0.0"},
      {Json(1.5f), "1.5"},
      {Json("\xed\xa0\x80"), R"("\ud800")"},
      {Json(pair_of_two), R"("\ud83d\ude00")"},
      {integer_value("-0"), "0"},
      {Json::binary({'0'}), "0"},
      {Json::binary({'-', '5'}), "-5"},
      {Json::object(), "{}"},
      {Json::array(), "[]"},
      {Json::array({Json::array()}), "[[]]"},
  };
  for (const auto& [value, text] : rows) EXPECT_EQ(dump_json(value), text);
  EXPECT_EQ(parse_json(dump_json(pair_of_two)).get<std::string>(), "\U0001f600");  // as in Python
}

TEST(Json, what_no_text_makes_is_not_written) {
  const auto binary = [](std::string_view bytes) { return Json(Json::binary({bytes.begin(), bytes.end()})); };
  const Json wrong[] = {Json("\x80"),
                        Json{{"caf\xe9", 1}},
                        Json::array({1, "\xc0\x80"}),
                        Json(Json::value_t::discarded),
                        binary(""),
                        binary("-"),
                        binary("1x"),
                        binary("01"),
                        binary("-00"),
                        binary("\"}"),
                        binary("+1"),
                        binary("1-"),
                        binary("7" + digits_4300),
                        Json{{"a", binary("\xff")}}};
  for (const Json& value : wrong) {
    EXPECT_THROW(dump_json(value), std::invalid_argument);
    std::string out = "before";
    EXPECT_THROW(write_json(out, value), std::invalid_argument);
    EXPECT_EQ(out, "before");
  }
  std::string out = "before ";
  write_json(out, parse_json("[1,2]"));
  EXPECT_EQ(out, "before [1, 2]");
}

TEST(Json, integers_of_any_size_keep_their_digits) {
  for (const std::string& digits :
       {std::string("0"), std::string("-1"), std::string("9223372036854775807"), std::string("-9223372036854775808"),
        std::string("18446744073709551615"), std::string("18446744073709551616"), std::string("-9223372036854775809"),
        digits_4300, "-" + digits_4300}) {
    const Json value = integer_value(digits);
    EXPECT_TRUE(is_integer(value));
    EXPECT_EQ(integer_digits(value), digits);
    EXPECT_EQ(value, parse_json(digits));
    EXPECT_EQ(value.is_binary(), digits.size() > 18 && digits != "9223372036854775807" &&
                                     digits != "-9223372036854775808" && digits != "18446744073709551615");
  }
  EXPECT_EQ(integer_value(std::string_view("1234").substr(0, 2)), Json(12));
  EXPECT_EQ(integer_value(std::string_view("184467440737095516150").substr(0, 20)), Json(18446744073709551615u));
  for (const Json& value : {Json(true), Json(1.0), Json("1"), Json(nullptr), Json::array({1}), Json::object()}) {
    EXPECT_FALSE(is_integer(value)) << dump_json(value);
    EXPECT_THROW(integer_digits(value), std::invalid_argument);
  }
}

// The search for duplicates changes from a linear one to a hash on the way.
TEST(Json, duplicates_are_found_among_any_number_of_keys) {
  for (int count = 1; count < 60; ++count) {
    for (int duplicate : {0, count / 2, count - 1}) {
      std::string text = "{", expected = "{";
      for (int i = 0; i < count; ++i) {
        text += "\"k" + std::to_string(i) + "\":" + std::to_string(i) + ",";
        expected += (i > 0 ? ", " : "") + ("\"k" + std::to_string(i) + "\": ") +
                    (i == duplicate ? "\"last\"" : std::to_string(i));
      }
      text +=
          "\"k" + std::to_string(duplicate) + "\":\"middle\",\"\\u006b" + std::to_string(duplicate) + "\":\"last\"}";
      ASSERT_EQ(dump_json(parse_json(text)), expected + "}");
    }
  }
}

TEST(Json, sixty_thousand_keys_are_read_and_written) {
  std::string text = "{";
  for (int i = 0; i < 60000; ++i)
    text += (i > 0 ? ", \"key " : "\"key ") + std::to_string(i) + "\": " + std::to_string(i);
  text += "}";
  EXPECT_EQ(dump_json(parse_json(text)), text);
  Header header;
  header.read(text);
  ASSERT_NE(header.find("key 0"), nullptr);
  EXPECT_EQ(header.find("key 59999")->text, "59999");
  EXPECT_EQ(header.keys(3), (std::vector<std::string>{"key 0", "key 1", "key 2"}));
}

TEST(Json, a_thousand_levels_are_read_and_written_and_no_more) {
  static_assert(max_depth == 1000);
  for (const auto& text : {lists(1000), objects(1000), "{\"a\": " + lists(999) + "}",
                           repeat("[{\"a\": ", 499) + "[[]]" + repeat("}]", 499)}) {
    EXPECT_EQ(dump_json(parse_json(text)), text);
    EXPECT_EQ(disagreement(text), "");
  }
  EXPECT_NO_THROW(parse_json(repeat("[", 999) + "[1]" + repeat("]", 999)));  // what is in the last level is no level
  for (const auto& [text, offset] : std::vector<std::pair<std::string, int>>{{lists(1001), 1000},
                                                                             {objects(1001), 6000},
                                                                             {"{\"a\": " + lists(1000) + "}", 1005},
                                                                             {repeat("[", 100000), 1000},
                                                                             {repeat("{\"a\":", 100000), 5000}}) {
    EXPECT_EQ(refusal([&text = text] { parse_json(text); }), "-32700 at " + std::to_string(offset));
    EXPECT_EQ(disagreement(text), "");
  }
  Json list = Json::array(), object = Json::object();
  for (int depth = 1; depth <= 1000; ++depth) {
    EXPECT_EQ(dump_json(list).size(), 2u * static_cast<std::size_t>(depth));
    Json outer_list = Json::array(), outer_object = Json::object();
    outer_list.push_back(std::move(list));
    outer_object["a"] = std::move(object);
    list = std::move(outer_list);
    object = std::move(outer_object);
  }
  EXPECT_THROW(dump_json(list), std::invalid_argument);
  EXPECT_THROW(dump_json(object), std::invalid_argument);
}

void run_with_stack(std::size_t size, std::function<void()> work) {
  pthread_attr_t attributes;
  pthread_t thread;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, size), 0);
  const auto run = [](void* argument) -> void* {
    (*static_cast<std::function<void()>*>(argument))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, run, &work), 0);
  ASSERT_EQ(pthread_join(thread, nullptr), 0);
  pthread_attr_destroy(&attributes);
}

TEST(Json, the_full_depth_needs_less_than_256_kib_of_stack) {
  if (sanitized) GTEST_SKIP() << "sanitizers use the stack for themselves";
  if (!optimized) GTEST_SKIP() << "the promise is for optimized builds";
  for (const std::string& text :
       {lists(1000), objects(1000), repeat("[{\"a\": ", 499) + "[\"\\n\", 0.5]" + repeat("}]", 499)}) {
    std::string written, header_refusal, refused_end, refused_depth;
    run_with_stack(256 * 1024, [&] {
      written = dump_json(parse_json(text));
      header_refusal = refusal([&] { Header().read(text); });
      refused_end = refusal([&] { parse_json(std::string_view(text).substr(0, text.size() / 2 + 1)); });
      refused_depth = refusal([&] { parse_json("[[" + text + "]]"); });
    });
    EXPECT_EQ(written, text);
    EXPECT_EQ(header_refusal, text.front() == '{' ? "" : "-32600 at 0");
    EXPECT_NE(refused_end, "");
    EXPECT_NE(refused_depth, "");
  }
}

}  // namespace
}  // namespace framecall::json_test
