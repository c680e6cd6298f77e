#include "wire/advice.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "framecall/wire/frame.hpp"

namespace framecall::advice_test {
namespace {

using namespace std::string_literals;

PrefixFormat format(PrefixFormat::Kind kind, std::uint8_t width) {
  PrefixFormat result;
  result.kind = kind;
  result.width = width;
  return result;
}

const PrefixFormat four, two = format(PrefixFormat::Kind::binary, 2), decimal = format(PrefixFormat::Kind::decimal, 4);

TEST(Advice, about_a_length) {
  const struct {
    std::string bytes;
    PrefixFormat format;
    std::string part;  // empty: nothing at all
  } rows[] = {
      {"{\"ty", four, "JSON without a length in front of it: \"{\"ty\""},
      {"{\n \"a\"", four, "JSON without a length"},
      {"{a: 1", four, "the first bytes are text"},
      {"30  {\"", four, "prefix.width = 4"},
      {"0030", four, "prefix.kind = \"decimal\" and prefix.width = (their number)"},
      {"00000030{", decimal, "the dialect settings prefix.width = 8 read it"},
      {"12:{}", four, "netstring"},
      {"12ab", four, "the first bytes are text"},
      {"\0\0\0\x1e{"s, four, "prefix.order = \"big\""},
      {"\0\0\0\x1e"s, four, "prefix.order = \"big\""},
      {"\0\0\0\x1e\x01"s, four, ""},
      {"\x1e\0\0\0{"s, decimal, "prefix.kind = \"binary\" and prefix.order = \"little\""},
      {"\0\0\0\x1e{"s, decimal, "prefix.kind = \"binary\" and prefix.order = \"big\""},
      {"{\0\"\0"s, four, "UTF-16"},
      {"MAGC\x1e\0\0\0{"s, four, "the text \"MAGC\" stands in front of the length"},
      {"\xff\xff\xff\xff", four, ""},
  };
  for (const auto& row : rows) {
    const std::string advice = length_advice(row.bytes, row.format, default_max_header_size);
    if (row.part.empty()) {
      EXPECT_EQ(advice, "") << row.bytes;
    } else {
      EXPECT_NE(advice.find(row.part), std::string::npos) << row.bytes << advice;
      EXPECT_TRUE(advice.starts_with("; ")) << advice;
    }
  }
}

TEST(Advice, about_a_header) {
  const std::string text = R"({"file_name": "a", "file_size": 5})";
  const auto framed = [](std::string_view header, std::size_t length) { return encode_prefix(length).append(header); };
  const struct {
    std::string bytes, part;
  } rows[] = {
      {framed(text, text.size() + 4) + "hell", "the length counts itself: it is 38, and the header has 34 bytes"},
      {framed("{\"a\": \"\xc3\xbc\"}", 10), "counts characters, not bytes"},
      {framed("{\"a\": \"\xfc\"}", 10), "CP1252"},
      {framed("{\"a\": \"\xc4\xe3\xba\xc3\"}", 13), "GBK"},
      {framed("{\"a\": \"\xfc,}", 10), ""},
      {framed("{\"a\": 1,}", 9), ""},
      {framed("abcd{}", 6), ""},
      {framed("\xff\xd8\xff\xe0 and more", 5000), "a JPEG picture"},
      {framed("PK\x03\x04", 5000), "a ZIP file"},
      {framed("\x80\x04\x95", 3), "pickle"},
      {framed("\xff\xfe{\0"s, 40), "UTF-16"},
      {framed("\x05\0\0\0{\"a\""s, 40), "a second binary length, 5,"},
      {framed("\x05\0\0\0\0\0\0\0{\"a\""s, 40), "a second binary length, 5,"},
      {"\x01\x02\0\0\0{}"s, "\\x01 stands in front of the length 2"},
  };
  for (const auto& row : rows) {
    const std::string advice = header_advice(row.bytes, four);
    if (row.part.empty()) {
      EXPECT_EQ(advice, "") << row.bytes;
    } else {
      EXPECT_NE(advice.find(row.part), std::string::npos) << row.bytes << advice;
    }
  }
}

TEST(Advice, about_a_header_that_does_not_become_whole) {
  const std::string text = R"({"a": 1})";
  EXPECT_EQ(unfinished_advice(encode_prefix(30), four), "");
  EXPECT_EQ(unfinished_advice(encode_prefix(30) + "{\"a", four), ": 3 of its 30 bytes came");
  EXPECT_EQ(unfinished_advice(encode_prefix(12) + text, four),
            ": 8 of its 12 bytes came, which are a whole header: the length counts itself");
  EXPECT_EQ(unfinished_advice("\x0a\0"s + text, two),
            ": 8 of its 10 bytes came, which are a whole header: the length counts itself");
  EXPECT_EQ(unfinished_advice(encode_prefix(13) + text, four),
            ": 8 of its 13 bytes came, which are a whole header: the length is too large");
}

// Whatever the bytes are: no fault may come of explaining a fault.
TEST(Advice, stands_every_beginning_of_everything) {
  const std::string text = "0012{\"\xc3\xbc\xff\xfe" + std::string(3, '\0') + "PK\x03\x04:GET \x80\x04";
  for (std::size_t from = 0; from < text.size(); ++from) {
    for (std::size_t size = 1; size <= text.size() - from; ++size) {
      const std::string bytes = text.substr(from, size);
      for (const PrefixFormat& one : {four, two, decimal}) {
        length_advice(bytes, one, default_max_header_size);
        if (bytes.size() < one.width) continue;
        header_advice(bytes, one);
        unfinished_advice(bytes, one);
      }
    }
  }
}

}  // namespace
}  // namespace framecall::advice_test
