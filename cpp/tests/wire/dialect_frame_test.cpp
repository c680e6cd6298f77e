// Frames of other dialects, and the raw text between them.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "framecall/wire/frame.hpp"
#include "support/decoding.hpp"

namespace framecall::dialect_frame_test {
namespace {

constexpr auto binary = PrefixFormat::Kind::binary, decimal = PrefixFormat::Kind::decimal;
constexpr auto little = PrefixFormat::Order::little, big = PrefixFormat::Order::big;
const std::vector<PrefixFormat> every_prefix = {{binary, little, 4},  {binary, big, 4}, {binary, big, 2},
                                                {binary, little, 8},  {binary, big, 8}, {decimal, little, 4},
                                                {decimal, little, 10}};

Dialect with_prefixes(std::vector<PrefixFormat> prefixes, bool lines = false) {
  Dialect dialect;
  dialect.prefixes = std::move(prefixes);
  dialect.lines = lines;
  dialect.words = {{"get", Operation::download}, {"put", Operation::upload}};
  return dialect;
}

std::string upload(std::string_view content, const PrefixFormat& prefix) {
  return encode_head(R"({"file_name": "a.txt", "file_size": )" + std::to_string(content.size()) + "}", prefix)
      .append(content);
}

// The messages as text, however the stream is cut; the ways and the cuts must agree.
std::string messages(const Dialect& dialect, const std::string& stream) {
  std::string first;
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    for (const Way way : {Way::feed, Way::retain, Way::prepare}) {
      const Outcome outcome = decode(stream, std::vector<std::size_t>{cut}, way, true, 4096, dialect);
      std::string text;
      for (const auto& message : outcome.messages) text += message.header + "|" + message.body + "|";
      text += outcome.end.substr(0, outcome.end.find(':'));
      if (first.empty()) first = text;
      EXPECT_EQ(text, first) << "cut at " << cut;
    }
  }
  const Outcome bytewise = decode(stream, std::vector<std::size_t>(stream.size(), 1), Way::feed, true, 4096, dialect);
  std::string text;
  for (const auto& message : bytewise.messages) text += message.header + "|" + message.body + "|";
  EXPECT_EQ(text + bytewise.end.substr(0, bytewise.end.find(':')), first) << "byte by byte";
  return first;
}

const std::string header = R"({"file_name": "a.txt", "file_size": 5})";

TEST(Prefix, is_written_as_its_format_says) {
  const std::vector<std::string> expected = {
      {"\x26\0\0\0", 4}, {"\0\0\0\x26", 4}, {"\0\x26", 2}, {"\x26\0\0\0\0\0\0\0", 8}, {"\0\0\0\0\0\0\0\x26", 8}, "0038",
      "0000000038"};
  for (std::size_t i = 0; i < every_prefix.size(); ++i) {
    EXPECT_EQ(encode_head(header, every_prefix[i]), expected[i] + header);
  }
  EXPECT_EQ(encode_prefix(0x010203, {binary, big, 4}), std::string("\0\1\2\3", 4));
  EXPECT_EQ(encode_prefix(0x0102, {binary, big, 2}), "\1\2");
  EXPECT_EQ(encode_prefix(0x010203, {binary, little, 8}), std::string("\3\2\1\0\0\0\0\0", 8));
  EXPECT_EQ(encode_prefix(0x010203, {binary, big, 8}), std::string("\0\0\0\0\0\1\2\3", 8));
  EXPECT_THROW(encode_head(std::string(70000, ' '), PrefixFormat{binary, big, 2}), std::invalid_argument);
  EXPECT_THROW(encode_head(std::string(10000, ' '), PrefixFormat{decimal, little, 4}), std::invalid_argument);
}

TEST(Prefix, each_format_is_read_wherever_the_stream_is_cut) {
  for (const PrefixFormat& prefix : every_prefix) {
    const std::string twice = upload("hello", prefix) + upload("{\"x\"}", prefix);
    EXPECT_EQ(messages(with_prefixes({prefix}), twice), header + "|hello|" + header + "|{\"x\"}|connection_closed");
  }
  // Padded with blanks, as "%-10d", "%10d" and str.center() write it.
  for (const char* prefix : {"38        ", "        38", "    38    "}) {
    EXPECT_EQ(messages(with_prefixes({{decimal, little, 10}}), prefix + header + "hello"),
              header + "|hello|connection_closed");
  }
}

TEST(Prefix, is_told_by_the_first_bytes) {
  for (const PrefixFormat& prefix : every_prefix) {
    const std::string twice = upload("hello", prefix) + upload("{\"x\"}", prefix);
    for (const bool lines : {false, true}) {
      EXPECT_EQ(messages(with_prefixes(every_prefix, lines), twice),
                header + "|hello|" + header + "|{\"x\"}|connection_closed");
    }
  }
  EXPECT_EQ(messages(with_prefixes(every_prefix), "GET / HTTP/1.1\r\n\r\n"), "error -32600 at 0");
  EXPECT_EQ(messages(with_prefixes(every_prefix), std::string(20, '\xff')), "error -32600 at 0");
  // What no format begins with is an error at once, whatever is missing of it.
  const Dialect decimals = with_prefixes({{decimal, little, 4}, {decimal, little, 10}});
  EXPECT_EQ(decode("x", {}, Way::feed, false, 4096, decimals).end.substr(0, 17), "error -32600 at 0");
  EXPECT_EQ(messages(decimals, "        38" + header + "hello"), header + "|hello|connection_closed");
  // Once told, another one is an error.
  EXPECT_EQ(messages(with_prefixes(every_prefix), upload("hello", every_prefix[0]) + upload("", every_prefix[1])),
            header + "|hello|error -32600 at 47");
}

TEST(Line, ends_at_a_line_feed_before_a_frame_and_at_the_end) {
  for (const PrefixFormat& prefix : {every_prefix[0], every_prefix[1]}) {
    const Dialect dialect = with_prefixes({prefix}, true);
    const std::string frame = upload("hello", prefix), seen = header + "|hello|";
    EXPECT_EQ(messages(dialect, "get a.txt\nls\r\n\n"), "text|get a.txt\n|text|ls\r\n|text|\n|connection_closed");
    EXPECT_EQ(messages(dialect, "get a.txt"), "text|get a.txt|connection_closed");
    EXPECT_EQ(messages(dialect, "l"), "text|l|connection_closed");
    EXPECT_EQ(messages(dialect, "put a.txt" + frame + frame), "text|put a.txt|" + seen + seen + "connection_closed");
    EXPECT_EQ(messages(dialect, frame + "put a.txt" + frame + "q"),
              seen + "text|put a.txt|" + seen + "text|q|connection_closed");
    EXPECT_EQ(messages(dialect, "get \xe4\xbd\xa0\xe5\xa5\xbd.txt\n" + frame),
              "text|get \xe4\xbd\xa0\xe5\xa5\xbd.txt\n|" + seen + "connection_closed");
  }
}

TEST(Line, may_have_a_frame_behind_it_whose_length_is_a_line_feed) {
  const std::string text = R"({"file_name": "a.txt", "file_size": 5, "x": ")" + std::string(266 - 47, 'x') + "\"}";
  ASSERT_EQ(text.size(), 266u);  // 0a 01 00 00
  EXPECT_EQ(messages(with_prefixes({every_prefix[0]}, true), "put a.txt" + encode_head(text) + "hellols\n"),
            "text|put a.txt|" + text + "|hello|text|ls\n|connection_closed");
}

