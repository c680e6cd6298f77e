#include "framecall/detail/json_text.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

#include "framecall/detail/json_reader.hpp"
#include "support/sanitizers.hpp"

namespace framecall::json_text_test {
namespace {

std::string written(double value) {
  std::string out;
  write_double(out, value);
  return out;
}

std::string written(std::string_view text) {
  std::string out;
  write_string(out, text);
  return out;
}

// ---- UTF-8

// Unicode 15, table 3-7: well-formed byte sequences; the surrogates are our own addition.
int well_formed_size(const unsigned char* bytes, std::size_t size, bool surrogates) {
  struct Row {
    int lead_from, lead_to, second_from, second_to, size;
  };
  const Row rows[] = {{0x00, 0x7f, 0, 0, 1},
                      {0xc2, 0xdf, 0x80, 0xbf, 2},
                      {0xe0, 0xe0, 0xa0, 0xbf, 3},
                      {0xe1, 0xec, 0x80, 0xbf, 3},
                      {0xed, 0xed, 0x80, surrogates ? 0xbf : 0x9f, 3},
                      {0xee, 0xef, 0x80, 0xbf, 3},
                      {0xf0, 0xf0, 0x90, 0xbf, 4},
                      {0xf1, 0xf3, 0x80, 0xbf, 4},
                      {0xf4, 0xf4, 0x80, 0x8f, 4}};
  for (const Row& row : rows) {
    if (bytes[0] < row.lead_from || bytes[0] > row.lead_to) continue;
    if (size < static_cast<std::size_t>(row.size)) return 0;
    if (row.size > 1 && (bytes[1] < row.second_from || bytes[1] > row.second_to)) return 0;
    for (int i = 2; i < row.size; ++i) {
      if (bytes[i] < 0x80 || bytes[i] > 0xbf) return 0;
    }
    return row.size;
  }
  return 0;
}

TEST(Utf8, every_code_point_reads_back_as_itself) {
  for (std::uint32_t c = 0; c <= 0x10ffff; ++c) {
    std::string bytes;
    append_utf8(bytes, c);
    const bool surrogate = c >= 0xd800 && c <= 0xdfff;
    const char* const end = bytes.data() + bytes.size();
    char32_t read = 0;
    ASSERT_EQ(decode_utf8(bytes.data(), end, read, true), static_cast<int>(bytes.size())) << c;
    ASSERT_EQ(std::uint32_t{read}, c);
    ASSERT_EQ(decode_utf8(bytes.data(), end, read, false), surrogate ? 0 : static_cast<int>(bytes.size())) << c;
  }
}

TEST(Utf8, what_is_well_formed_is_what_unicode_says) {
  const auto check = [](std::initializer_list<int> values) {
    unsigned char bytes[4] = {0x80, 0x80, 0x80, 0x80};  // behind the end: what would go on well
    std::copy(values.begin(), values.end(), bytes);
    const char* const at = reinterpret_cast<const char*>(bytes);
    for (bool surrogates : {false, true}) {
      char32_t c = 0;
      ASSERT_EQ(decode_utf8(at, at + values.size(), c, surrogates), well_formed_size(bytes, values.size(), surrogates))
          << std::hex << bytes[0] << ' ' << bytes[1];
    }
  };
  const int edges[] = {0x00, 0x22, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xe0, 0xff};
  for (int a = 0; a < 256; a += exhaustive_step) {
    check({a});
    for (int b = 0; b < 256; ++b) {
      check({a, b});
      for (int c : edges) {
        check({a, b, c});
        for (int d : edges) check({a, b, c, d});
      }
    }
  }
}

// ---- strings

TEST(JsonString, is_written_as_json_dumps_writes_it) {
  const struct {
    std::string_view text, json;
  } rows[] = {
      {"", R"("")"},
      {"/~ !#[]'", R"("/~ !#[]'")"},
      {"\b\f\n\r\t\"\\", R"("\b\f\n\r\t\"\\")"},
      {std::string_view("\0\x01\x1f", 3), R"("\u0000\u0001\u001f")"},
      {"\x7f", R"("\u007f")"},
      {"\u0080\u00ff\u0100\u07ff\u0800", R"("\u0080\u00ff\u0100\u07ff\u0800")"},
      {"\u2028\u2029\ufeff\ufffe\uffff", R"("\u2028\u2029\ufeff\ufffe\uffff")"},
      {"你好", R"("\u4f60\u597d")"},
      {"\U00010000\U0001f600\U0010ffff", R"("\ud800\udc00\ud83d\ude00\udbff\udfff")"},
      {"\xed\xa0\x80", R"("\ud800")"},  // lone surrogates
      {"\xed\xb0\x80\xed\xa0\x80", R"("\udc00\ud800")"},
      {"\xed\xa0\xbd\xed\xb8\x80", R"("\ud83d\ude00")"},  // a pair that was made of two code points
  };
  for (const auto& row : rows) EXPECT_EQ(written(row.text), row.json);
  for (std::string_view text :
       {"\x80", "\xc0\x80", "\xe0\x80\xaf", "\xf4\x90\x80\x80", "a\xe4\xbd", "caf\xe9", "\xff"}) {
    EXPECT_THROW(written(text), std::invalid_argument);
    EXPECT_THROW(written("0123456789abcdef" + std::string(text) + "x"), std::invalid_argument);
  }
}

TEST(JsonString, every_code_point_is_written_as_json_dumps_writes_it) {
  const std::string_view named = "\"\\\b\f\n\r\t";
  const std::string_view names = "\"\\bfnrt";
  for (std::uint32_t c = 0; c <= 0x10ffff; c += exhaustive_step) {
    char expected[16];
    if (c < 0x80 && named.find(static_cast<char>(c)) != std::string_view::npos) {
      std::snprintf(expected, sizeof expected, "\"\\%c\"", names[named.find(static_cast<char>(c))]);
    } else if (c >= ' ' && c <= '~') {
      std::snprintf(expected, sizeof expected, "\"%c\"", static_cast<char>(c));
    } else if (c < 0x10000) {
      std::snprintf(expected, sizeof expected, "\"\\u%04x\"", c);
    } else {
      std::snprintf(expected, sizeof expected, "\"\\u%04x\\u%04x\"", 0xd800 + ((c - 0x10000) >> 10),
                    0xdc00 + (c & 0x3ff));
    }
    std::string text;
    append_utf8(text, c);
    ASSERT_EQ(written(text), expected);
    std::string alone = "\"";
    write_code_point(alone, c);
    ASSERT_EQ(alone + "\"", expected);
    std::string read;
    const bool ascii = decode_string(std::string_view(expected).substr(1, std::string_view(expected).size() - 2), read);
    ASSERT_EQ(read, text);
    ASSERT_EQ(ascii, c < 0x80);
  }
}

TEST(JsonString, escapes_are_undone) {
  const struct {
    std::string_view raw, text;
    bool ascii;
  } rows[] = {
      {R"(\"\\\/\b\f\n\r\t)", "\"\\/\b\f\n\r\t", true},
      {R"(a\u0041\u004a\u004Az)", "aAJJz", true},
      {R"(\u0000)", std::string_view("\0", 1), true},
      {R"(\uD83D\uDE00)", "\U0001f600", false},
      {R"(\ud800)", "\xed\xa0\x80", false},
      {R"(\ud800x)", "\xed\xa0\x80x", false},
      {R"(\ud800\n)", "\xed\xa0\x80\n", false},
      {R"(\ud800xyz\n\n)", "\xed\xa0\x80xyz\n\n", false},
      {R"(\ud800\n\n\n)", "\xed\xa0\x80\n\n\n", false},
      {R"(\ud800\ue000)", "\xed\xa0\x80\ue000", false},
      {R"(\ue000\udc00)", "\ue000\xed\xb0\x80", false},
      {R"(\udfff)", "\xed\xbf\xbf", false},
      {R"(\udc00\udc00)", "\xed\xb0\x80\xed\xb0\x80", false},
      {R"(\udc0f\udc00)", "\xed\xb0\x8f\xed\xb0\x80", false},
      {R"(\udc00\ud800)", "\xed\xb0\x80\xed\xa0\x80", false},
      {R"(\ud800\u0041)",
       "\xed\xa0\x80"
       "A",
       false},
      {R"(\ud800\ud83d\ude00)", "\xed\xa0\x80\U0001f600", false},
      {R"(\ud83d\ude00\ude00)", "\U0001f600\xed\xb8\x80", false},
      {R"(\ud800\udbff)", "\xed\xa0\x80\xed\xaf\xbf", false},
      {R"(\udbff\udfff)", "\U0010ffff", false},
      {"你\\n", "你\n", false},
      {"\\u00e9", "\u00e9", false},
  };
  for (const auto& row : rows) {
    std::string text = "before ";
    EXPECT_EQ(decode_string(row.raw, text), row.ascii) << row.raw;
    EXPECT_EQ(text, "before " + std::string(row.text)) << row.raw;
  }
}

// Every length around the 16 bytes that are looked at in one step, each unusual byte at every place, in a block that
// ends where the text ends: AddressSanitizer would see one byte more being read.
TEST(JsonString, an_unusual_byte_is_found_wherever_it_stands) {
  for (std::size_t size = 0; size < 50; ++size) {
    for (std::size_t place = 0; place <= size; ++place) {
      for (int byte :
           std::initializer_list<int>{0x00, 0x1f, ' ', '!', '"', '#', '[', '\\', ']', '~', 0x7f, 0x80, 0xbf, 0xff}) {
        const auto text = std::make_unique<char[]>(size);
        std::fill_n(text.get(), size, 'x');
        if (place < size) text[place] = static_cast<char>(byte);
        const bool special = place < size && (byte < ' ' || byte == '"' || byte == '\\' || byte > '~');
        ASSERT_EQ(find_special(text.get(), text.get() + size) - text.get(), special ? place : size)
            << size << ' ' << byte;
      }
    }
  }
}

// ---- the grammar

struct Refusal {
  std::string text;
  std::uint64_t offset;
};

TEST(JsonGrammar, what_json_loads_refuses_is_refused_and_the_place_is_told) {
  const std::vector<Refusal> rows = {
      {"", 0},
      {" ", 1},
      {"nul", 0},
      {"nullx", 4},
      {"True", 0},
      {"nan", 0},
      {"-NaN", 1},
      {"+Infinity", 0},
      {"Inf", 0},
      {"-Inf", 0},
      {"-I", 0},
      {"infinity", 0},
      {"01", 1},
      {"-01", 2},
      {"+1", 0},
      {"1.", 2},
      {".5", 0},
      {"1e", 2},
      {"1e+", 3},
      {"1.e1", 2},
      {"0x1", 1},
      {"1_0", 1},
      {"-", 1},
      {"--1", 1},
      {"- 1", 1},
      {"\uff11", 0},
      {"1.5.5", 3},
      {"1ee1", 2},
      {std::string(max_integer_digits + 1, '7'), 4301},
      {"-" + std::string(max_integer_digits + 1, '7'), 4302},
      {"[", 1},
      {"]", 0},
      {"[1", 2},
      {"[1,", 3},
      {"[1,]", 3},
      {"[,]", 1},
      {"[1 2]", 3},
      {"[1}", 2},
      {"[1]]", 3},
      {"{", 1},
      {"}", 0},
      {"{,}", 1},
      {"{\"a\"", 4},
      {"{\"a\" 1}", 5},
      {"{\"a\":", 5},
      {"{\"a\":}", 5},
      {"{\"a\":1", 6},
      {"{\"a\":1,", 7},
      {"{\"a\":1,}", 7},
      {"{\"a\":1 \"b\":2}", 7},
      {"{a:1}", 1},
      {"{'a':1}", 1},
      {"{1:2}", 1},
      {"{\"a\":1]", 6},
      {"{null:1}", 1},
      {"{} {}", 3},
      {"{}x", 2},
      {"1 2", 2},
      {"//\n1", 0},
      {"1 /* */", 2},
      {"\ufeff{}", 0},
      {std::string("{}\0", 3), 2},
      {std::string("{}\0{}", 5), 2},
      {std::string("\0{}", 3), 0},
      {"\v1", 0},
      {"1\f", 1},
      {"1\u00a0", 1},
      {"1\u2028", 1},
      {"\"", 1},
      {"\"abc", 4},
      {"\"abc\\", 4},
      {"\"\\\"", 3},
      {"'a'", 0},
      {"\"\n\"", 1},
      {"\"\x1f\"", 1},
      {std::string("\"\0\"", 3), 1},
      {"\"0123456789abcdef\t\"", 17},
      {R"("\x41")", 1},
      {R"("\'")", 1},
      {R"("\a")", 1},
      {R"("\U0041")", 1},
      {R"("\u")", 1},
      {R"("\u004")", 1},
      {R"("\u+041")", 1},
      {R"("\u 041")", 1},
      {R"("\u00g0")", 1},
      {R"("\u004)", 1},
      {R"("\ud800\u00")", 7},
      {R"("\ud800\uXYZW")", 7},
      {"\"\\\xc3\xa9\"", 1},
      {"\"\x80\"", 1},
      {"\"\xff\"", 1},
      {"\"\xc0\x80\"", 1},
      {"\"\xe0\x80\xaf\"", 1},
      {"\"\xed\xa0\x80\"", 1},
      {"\"\xed\xbf\xbf\"", 1},
      {"\"\xf4\x90\x80\x80\"", 1},
      {"\"\xe4\xbd\"", 1},
      {"\"caf\xe9\"", 4},
      {"\"\xe4\xbd", 1},
      {"1\xa0", 1},
  };
  const auto check = [](std::string_view text, const Refusal& row) {
    NoValues none;
    try {
      JsonReader(text).document(none);
      ADD_FAILURE() << "taken: " << printable(row.text);
    } catch (const ProtocolError& error) {
      EXPECT_EQ(error.code(), ErrorCode::parse_error) << printable(row.text);
      EXPECT_EQ(error.offset(), row.offset) << printable(row.text);
      EXPECT_TRUE(std::string_view(error.what()).starts_with("not JSON: ")) << error.what();
      EXPECT_TRUE(std::string_view(error.what()).ends_with(" at byte " + std::to_string(row.offset))) << error.what();
    }
  };
  for (const Refusal& row : rows) {
    const auto exact = std::make_unique<char[]>(row.text.size());  // AddressSanitizer sees one byte more being read
    std::copy(row.text.begin(), row.text.end(), exact.get());
    check({exact.get(), row.text.size()}, row);
    for (std::string_view next : {"0\"]}", "\"]}", "]}", "}", "aN", "\xbd\xa0"}) {  // so do texts that would go on well
      check(std::string_view(row.text + std::string(next)).substr(0, row.text.size()), row);
    }
  }
}

TEST(JsonGrammar, what_json_loads_takes_is_taken) {
  for (const std::string& text : std::vector<std::string>{"null",
                                                          "true",
                                                          "false",
                                                          "NaN",
                                                          "Infinity",
                                                          "-Infinity",
                                                          "0",
                                                          "-0",
                                                          "10",
                                                          "-1.5e+10",
                                                          "1E5",
                                                          "0e0",
                                                          "0.0",
                                                          std::string(max_integer_digits, '7'),
                                                          "-" + std::string(max_integer_digits, '7'),
                                                          std::string(5000, '7') + ".0",
                                                          std::string(5000, '7') + "e0",
                                                          " \t\r\n1 \t\r\n",
                                                          "[]",
                                                          "[ ]",
                                                          "{}",
                                                          "{ }",
                                                          "[1,2]",
                                                          "[ 1 , 2 ]",
                                                          " { \"a\" : 1 , \"a\" : [ { } ] } ",
                                                          R"("\ud800")",
                                                          R"("\ud800\u0041")",
                                                          R"("\udc00\ud800")",
                                                          "\"\x7f\"",
                                                          "\"\ufffe\uffff\ufeff\"",
                                                          "\"/\"",
                                                          R"("\/")",
                                                          "\"\U0010ffff\"",
                                                          "\"\"",
                                                          "{\"\":\"\"}"}) {
    NoValues none;
    EXPECT_NO_THROW(JsonReader(text).document(none)) << printable(text);
  }
}

TEST(JsonGrammar, a_string_token_tells_what_is_in_it) {
  const struct {
    std::string_view text, raw;
    bool escaped, ascii;
  } rows[] = {{"\"abc\"", "abc", false, true},     {"\"\"", "", false, true},
              {"\"a\x7f\"", "a\x7f", false, true}, {"\"\\n\"", "\\n", true, true},
              {"\"你\"", "你", false, false},      {R"("\u4f60")", R"(\u4f60)", true, true}};
  for (const auto& row : rows) {
    JsonReader reader(row.text);
    ASSERT_TRUE(reader.take('"'));
    const StringToken token = reader.string();
    EXPECT_EQ(token.raw, row.raw);
    EXPECT_EQ(token.escaped, row.escaped) << row.text;
    EXPECT_EQ(token.ascii, row.ascii) << row.text;
    EXPECT_NO_THROW(reader.expect_end());
  }
}

// ---- numbers

TEST(JsonNumber, integers_are_written_in_full) {
  const auto text = [](auto value) {
    std::string out = "x";
    write_integer(out, value);
    return out;
  };
  EXPECT_EQ(text(std::int64_t{0}), "x0");
  EXPECT_EQ(text(std::int64_t{-1}), "x-1");
  EXPECT_EQ(text(INT64_MIN), "x-9223372036854775808");
  EXPECT_EQ(text(INT64_MAX), "x9223372036854775807");
  EXPECT_EQ(text(UINT64_MAX), "x18446744073709551615");
}

TEST(JsonNumber, doubles_are_written_as_python_writes_them) {
  const struct {
    double value;
    std::string_view text;
  } rows[] = {
      {0.0, "0.0"},
      {-0.0, "-0.0"},
      {1.0, "1.0"},
      {-1.5, "-1.5"},
      {100.0, "100.0"},
      {0.1, "0.1"},
      {1.0 / 3, "0.3333333333333333"},
      {123456.789, "123456.789"},
      {0.001, "0.001"},
      {0.0001, "0.0001"},
      {0.00012345, "0.00012345"},
      {1e-5, "1e-05"},
      {1.5e-7, "1.5e-07"},
      {9.999e-5, "9.999e-05"},
      {1e15, "1000000000000000.0"},
      {123456789012345.6, "123456789012345.6"},
      {9999999999999998.0, "9999999999999998.0"},
      {1e16, "1e+16"},
      {12345678901234568.0, "1.2345678901234568e+16"},
      {1e22, "1e+22"},
      {1e23, "1e+23"},
      {1e100, "1e+100"},
      {-1e-100, "-1e-100"},
      {5e-324, "5e-324"},
      {4503599627370495.5, "4503599627370495.5"},
      {9007199254740993.0, "9007199254740992.0"},
      {2.2250738585072014e-308, "2.2250738585072014e-308"},
      {2.225073858507201e-308, "2.225073858507201e-308"},
      {0x1p-44, "5.684341886080802e-14"},
      {0x1p-1074, "5e-324"},
      {9.5367431640625e-07, "9.5367431640625e-07"},
      {std::numeric_limits<double>::max(), "1.7976931348623157e+308"},
      {HUGE_VAL, "Infinity"},
      {-HUGE_VAL, "-Infinity"},
      {std::nan(""), "NaN"},
      {-std::nan(""), "NaN"},
  };
  for (const auto& row : rows) EXPECT_EQ(written(row.value), row.text);
}

std::string digits_of(std::string_view text) {  // significant ones
  std::string digits;
  for (char c : text.substr(0, text.find('e'))) {
    if (c >= '0' && c <= '9' && (c != '0' || !digits.empty())) digits += c;
  }
  while (digits.size() > 1 && digits.back() == '0') digits.pop_back();
  return digits;
}

// What float.__repr__ promises, checked without another shortest printer: the text reads back as the same double, no
// fewer digits do, as many digits cannot be nearer, and the shape goes by the exponent.
void expect_python_text(double value) {
  const std::string text = written(value);
  ASSERT_EQ(std::bit_cast<std::uint64_t>(std::strtod(text.c_str(), nullptr)), std::bit_cast<std::uint64_t>(value))
      << text;
  ASSERT_EQ(std::bit_cast<std::uint64_t>(to_double(text)), std::bit_cast<std::uint64_t>(value)) << text;
  ASSERT_EQ(text.front() == '-', std::signbit(value)) << text;
  const std::string_view absolute = std::string_view(text).substr(std::signbit(value) ? 1 : 0);
  if (value == 0) {
    ASSERT_EQ(absolute, "0.0");
    return;
  }
  const std::string digits = digits_of(text);
  ASSERT_LE(digits.size(), 17u) << text;
  char other[40];
  const int count = static_cast<int>(digits.size());
  std::snprintf(other, sizeof other, "%.*e", count - 1, value);
  if (std::strtod(other, nullptr) == value) {
    ASSERT_EQ(digits, digits_of(other)) << text << " " << other;
  }
  if (count > 1) {
    std::snprintf(other, sizeof other, "%.*e", count - 2, value);
    ASSERT_NE(std::strtod(other, nullptr), value) << text << " " << other;
  }
  const double size = std::fabs(value);
  const std::size_t e = absolute.find('e'), point = absolute.find('.');
  if (size >= 1e-4 && size < 1e16) {
    ASSERT_EQ(e, std::string_view::npos) << text;
    ASSERT_TRUE(point != std::string_view::npos && point > 0 && point + 1 < absolute.size()) << text;
    ASSERT_TRUE(absolute.back() != '0' || point + 2 == absolute.size()) << text;
    ASSERT_TRUE(absolute.front() != '0' || point == 1) << text;
  } else {
    ASSERT_NE(e, std::string_view::npos) << text;
    ASSERT_TRUE(point == (count > 1 ? 1 : std::string_view::npos)) << text;
    ASSERT_TRUE(absolute[e + 1] == (size < 1 ? '-' : '+')) << text;
    const std::string_view exponent = absolute.substr(e + 2);
    ASSERT_TRUE(exponent.size() == 2 || (exponent.size() == 3 && exponent.front() != '0')) << text;
  }
}

TEST(JsonNumber, every_kind_of_double_is_written_shortest_and_reads_back) {
  const auto with_neighbours = [](double value) {
    for (double v : {value, std::nextafter(value, 0.0), std::nextafter(value, HUGE_VAL)}) {
      if (!std::isfinite(v)) continue;
      expect_python_text(v);
      expect_python_text(-v);
    }
  };
  for (int exponent = -1074; exponent < 1024; ++exponent) with_neighbours(std::ldexp(1.0, exponent));
  for (int exponent = -323; exponent <= 308; ++exponent) with_neighbours(to_double("1e" + std::to_string(exponent)));
  for (std::uint64_t bits = 0; bits < 200; ++bits) {
    expect_python_text(std::bit_cast<double>(bits));                                   // the smallest subnormals
    expect_python_text(std::bit_cast<double>((std::uint64_t{1} << 52) - 100 + bits));  // around the smallest normal
    expect_python_text(std::bit_cast<double>(0x7feffffffffffffful - bits));            // the largest
    expect_python_text(1e15 + static_cast<double>(bits) / 8);
    expect_python_text(1e16 - 200 + 2 * static_cast<double>(bits));
    expect_python_text(static_cast<double>(bits) / 100);
  }
  std::mt19937_64 random(1);
  for (int i = 0; i < 30000; ++i) {
    const double value = std::bit_cast<double>(random());
    if (std::isfinite(value)) expect_python_text(value);
    expect_python_text(std::bit_cast<double>(random() >> 12));  // subnormal
    expect_python_text(static_cast<double>(static_cast<std::int64_t>(random() >> (random() % 64))));
    expect_python_text(std::round(static_cast<double>(random() % 1000000000)) / 1000);
  }
}

TEST(JsonNumber, texts_out_of_range_become_infinite_or_zero_and_keep_their_sign) {
  const std::string zeros(400, '0');
  const struct {
    std::string text;
    double value;
  } rows[] = {
      {"1e400", HUGE_VAL},
      {"1e+400", HUGE_VAL},
      {"-1e400", -HUGE_VAL},
      {"1.7976931348623159e308", HUGE_VAL},
      {"1.7976931348623157e308", std::numeric_limits<double>::max()},
      {std::string(5000, '7') + ".0", HUGE_VAL},
      {"-" + std::string(5000, '7') + ".0e-100", -HUGE_VAL},
      {"1" + zeros + "e-400", 1.0},
      {"0." + zeros + "1e401", 1.0},
      {"1" + zeros + "e0", HUGE_VAL},
      {"0." + zeros + "1e0", 0.0},
      {"-0." + zeros + "1", -0.0},
      {"1e-400", 0.0},
      {"-1e-400", -0.0},
      {"2e-324", 0.0},
      {"3e-324", 5e-324},
      {"2.4703282292062327e-324", 0.0},
      {"2.4703282292062328e-324", 5e-324},
      {"1E400", HUGE_VAL},
      {"1E-400", 0.0},
      {"0e400", 0.0},
      {"-0e400", -0.0},
      {"0.0e99999999999999999999", 0.0},
      {"0e-99999999999999999999", 0.0},
      {"1e99999999999999999999", HUGE_VAL},
      {"1e-99999999999999999999", 0.0},
      {"-1e-99999999999999999999", -0.0},
      {"1e+9223372036854775807", HUGE_VAL},
      {"12e9223372036854775807", HUGE_VAL},
      {"1e-9223372036854775808", 0.0},
      {"0.01e-9223372036854775808", 0.0},
      {"0.01e9223372036854775807", HUGE_VAL},
      {"100e-9223372036854775808", 0.0},
      {"1e" + zeros + "5", 1e5},
      {"1e-" + zeros + "5", 1e-5},
      {"1e+" + zeros + "400", HUGE_VAL},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(to_double(row.text), row.value) << printable(row.text);
    EXPECT_EQ(std::signbit(to_double(row.text)), std::signbit(row.value)) << printable(row.text);
  }
}

// In a block of its own, too: AddressSanitizer would see one byte more being read.
TEST(JsonNumber, a_text_ends_where_it_says) {
  for (const std::string_view number : {"7", "0.5", "1e400", "-1e-400"}) {
    const auto block = std::make_unique<char[]>(number.size());
    number.copy(block.get(), number.size());
    EXPECT_EQ(to_double({block.get(), number.size()}), to_double(std::string(number)));
  }
  const std::string_view text = "1234e5";
  for (std::size_t size = 1; size <= 4; ++size) {
    EXPECT_EQ(to_double(text.substr(0, size)), std::stod(std::string(text.substr(0, size))));
  }
  EXPECT_EQ(to_double(std::string_view("1e4000").substr(0, 3)), 1e4);
}

TEST(JsonNumber, texts_are_read_as_strtod_reads_them) {
  std::mt19937_64 random(2);
  const auto digits = [&](std::size_t most) {
    std::string text;
    for (std::size_t count = 1 + random() % most; count > 0; --count) text += static_cast<char>('0' + random() % 10);
    return text;
  };
  for (int i = 0; i < 30000; ++i) {
    std::string text(random() % 2 != 0 ? "-" : "");
    text.append(digits(20)).append(".").append(digits(i % 100 == 0 ? 800 : 20));
    if (random() % 4 != 0) {
      const int widest = i % 3 == 0 ? 30 : 420;
      text.append("e").append(std::to_string(static_cast<int>(random() % (2 * widest)) - widest));
    }
    ASSERT_EQ(std::bit_cast<std::uint64_t>(to_double(text)),
              std::bit_cast<std::uint64_t>(std::strtod(text.c_str(), nullptr)))
        << text;
    // half way between two doubles: exactly, a bit below and a bit above
    const double value = std::fabs(std::bit_cast<double>(random() >> 2));
    if (i % 10 != 0 || !std::isfinite(value) || value < 1e-290) continue;
    char middle[1200];
    const int size = std::snprintf(middle, sizeof middle, "%.800Le",
                                   (static_cast<long double>(value) + std::nextafter(value, HUGE_VAL)) / 2);
    for (std::string_view end : {"0", "1"}) {
      std::string hard(middle, static_cast<std::size_t>(size));
      hard.insert(hard.find('e'), end);
      ASSERT_EQ(to_double(hard), std::strtod(hard.c_str(), nullptr)) << hard;
    }
  }
}

}  // namespace
}  // namespace framecall::json_text_test
