#include "framecall/wire/header.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "support/json_agreement.hpp"

namespace framecall::header_test {
namespace {

using Kind = Token::Kind;

const std::vector<std::pair<Key, std::string>> named_keys = {{Key::jsonrpc, "jsonrpc"},
                                                             {Key::id, "id"},
                                                             {Key::method, "method"},
                                                             {Key::params, "params"},
                                                             {Key::body_size, "body_size"},
                                                             {Key::timeout_ms, "timeout_ms"},
                                                             {Key::more, "more"},
                                                             {Key::stream, "stream"},
                                                             {Key::result, "result"},
                                                             {Key::error, "error"},
                                                             {Key::item, "item"},
                                                             {Key::digest, "digest"},
                                                             {Key::metadata, "metadata"},
                                                             {Key::traceparent, "traceparent"},
                                                             {Key::tracestate, "tracestate"},
                                                             {Key::dtype, "dtype"},
                                                             {Key::shape, "shape"},
                                                             {Key::tensors, "tensors"}};

std::string in_escapes(const std::string& text) {
  std::string out;
  for (char c : text) {
    char escape[8];
    std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned char>(c));
    out += escape;
  }
  return out;
}

TEST(Header, every_named_key_is_found_however_it_is_spelt) {
  ASSERT_EQ(named_keys.size(), key_count);
  for (const auto& [key, name] : named_keys) {
    for (const std::string& text :
         {"{\"" + name + "\": 12}", "{\"" + name + "\":12}", " {\n\"" + name + "\" : 12 } ",
          "{\"" + in_escapes(name) + "\": 12}", "{\"other\": 1, \"" + name + "\": 12}",
          "{\"" + name + "\": 9, \"" + name + "\": 12}", "{\"" + in_escapes(name) + "\": 9, \"" + name + "\": 12}",
          "{\"" + name + "\": 9, \"" + in_escapes(name) + "\": 12}"}) {
      Header header;
      header.read(text);
      EXPECT_EQ(header.text(), text);
      for (const auto& [other, other_name] : named_keys) {
        ASSERT_EQ(header.has(other), other == key) << text;
        ASSERT_EQ(header.find(other) != nullptr, other == key) << text;
        ASSERT_EQ(header.find(other_name), header.find(other)) << text;
      }
      EXPECT_EQ(header.find(key)->text, "12") << text;
      EXPECT_EQ(header.find(key)->kind, Kind::integer) << text;
      EXPECT_EQ(disagreement(text), "") << text;
    }
  }
}

TEST(Header, keys_that_only_look_like_named_ones_are_others) {
  for (const auto& [key, name] : named_keys) {
    std::vector<std::string> names = {name + "x", " " + name, name + " ", name.substr(0, name.size() - 1),
                                      name.substr(1)};
    for (std::size_t i = 0; i < name.size(); ++i) {
      names.push_back(name);
      names.back()[i] = static_cast<char>(name[i] ^ 0x20);
    }
    for (const std::string& other : names) {
      const std::string text = "{\"" + other + "\": 1}";
      Header header;
      header.read(text);
      EXPECT_FALSE(header.has(key)) << text;
      EXPECT_EQ(header.find(name), nullptr) << text;
      ASSERT_NE(header.find(other), nullptr) << text;
      EXPECT_EQ(disagreement(text), "") << text;
    }
  }
}

TEST(Header, tokens_tell_text_and_kind) {
  const struct {
    std::string_view text;
    Kind kind;
  } rows[] = {{"\"\"", Kind::plain_string},
              {"\"你\x7f\"", Kind::plain_string},
              {"\"a\\n\"", Kind::escaped_string},
              {"0", Kind::integer},
              {"-0", Kind::integer},
              {"123456789012345678901234567890", Kind::integer},
              {"1.0", Kind::real},
              {"1e2", Kind::real},
              {"-1.5E-7", Kind::real},
              {"NaN", Kind::real},
              {"Infinity", Kind::real},
              {"-Infinity", Kind::real},
              {"true", Kind::boolean_true},
              {"false", Kind::boolean_false},
              {"null", Kind::null},
              {"[]", Kind::list},
              {"[1, {\"a\": [\"]\"]}]", Kind::list},
              {"{}", Kind::object},
              {"{ \"a\" : \"}\" }", Kind::object}};
  for (const auto& row : rows) {
    for (const std::string key : {"id", "result", "x"}) {
      const std::string text = "{\"" + key + "\": " + std::string(row.text) + " , \"y\": 1}";
      Header header;
      header.read(text);
      const Token* token = header.find(key);
      ASSERT_NE(token, nullptr) << text;
      EXPECT_EQ(token->text, row.text) << text;
      EXPECT_EQ(token->kind, row.kind) << text;
      EXPECT_EQ(token->is_string(), row.text.front() == '"') << text;
      EXPECT_TRUE(token->text.data() > text.data() && token->text.data() < text.data() + text.size()) << text;
      EXPECT_EQ(disagreement(text), "") << text;
    }
  }
}

TEST(Header, strings_are_views_when_they_can_be) {
  const std::string text = R"({"plain": "ab", "escaped": "a\u4f60\ud800\n", "empty": ""})";
  Header header;
  header.read(text);
  std::string scratch = "unused";
  EXPECT_EQ(string_value(*header.find("plain"), scratch), "ab");
  EXPECT_EQ(string_value(*header.find("empty"), scratch), "");
  EXPECT_EQ(scratch, "unused");
  EXPECT_EQ(string_value(*header.find("escaped"), scratch), "a你\xed\xa0\x80\n");
}

TEST(Header, other_keys_are_found_by_name_and_the_last_one_counts) {
  Header header;
  header.read(R"({"a": 1, "\u4f60": 2, "a": 3, "\ud800": 4, "\u0061b": 5, "": 6, "ab": 7, "x": 8, "\u0078": 9})");
  const std::vector<std::pair<std::string, std::string>> rows = {{"a", "3"},  {"你", "2"}, {"\xed\xa0\x80", "4"},
                                                                 {"ab", "7"}, {"", "6"},   {"x", "9"}};
  for (const auto& [name, value] : rows) {
    ASSERT_NE(header.find(name), nullptr) << name;
    EXPECT_EQ(header.find(name)->text, value) << name;
  }
  for (std::string_view name : {"A", "b", "\\u4f60", "\\u0061b", "abc", "id"})
    EXPECT_EQ(header.find(name), nullptr) << name;
}

TEST(Header, keys_are_listed_decoded_up_to_a_number) {
  Header header;
  header.read(R"({"file": 1, "method": 2, "\u4f60": 3, "id": 4})");
  EXPECT_EQ(header.keys(9), (std::vector<std::string>{"id", "method", "file", "你"}));
  EXPECT_EQ(header.keys(3), (std::vector<std::string>{"id", "method", "file"}));
  EXPECT_EQ(header.keys(1), (std::vector<std::string>{"id"}));
  EXPECT_EQ(header.keys(0), (std::vector<std::string>{}));
}

TEST(Header, one_header_serves_many_texts) {
  Header header;
  header.read(R"({"id": 1, "method": "m", "x": 1, "y": [1]})");
  header.read("{}");
  EXPECT_EQ(header.text(), "{}");
  EXPECT_TRUE(header.keys(9).empty());
  EXPECT_EQ(header.find(Key::id), nullptr);
  EXPECT_EQ(header.find("x"), nullptr);
  EXPECT_THROW(header.read(R"({"id": 1, "x": })"), ProtocolError);
  header.read(R"({"y": 2})");
  EXPECT_EQ(header.keys(9), (std::vector<std::string>{"y"}));
}

TEST(Header, what_is_no_object_is_an_invalid_request_and_what_is_no_json_a_parse_error) {
  for (std::string_view text : {"[]", " [{}] ", "\"{}\"", "12", "1.5", "true", "null", "NaN", "-Infinity"}) {
    EXPECT_EQ(refusal([&] { Header().read(text); }), "-32600 at 0") << text;
  }
  const std::vector<std::pair<std::string_view, int>> rows = {{"", 0},
                                                              {" ", 1},
                                                              {"{", 1},
                                                              {"{ ", 2},
                                                              {"{}x", 2},
                                                              {"[]x", 2},
                                                              {"{\"id\": }", 7},
                                                              {"{\"id\": 1,}", 9},
                                                              {"{\"id\" 1}", 6},
                                                              {"{\"id\": 1", 8},
                                                              {"{\"id\": 1 \"a\"}", 9},
                                                              {"{\"id\": ", 7},
                                                              {"{\"id\":", 6},
                                                              {"{\"id", 4},
                                                              {"{\"", 2},
                                                              {"{\"id\"", 5},
                                                              {"{\"method\": x}", 11},
                                                              {"{id: 1}", 1},
                                                              {"{,}", 1},
                                                              {"{\"a\xff\": 1}", 3},
                                                              {"{\"\\x\": 1}", 2},
                                                              {"{\"m\": 1]", 7},
                                                              {"\ufeff{}", 0},
                                                              {"{\"more\": tru}", 9}};
  for (const auto& [text, offset] : rows) {
    EXPECT_EQ(refusal([text = text] { Header().read(text); }), "-32700 at " + std::to_string(offset)) << text;
    EXPECT_EQ(disagreement(text), "") << text;
  }
}

// The readers have to agree about whatever comes of a header when a byte of it changes or is missing.
TEST(Header, agrees_with_the_other_readers_about_broken_headers) {
  for (const std::string& text :
       {std::string(R"({"jsonrpc": "2.0", "id": 7, "method": "upper", "params": {"a": [1, 2.5e-3]}, "body_size": 32})"),
        std::string(R"({"id": "\u4f60\n", "result": [true, null], "more": false, "timeout_ms": 5, "metadata": {}})"),
        std::string("{\"file_name\":\"你\", \"file_size\" : -0 ,\"md5\":NaN,\"x\":-Infinity}")}) {
    ASSERT_EQ(disagreement(text), "");
    for (std::size_t place = 0; place < text.size(); ++place) {
      ASSERT_EQ(disagreement(std::string_view(text).substr(0, place)), "") << place;
      ASSERT_EQ(disagreement(text.substr(0, place) + text.substr(place + 1)), "") << place;
      for (int byte = 0; byte < 256; ++byte) {
        std::string broken = text;
        broken[place] = static_cast<char>(byte);
        ASSERT_EQ(disagreement(broken), "") << printable(broken);
      }
    }
  }
}

TEST(Header, a_size_is_an_integer_from_0_to_2_to_the_63_less_1) {
  const std::string zeros(100, '0');
  const std::vector<std::pair<std::string, std::optional<std::uint64_t>>> rows = {
      {"0", 0},
      {"-0", 0},
      {"1", 1},
      {"4294967296", 4294967296},
      {"9223372036854775807", 9223372036854775807u},
      {"9223372036854775808", {}},
      {"18446744073709551615", {}},
      {"18446744073709551616", {}},
      {"1" + zeros, {}},
      {"-1", {}},
      {"-9223372036854775808", {}},
      {"-1" + zeros, {}},
      {"1.0", {}},
      {"0.0", {}},
      {"-0.0", {}},
      {"1e2", {}},
      {"NaN", {}},
      {"Infinity", {}},
      {"true", {}},
      {"false", {}},
      {"null", {}},
      {"\"12\"", {}},
      {"\"\"", {}},
      {"[]", {}},
      {"[1]", {}},
      {"{}", {}}};
  for (const auto& [text, size] : rows) {
    const std::string header_text = "{\"body_size\": " + text + "}";
    Header header;
    header.read(header_text);
    EXPECT_EQ(size_value(*header.find(Key::body_size)), size) << text;
  }
}

}  // namespace
}  // namespace framecall::header_test