TEST(Line, that_is_none_is_an_error) {
  const Dialect dialect = with_prefixes({every_prefix[0]}, true);
  EXPECT_EQ(messages(dialect, std::string("\0\1\2\3\4\5", 6)), "error -32600 at 0");
  EXPECT_EQ(messages(dialect, std::string("put a.txt\0\0\0\0\0\0\0\0\0\0\0\0", 21)), "error -32600 at 0");
  EXPECT_TRUE(
      decode(std::string(70000, 'y'), {}, Way::feed, false, 4096, dialect).end.starts_with("error -32600 at 0"));
  EXPECT_EQ(messages(with_prefixes({every_prefix[0]}), "get a.txt\n"), "error -32600 at 0");
}

TEST(Line, may_end_like_a_length_of_two_bytes_and_a_header) {
  const std::string text = "put a b ";  // 8,290 as a length
  const Outcome outcome = decode(text + upload("hello", every_prefix[2]), {}, Way::feed, true, 65536,
                                 with_prefixes({every_prefix[2]}, true));
  ASSERT_EQ(outcome.messages.size(), 2u) << outcome;
  EXPECT_EQ(outcome.messages[0].body, text);
  EXPECT_EQ(outcome.messages[1].header, header);
}

TEST(Line, has_at_most_64_kib) {
  const Dialect dialect = with_prefixes({every_prefix[0]}, true);
  const std::string longest(65536, 'y');
  const Outcome outcome = decode(longest, {}, Way::feed, true, 4096, dialect);
  ASSERT_EQ(outcome.messages.size(), 1u);
  EXPECT_EQ(outcome.messages[0].body, longest);
  EXPECT_EQ(decode(longest + "y", {}, Way::feed, false, 4096, dialect).end,
            "error -32600 at 0: a raw line of more than 65536 bytes, max_line_size");
}

