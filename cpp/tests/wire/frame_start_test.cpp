// How frames begin; what a Decoder makes of them is in frame_test.cpp and dialect_frame_test.cpp.
#include "wire/frame_start.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace framecall::frame_start_test {
namespace {

using Kind = PrefixFormat::Kind;
using Order = PrefixFormat::Order;

PrefixFormat format(Kind kind, int width, Order order = Order::little) {
  PrefixFormat result;
  result.kind = kind;
  result.width = static_cast<std::uint8_t>(width);
  result.order = order;
  return result;
}

TEST(FrameStart, the_number_of_a_prefix_is_the_least_it_can_become) {
  const PrefixFormat big = format(Kind::binary, 4, Order::big);
  EXPECT_EQ(prefix_value(std::string_view("\x02\x01\0\0", 4), PrefixFormat()), 258);
  EXPECT_EQ(prefix_value(std::string_view("\0\0\x01\x02", 4), big), 258);
  EXPECT_EQ(prefix_value(std::string_view("\0\0\x01", 3), big), 256);
  EXPECT_EQ(prefix_value("\xff\xff\xff\xff", PrefixFormat()), -1) << "as struct.unpack('i') reads it";
  EXPECT_EQ(prefix_value("  12", format(Kind::decimal, 4)), 12);
  EXPECT_EQ(prefix_value("1a", format(Kind::decimal, 4)), -1);
  EXPECT_EQ(prefix_value("    ", format(Kind::decimal, 4)), -1);
}

TEST(FrameStart, a_frame_is_a_length_and_an_open_brace) {
  const Dialect dialect;
  const auto start = [&](std::string_view bytes) { return match_start(bytes, PrefixFormat(), dialect, 1000); };
  EXPECT_EQ(start(std::string_view("\x02\0\0\0{", 5)), FrameStart::yes);
  EXPECT_EQ(start(std::string_view("\x02\0\0\0", 4)), FrameStart::maybe);
  EXPECT_EQ(start(std::string_view("\x02", 1)), FrameStart::maybe);
  EXPECT_EQ(start(std::string_view("\x02\0\0\0x", 5)), FrameStart::no);
  EXPECT_EQ(start(std::string_view("\x01\0\0\0{", 5)), FrameStart::no);
  EXPECT_EQ(start(std::string_view("\xe9\x03\0\0{", 5)), FrameStart::no) << "1001";
}

TEST(FrameStart, of_several_formats_the_verdict_is_that_of_the_first_bytes_that_decide) {
  const Dialect dialect;
  const std::vector<PrefixFormat> formats = {PrefixFormat(), format(Kind::binary, 4, Order::big),
                                             format(Kind::decimal, 4), format(Kind::decimal, 10)};
  PrefixFormat found;
  const auto start = [&](std::string_view bytes) { return match_any_start(bytes, formats, dialect, 1000, found); };
  EXPECT_EQ(start(std::string_view("\0\0\0\x02{", 5)), FrameStart::yes);
  EXPECT_EQ(found, formats[1]);
  EXPECT_EQ(start("0002{}"), FrameStart::yes);
  EXPECT_EQ(found, formats[2]);
  EXPECT_EQ(start("0000000002{}"), FrameStart::yes);
  EXPECT_EQ(found, formats[3]);
  EXPECT_EQ(start("0002"), FrameStart::maybe);
  EXPECT_EQ(start("hello"), FrameStart::no);
  for (const std::string& whole : {std::string("0000000002{}"), std::string("\0\0\0\x02{", 5)}) {
    FrameStart before = FrameStart::maybe;
    for (std::size_t size = 1; size <= whole.size(); ++size) {
      const FrameStart now = start(std::string_view(whole).substr(0, size));
      EXPECT_TRUE(now == before || before == FrameStart::maybe) << size;
      before = now;
    }
  }
}

TEST(FrameStart, digits_and_blanks_are_counted_from_the_front) {
  EXPECT_EQ(digits_and_blanks("12 3x4"), 4u);
  EXPECT_EQ(digits_and_blanks(""), 0u);
  EXPECT_EQ(digits_and_blanks("x"), 0u);
}

}  // namespace
}  // namespace framecall::frame_start_test
