#include "framecall/wire/dialect.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <string>

namespace framecall::dialect_test {
namespace {

const Dialect& standard() { return default_dialect(); }

const Dialect& published() {
  static const Dialect dialect = [] {
    Dialect one;
    one.size_keys = {"file_siz", "file_size", "filesize", "total_size"};
    return one;
  }();
  return dialect;
}

TEST(Dialect, an_upload_is_announced_in_its_spelling) {
  EXPECT_EQ(upload_header(standard(), "a.txt", 6), R"({"file_name": "a.txt", "file_size": 6})");
  EXPECT_EQ(upload_header(published(), "a.txt", 6), R"({"file_name": "a.txt", "file_siz": 6})");
  EXPECT_EQ(upload_header(standard(), "你\"\xed\xa0\x80", INT64_MAX),
            R"({"file_name": "\u4f60\"\ud800", "file_size": 9223372036854775807})");
  EXPECT_THROW(upload_header(standard(), "caf\xe9", 6), std::invalid_argument);
}

// What a header means: "name size body_size", "none body_size", or the error's text.
std::string meaning(std::string_view text, const Dialect& dialect = standard()) {
  Header header;
  header.read(text);
  std::uint64_t size = 0;
  try {
    size = body_size(header, dialect);
  } catch (const ProtocolError& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_request) << text;
    EXPECT_EQ(error.offset(), 0u) << text;
    EXPECT_THROW(upload_head(header, dialect), ProtocolError) << text;  // a header that is no upload is not asked
    return error.what();
  }
  try {
    const auto upload = upload_head(header, dialect);
    if (!upload) return "none " + std::to_string(size);
    EXPECT_EQ(upload->size, size) << text;
    return std::string(upload->name->text) + " " + std::to_string(size);
  } catch (const ProtocolError& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_request) << text;
    return error.what();
  }
}

TEST(Dialect, uploads_are_told_from_calls_by_their_keys) {
  const struct {
    std::string_view header, meaning;
  } rows[] = {
      {R"({"file_name": "a", "file_size": 6})", "\"a\" 6"},
      {R"({"filename": "a", "filesize": 6})", "\"a\" 6"},
      {R"({"file_name": "a", "file_siz": 6})", "\"a\" 6"},
      {R"({"file_name": "a", "total_size": 6, "md5": null})", "\"a\" 6"},
      {R"({"file_name": 5, "file_size": -0})", "5 0"},
      {R"({"file_name": "a", "filename": "\u0061", "file_size": 1, "file_siz": 1})", "\"a\" 1"},
      {R"({"file_name": null, "filename": null, "file_size": 1})", "null 1"},
      {R"({"file_name": "a"})", "none 0"},
      {R"({"file_size": 6})", "none 6"},
      {R"({"body_size": 6})", "none 0"},  // no call: the key means nothing
      {R"({"body_size": "x", "file_size": 6})", "none 6"},
      {R"({})", "none 0"},
      {R"({"method": "m", "body_size": 7, "file_name": "a", "file_size": 6})", "none 7"},
      {R"({"result": null, "body_size": 7, "file_size": "x"})", "none 7"},
      {R"({"error": {}, "file_size": 7, "file_siz": 8})", "none 0"},
      {R"({"item": 0, "body_size": 9223372036854775807})", "none 9223372036854775807"},
      {R"({"method": "m", "body_size": 1, "body_size": 2})", "none 2"},
      {R"({"file_name": "a", "file_size": 3, "file_siz": 4})", "file_size and file_siz are both there and differ"},
      {R"({"total_size": 4, "filesize": 3})", "filesize and total_size are both there and differ"},
      {R"({"file_name": "a", "filename": "b", "file_size": 3})", "file_name and filename are both there and differ"},
      {R"({"file_name": "1", "filename": 1, "file_size": 3})", "file_name and filename are both there and differ"},
      {R"({"file_name": 1, "filename": 2, "file_size": 3})", "file_name and filename are both there and differ"},
      {R"({"file_name": "a", "filename": "b"})", "file_name and filename are both there and differ"},
  };
  for (const auto& row : rows) EXPECT_EQ(meaning(row.header), row.meaning) << row.header;
}

TEST(Dialect, a_size_that_is_none_is_refused_under_every_key) {
  for (std::string_view bad :
       {"true", "1.0", "1e2", "\"12\"", "null", "[]", "{}", "-1", "9223372036854775808", "NaN"}) {
    for (const std::string& key : standard().size_keys) {
      const std::string text = "\"" + key + "\": " + std::string(bad) + "}";
      const std::string expected = key + " is not an integer 0 .. 2^63-1: " + std::string(bad);
      EXPECT_EQ(meaning("{" + text), expected);
      EXPECT_EQ(meaning("{\"file_name\": \"a\", " + text), expected);
      if (key == "file_size") continue;
      EXPECT_EQ(meaning("{\"file_name\": \"a\", \"file_size\": 1, " + text), expected);
    }
    for (std::string_view call : {"method", "result", "error", "item"}) {
      Header header;
      const std::string text = "{\"" + std::string(call) + "\": 0, \"body_size\": " + std::string(bad) + "}";
      header.read(text);
      EXPECT_THROW(body_size(header, standard()), ProtocolError) << text;
      EXPECT_FALSE(upload_head(header, standard()));
    }
  }
}

TEST(Dialect, what_the_peer_wrote_is_cut_in_the_message) {
  const std::string text = "{\"file_size\": \"" + std::string(1000, 'x') + "\"}";
  EXPECT_EQ(meaning(text), "file_size is not an integer 0 .. 2^63-1: \"" + std::string(39, 'x') + "...");
}

TEST(Dialect, a_dialect_of_the_callers_own_is_data) {
  Dialect own;
  own.name_keys = {"name"};
  own.size_keys = {"size", "body_size"};
  EXPECT_EQ(upload_header(own, "a", 1), R"({"name": "a", "size": 1})");
  EXPECT_EQ(meaning(R"({"name": "a", "body_size": 4})", own), "\"a\" 4");
  EXPECT_EQ(meaning(R"({"file_name": "a", "file_size": "x"})", own), "none 0");
  EXPECT_EQ(meaning(R"({"size": 1, "body_size": 2})", own), "size and body_size are both there and differ");
}

}  // namespace
}  // namespace framecall::dialect_test