TEST(Line, ends_when_nothing_comes_for_a_while) {
  const Dialect dialect = with_prefixes({every_prefix[0]}, true);
  Header parsed;
  for (const std::string text : {"l", "ls", "dir", "get", "get a"}) {
    Decoder decoder(4096, dialect);
    EXPECT_FALSE(decoder.end_text());
    decoder.feed(text);
    EXPECT_EQ(decoder.next_event(parsed), Decoder::Event::need_data) << text;
    EXPECT_TRUE(decoder.in_text()) << text;
    EXPECT_TRUE(decoder.end_text()) << text;
    EXPECT_EQ(decoder.next_event(parsed), Decoder::Event::text_received) << text;
    EXPECT_EQ(decoder.body(), text);
    EXPECT_EQ(decoder.next_event(parsed), Decoder::Event::need_data) << text;
    EXPECT_TRUE(decoder.idle());
    EXPECT_FALSE(decoder.end_text());
  }
  Decoder decoder(4096, dialect);  // the first bytes of a frame are no text
  decoder.feed({"\x26\0", 2});
  EXPECT_EQ(decoder.next_event(parsed), Decoder::Event::need_data);
  EXPECT_FALSE(decoder.end_text());
  const std::string rest = std::string("\0\0", 2) + header;
  decoder.feed(rest);
  EXPECT_EQ(decoder.next_event(parsed), Decoder::Event::header_received);
}

TEST(Zero, is_an_event_where_it_means_something) {
  const std::string zero(4, '\0');
  Dialect dialect;
  EXPECT_EQ(messages(dialect, zero), "error -32600 at 0");
  dialect.zero_prefix = Dialect::ZeroPrefix::end;
  EXPECT_EQ(messages(dialect, zero + upload("hello", {}) + zero), "zero||" + header + "|hello|zero||connection_closed");
  dialect.prefixes = {{decimal, little, 4}};
  EXPECT_EQ(messages(dialect, "0000" + encode_head(header, {decimal, little, 4}) + "hello"),
            "zero||" + header + "|hello|connection_closed");
  for (const char* no_number : {"    ", "none", "0x00", "0 0 "}) {
    EXPECT_EQ(messages(dialect, no_number), "error -32600 at 0") << no_number;
  }
  dialect.prefixes = {{}};
  dialect.lines = true;
  EXPECT_EQ(messages(dialect, "ls\n" + zero + upload("hello", {}) + "q"),
            "text|ls\n|zero||" + header + "|hello|text|q|connection_closed");
}

TEST(Trailer, belongs_to_the_body) {
  Dialect dialect;
  dialect.checksum_place = Dialect::ChecksumPlace::trailer;
  const std::string digest(32, 'f');
  EXPECT_EQ(messages(dialect, upload("hello", {}) + digest + upload("hello", {}) + digest),
            header + "|hello" + digest + "|" + header + "|hello" + digest + "|connection_closed");
}

TEST(Advice, is_in_the_error) {
  const auto error = [](const Dialect& dialect, std::string_view stream) {
    return decode(stream, {}, Way::feed, true, 4096, dialect).end;
  };
  const auto has = [](const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; };
  EXPECT_TRUE(has(error({}, upload("", every_prefix[1])), "with its bytes swapped it is 38"));
  EXPECT_TRUE(has(error({}, upload("", every_prefix[1])), "prefix.order = \"big\""));
  EXPECT_TRUE(has(error({}, {"\0\0\0\2{}", 6}), "with its bytes swapped it is 2:"));
  EXPECT_TRUE(has(error(with_prefixes({every_prefix[1]}), upload("", every_prefix[0])), "prefix.order = \"little\""));
  EXPECT_TRUE(has(error({}, "GET / HTTP/1.1\r\n"), "HTTP"));
  EXPECT_TRUE(has(error({}, "\x16\x03\x01\x02"), "TLS"));
  EXPECT_TRUE(has(error({}, "get a.txt"), "request.lines"));
  for (const char* pickle : {"\x80\x02", "\x80\x03N.", "\x80\x04\x95", "\x80\x05\x95"}) {
    EXPECT_TRUE(has(error({}, encode_head(pickle)), "pickle")) << pickle[1];
  }
  for (const char* broken : {"\x81\x04\x95", "\x80\x01N.", "\x80\x06N.", "\x04\x80"}) {
    EXPECT_FALSE(has(error({}, encode_head(broken)), "pickle")) << broken[1];
  }
}

TEST(Header, may_begin_with_a_byte_order_mark_where_the_dialect_says_so) {
  const std::string frame = encode_head("\xef\xbb\xbf" + header) + "hello";
  Dialect dialect;
  EXPECT_EQ(messages(dialect, frame), "error -32700 at 4");
  dialect.byte_order_mark = true;
  EXPECT_EQ(messages(dialect, frame), header + "|hello|connection_closed");
}

}  // namespace
}  // namespace framecall::dialect_frame_test
