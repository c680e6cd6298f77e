#include "framecall/wire/frame.hpp"

#include <gtest/gtest.h>
#include <malloc.h>

#include <array>
#include <fstream>
#include <functional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "framecall/wire/json.hpp"
#include "support/decoding.hpp"
#include "support/sanitizers.hpp"

namespace framecall::frame_test {
namespace {

// ---- interop_tests/vectors/vectors.json; its README tells what the keys mean

struct Vector {
  std::string name, bytes, end;  // end: as the file has it, or the code of the error
  std::uint32_t max_header;
  std::vector<Message> messages;  // with `partial` as the last one

  bool closed() const { return end == "closed" || end == "truncated"; }
};

struct EncodeVector {
  std::string name, header_text, body, bytes;
};

std::string expand(const nlohmann::json& value) {
  if (value.is_string()) return value;
  std::string out;
  for (const auto& item : value) {
    for (int count = item.is_string() ? 1 : item[1].get<int>(); count > 0; --count) {
      out += (item.is_string() ? item : item[0]).get_ref<const std::string&>();
    }
  }
  return out;
}

std::string from_hex(const nlohmann::json& value) {
  const std::string hex = expand(value);
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) bytes += static_cast<char>(digit(hex[i]) << 4 | digit(hex[i + 1]));
  return bytes;
}

const nlohmann::json& vectors_file() {
  static const auto file =
      nlohmann::json::parse(std::ifstream(FRAMECALL_SOURCE_DIR "/interop_tests/vectors/vectors.json"));
  return file;
}

const std::vector<Vector>& vectors() {
  static const std::vector<Vector> all = [] {
    std::vector<Vector> list;
    for (const auto& entry : vectors_file().at("decode")) {
      Vector vector{entry.at("name"), from_hex(entry.at("hex")), "", entry.value("max_header", 1u << 20), {}};
      for (const auto& m : entry.at("messages"))
        vector.messages.push_back({expand(m.at("header")), from_hex(m.at("body")), true});
      if (entry.contains("partial")) {
        const auto& m = entry.at("partial");
        vector.messages.push_back({expand(m.at("header")), from_hex(m.at("body")), false});
      }
      const auto& end = entry.at("end");
      if (end.is_object()) {
        const auto& error = end.at("error");
        vector.end = error.is_string() ? error.get<std::string>() : std::to_string(error.get<int>());
      } else {
        vector.end = end;
      }
      list.push_back(std::move(vector));
    }
    return list;
  }();
  return all;
}

Outcome decode(const Vector& vector, std::span<const std::size_t> sizes, Way way) {
  return decode(vector.bytes, sizes, way, vector.closed(), vector.max_header);
}

std::vector<Vector> small_vectors(std::size_t max_size) {
  std::vector<Vector> small;
  for (const Vector& vector : vectors()) {
    if (vector.bytes.size() <= max_size) small.push_back(vector);
  }
  return small;
}

// All of them, or of a long stream those where something may happen: around its frames' parts and powers of two.
std::vector<std::size_t> split_points(const Vector& vector) {
  const std::size_t size = vector.bytes.size();
  std::vector<std::size_t> points;
  for (std::size_t point = 0; point <= size; ++point) {
    const bool near_an_end = point < 12 || size - point < 12;
    const bool near_a_power =
        (point & (point - 1)) == 0 || ((point + 1) & point) == 0 || ((point - 1) & (point - 2)) == 0;
    const bool near_a_body = !vector.messages.empty() && size - vector.messages.back().body.size() - point + 2 < 5;
    if (size <= 700 || near_an_end || near_a_power || near_a_body || (size < 10000 && point % 97 == 0))
      points.push_back(point);
  }
  return points;
}

TEST(Prefix, announces_so_much_and_no_more) {
  const auto room = [](PrefixFormat::Kind kind, std::uint8_t width) {
    PrefixFormat format;
    format.kind = kind;
    format.width = width;
    return longest_header(format);
  };
  using Kind = PrefixFormat::Kind;
  EXPECT_EQ(room(Kind::binary, 2), 65535u);
  for (const std::uint8_t width : {4, 8}) EXPECT_EQ(room(Kind::binary, width), largest_max_header_size);
  const std::size_t decimal[] = {9, 99, 999, 9999, 99999, 999999, 9999999};
  for (std::uint8_t width = 1; width <= 7; ++width) EXPECT_EQ(room(Kind::decimal, width), decimal[width - 1]);
  EXPECT_EQ(room(Kind::decimal, 8), largest_max_header_size);
  EXPECT_EQ(room(Kind::decimal, 16), largest_max_header_size);
}

TEST(Vectors, there_are_enough_of_them) {
  EXPECT_GT(vectors().size(), 200u);
  EXPECT_GT(vectors_file().at("encode").size(), 15u);
}

TEST(Vectors, every_stream_is_decoded) {
  for (const Vector& vector : vectors()) {
    SCOPED_TRACE(vector.name);
    const Outcome outcome = decode(vector, {}, Way::feed);
    ASSERT_EQ(outcome.messages.size(), vector.messages.size());
    for (std::size_t i = 0; i < vector.messages.size(); ++i) {
      EXPECT_EQ(dump_json(parse_json(outcome.messages[i].header)), vector.messages[i].header);
      EXPECT_TRUE(outcome.messages[i].body == vector.messages[i].body);
      EXPECT_EQ(outcome.messages[i].whole, vector.messages[i].whole);
    }
    if (vector.end == "closed")
      EXPECT_EQ(outcome.end, "connection_closed");
    else if (vector.end == "need_data")
      EXPECT_EQ(outcome.end, "need_data");
    else if (vector.end == "truncated")
      EXPECT_TRUE(outcome.end.starts_with("error -32055 at " + std::to_string(vector.bytes.size()) + ": ")) << outcome;
    else
      EXPECT_TRUE(outcome.end.starts_with("error " + vector.end + " at ")) << outcome;
  }
}

TEST(Vectors, every_split_point_comes_to_the_same_in_every_way) {
  for (std::size_t number = 0; number < vectors().size(); number += exhaustive_step) {
    const Vector& vector = vectors()[number];
    const Outcome whole = decode(vector, {}, Way::feed);
    for (std::size_t point : split_points(vector)) {
      for (Way way : ways) {
        const Outcome outcome = decode(vector, std::array{point}, way);
        if (outcome == whole) continue;
        ADD_FAILURE() << vector.name << ", cut at " << point << ", way " << static_cast<int>(way) << ":\n"
                      << outcome << "\nin one piece:\n"
                      << whole;
        return;
      }
    }
  }
}

TEST(Vectors, small_pieces_come_to_the_same_in_every_way) {
  for (const Vector& vector : vectors()) {
    const Outcome whole = decode(vector, {}, Way::feed);
    for (std::size_t size : {1, 2, 3, 5, 10, 1000, 65536}) {
      if (size < 1000 && vector.bytes.size() > 10000) continue;
      const std::vector<std::size_t> sizes(vector.bytes.size() / size + 1, size);
      for (Way way : ways) ASSERT_EQ(decode(vector, sizes, way), whole) << vector.name << ", pieces of " << size;
    }
  }
}

// A decoder does not know the future: what a part of a stream says, all of it says too; and an error is known as soon
// as its bytes are there.
TEST(Vectors, every_shorter_stream_says_the_same_so_far) {
  for (const Vector& vector : small_vectors(700)) {
    const Outcome whole = decode(vector.bytes, {}, Way::feed, false, vector.max_header);
    const bool fails = whole.end.starts_with("error");
    for (std::size_t size = 0; size < vector.bytes.size(); ++size) {
      const std::string_view part = std::string_view(vector.bytes).substr(0, size);
      const Outcome waiting = decode(part, {}, Way::feed, false, vector.max_header);
      const Outcome cut = decode(part, {}, Way::feed, true, vector.max_header);
      ASSERT_LE(waiting.messages.size(), whole.messages.size()) << vector.name;
      ASSERT_EQ(cut.messages, waiting.messages) << vector.name;
      for (std::size_t i = 0; i < waiting.messages.size(); ++i) {
        ASSERT_EQ(waiting.messages[i].header, whole.messages[i].header) << vector.name;
        ASSERT_TRUE(whole.messages[i].body.starts_with(waiting.messages[i].body)) << vector.name;
      }
      if (waiting.end != "need_data") {
        ASSERT_TRUE(fails) << vector.name << size;
        ASSERT_EQ(waiting.verdict(), whole.verdict()) << vector.name << size;
        ASSERT_EQ(cut.verdict(), whole.verdict()) << vector.name << size;
      } else if (waiting.idle) {
        ASSERT_EQ(cut.end, "connection_closed") << vector.name << size;
        ASSERT_EQ(cut.offset, size) << vector.name;
      } else {
        ASSERT_TRUE(cut.end.starts_with("error -32055 at " + std::to_string(size) + ": ")) << vector.name << cut;
        ASSERT_EQ(waiting.in_head, waiting.offset < size || waiting.messages.empty()) << vector.name << size;
      }
    }
  }
}

// No byte may make a difference to how pieces are put together.
TEST(Vectors, every_corrupted_byte_comes_to_the_same_at_every_split_point) {
  std::size_t streams = 0;
  for (const Vector& vector : small_vectors(200)) {
    for (std::size_t place = 0; place < vector.bytes.size(); place += exhaustive_step) {
      const auto byte = static_cast<unsigned char>(vector.bytes[place]);
      for (int value : std::set<int>{0x00, '"', '9', 0x80, byte ^ 1, byte ^ 0x20}) {
        if (value == byte) continue;
        std::string bytes = vector.bytes;
        bytes[place] = static_cast<char>(value);
        const Outcome whole = decode(bytes, {}, Way::feed, vector.closed(), vector.max_header);
        std::size_t way = ++streams;
        for (std::size_t point = place % 4; point < bytes.size(); point += 4) {
          const Outcome outcome =
              decode(bytes, std::array{point}, ways[++way % std::size(ways)], vector.closed(), vector.max_header);
          if (outcome == whole) continue;
          ADD_FAILURE() << vector.name << ", byte " << place << " = " << value << ", cut at " << point << ":\n"
                        << outcome << "\nin one piece:\n"
                        << whole;
          return;
        }
      }
    }
  }
}

TEST(Vectors, every_message_is_encoded) {
  for (const auto& entry : vectors_file().at("encode")) {
    const std::string header = dump_json(parse_json(expand(entry.at("header_text"))));
    EXPECT_TRUE(encode_head(header) + from_hex(entry.at("body")) == from_hex(entry.at("hex"))) << entry.at("name");
  }
}

// ---- heads and limits

TEST(EncodeHead, is_a_little_endian_length_and_the_header) {
  EXPECT_EQ(encode_head("{}"), std::string("\x02\0\0\0{}", 6));
  EXPECT_EQ(encode_head(std::string(0x010203, ' ')).substr(0, 4), std::string("\x03\x02\x01\0", 4));
  const std::string largest(largest_max_header_size, ' ');
  EXPECT_EQ(encode_head(largest).substr(0, 4), std::string("\xff\xff\xff\0", 4));
  EXPECT_THROW(encode_head(largest + " "), std::invalid_argument);
}

TEST(EncodeHead, comes_to_the_same_as_to_fill_in_the_length_later) {
  for (const std::size_t size : {2, 256, 0x010203, 0xffffff}) {
    std::string head(4 + size, ' ');
    fill_prefix(head);
    EXPECT_EQ(head, encode_head(std::string(size, ' '))) << size;
  }
  std::string too_large(4 + largest_max_header_size + 1, ' ');
  EXPECT_THROW(fill_prefix(too_large), std::invalid_argument);
}

TEST(Decoder, takes_limits_up_to_the_largest) {
  EXPECT_NO_THROW(Decoder{largest_max_header_size});
  EXPECT_THROW(Decoder{largest_max_header_size + 1}, std::invalid_argument);
  EXPECT_THROW(Decoder{UINT32_MAX}, std::invalid_argument);
  for (std::uint32_t limit : {2u, 3u, 100u, 70000u}) {
    for (Way way : ways) {
      const std::string kept = encode_head("{}" + std::string(limit - 2, ' '));
      const std::string passed = encode_head("{}" + std::string(limit - 1, ' '));
      EXPECT_EQ(decode(kept, {}, way, true, limit).end, "connection_closed") << limit;
      const Outcome outcome = decode(kept + passed, std::array<std::size_t, 2>{3, 2}, way, true, limit);
      EXPECT_EQ(outcome.messages.size(), 1u);
      EXPECT_EQ(outcome.end, "error -32600 at " + std::to_string(kept.size()) + ": header length " +
                                 std::to_string(limit + 1) + ": must be 2 .. " + std::to_string(limit));
    }
  }
  EXPECT_TRUE(decode(encode_head("{}"), {}, Way::feed, true, 1).end.starts_with("error -32600 at 0: "));
  const std::string large = encode_head("{}" + std::string(largest_max_header_size - 2, ' '));
  EXPECT_EQ(decode(large, std::array<std::size_t, 1>{1 << 20}, Way::feed, true, largest_max_header_size).end,
            "connection_closed");
}

TEST(Decoder, reads_the_size_key_of_its_dialect) {
  Dialect own;
  own.size_keys = {"size"};
  Decoder decoder(default_max_header_size, own);
  Header header;
  const std::string bytes = encode_head(R"({"file_size": 1, "size": 7})");
  decoder.feed(bytes);
  EXPECT_EQ(decoder.next_event(header), Decoder::Event::header_received);
  EXPECT_EQ(decoder.body_left(), 7u);
}

TEST(Decoder, an_error_tells_the_place_in_the_stream) {
  const std::string first = encode_head(R"({"file_size": 3})") + "abc";
  const struct {
    std::string second, end;
  } rows[] = {
      {std::string("\0\0\0\0", 4), "error -32600 at 23: header length 0: must be 2 .. 1048576"},
      {"GET / HTTP",
       "error -32600 at 23: header length 542393671: must be 2 .. 1048576; the first bytes are HTTP: GET "},
      {"\xff\xff\xff\xff", "error -32600 at 23: header length -1: must be 2 .. 1048576"},
      {encode_head("[1]"), "error -32600 at 27: the header is JSON but not an object"},
      {encode_head("{\"a\": x}"), "error -32700 at 33: not JSON: expecting a value at byte 6"},
      {encode_head("{\"file_size\": 1.5}"), "error -32600 at 27: file_size is not an integer 0 .. 2^63-1: 1.5"},
      {std::string("\x02\0", 2), "error -32055 at 25: closed inside a head, after 2 bytes of it"},
      {encode_head("{}").substr(0, 5), "error -32055 at 28: closed inside a head, after 5 bytes of it"},
      {encode_head("{\"file_size\": 9}") + "ab",
       "error -32055 at 45: closed inside a body, with 7 bytes of it missing"},
  };
  for (const auto& row : rows) EXPECT_EQ(decode(first + row.second, {}, Way::feed, true).end, row.end);
}

TEST(Decoder, an_error_is_final_and_always_the_same) {
  const std::string good = encode_head("{}");
  for (const auto& [bytes, closed] :
       std::vector<std::pair<std::string, bool>>{{std::string("\0\0\0\0", 4), false},
                                                 {encode_head("[]"), false},
                                                 {encode_head("{,}"), false},
                                                 {good.substr(0, 3), true},
                                                 {encode_head("{\"file_size\": 5}") + "ab", true}}) {
    for (bool by_feed : {true, false}) {
      Decoder decoder;
      Header header;
      const auto hand_in = [&](std::string_view piece) {
        if (by_feed) return decoder.feed(piece);
        std::copy(piece.begin(), piece.end(), decoder.prepare(piece.size()).begin());
        decoder.commit(piece.size());
      };
      const auto failure = [&] {
        try {
          for (;;) {
            if (decoder.next_event(header) != Decoder::Event::need_data) continue;
            if (!closed) return std::string("need_data");
            decoder.close();
          }
        } catch (const ProtocolError& error) {
          return std::to_string(static_cast<int>(error.code())) + " " + std::to_string(error.offset()) + " " +
                 error.what();
        }
      };
      const std::string stream = bytes + (closed ? "" : good);
      hand_in(stream);
      const std::string first = failure();
      ASSERT_NE(first, "need_data");
      const std::uint64_t offset = decoder.offset();
      EXPECT_EQ(failure(), first);
      for (int i = 0; i < 3; ++i) {
        hand_in(good);
        EXPECT_EQ(failure(), first);
      }
      decoder.close();
      EXPECT_EQ(failure(), first);
      EXPECT_FALSE(decoder.idle());
      EXPECT_FALSE(decoder.in_head());
      EXPECT_EQ(decoder.offset(), offset);
    }
  }
}

// ---- the ways to hand in bytes

TEST(Decoder, says_where_it_is) {
  Decoder decoder;
  Header header;
  const auto feed_all = [&](std::string_view bytes) {
    decoder.feed(bytes);
    while (decoder.next_event(header) != Decoder::Event::need_data) continue;
  };
  EXPECT_TRUE(decoder.idle() && !decoder.in_head());
  feed_all("");
  EXPECT_TRUE(decoder.idle());
  const std::string frame = encode_head(R"({"file_size": 3})") + "abc" + encode_head("{}");
  for (std::size_t i = 0; i < frame.size(); ++i) {
    feed_all(std::string_view(frame).substr(i, 1));
    const bool in_head = i < 19 || (i >= 23 && i < 28);
    const bool idle = i == 22 || i == 28;
    EXPECT_EQ(decoder.in_head(), in_head) << i;
    EXPECT_EQ(decoder.idle(), idle) << i;
    EXPECT_EQ(decoder.body_left(), i < 19 || i >= 22 ? 0u : 22 - i) << i;
    EXPECT_EQ(decoder.offset(), i < 19 ? 0u : i < 23 ? i + 1 : i < 28 ? 23u : 29u) << i;
  }
  decoder.feed(frame);
  EXPECT_FALSE(decoder.idle());  // given, not used yet
  EXPECT_FALSE(decoder.in_head());
}

TEST(Decoder, a_close_is_told_again_and_again) {
  Decoder decoder;
  Header header;
  const std::string frame = encode_head("{}");
  decoder.feed(frame);
  decoder.close();
  EXPECT_EQ(decoder.next_event(header), Decoder::Event::header_received);
  EXPECT_EQ(decoder.next_event(header), Decoder::Event::end_of_message);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(decoder.next_event(header), Decoder::Event::connection_closed);
}

TEST(Decoder, bytes_that_were_fed_are_not_copied) {
  Decoder decoder;
  Header header;
  const std::string frame = encode_head(R"({"file_name": "a", "file_size": 3})") + "abc";
  decoder.feed(frame);
  ASSERT_EQ(decoder.next_event(header), Decoder::Event::header_received);
  EXPECT_EQ(header.text().data(), frame.data() + 4);
  ASSERT_EQ(decoder.next_event(header), Decoder::Event::body_received);
  EXPECT_EQ(decoder.body().data(), frame.data() + frame.size() - 3);
}

TEST(Decoder, the_views_of_a_head_that_came_in_pieces_live_until_the_next_call) {
  const std::string frame = encode_head(R"({"file_name": "a", "file_size": 3})");
  Decoder decoder;
  Header header;
  for (std::size_t i = 0; i < frame.size(); ++i) {
    const std::string piece = frame.substr(i, 1);
    decoder.feed(piece);
    ASSERT_EQ(decoder.next_event(header),
              i + 1 < frame.size() ? Decoder::Event::need_data : Decoder::Event::header_received);
  }
  EXPECT_EQ(header.find("file_name")->text, "\"a\"");
  EXPECT_EQ(header.text(), std::string_view(frame).substr(4));
}

TEST(Decoder, prepare_gives_room_and_keeps_what_waits) {
  const std::string frame = encode_head(R"({"file_size": 200000})");
  const std::string body(200000, 'x');
  const std::string stream = frame + body + frame + body;
  Decoder decoder;
  Header header;
  std::size_t given = 0, read = 0, bodies = 0;
  const auto give = [&](std::size_t size) {
    const std::span<char> space = decoder.prepare(size);
    ASSERT_GE(space.size(), size);
    std::fill(space.begin(), space.end(), '#');  // all of it may be written to
    size = std::min(size, stream.size() - given);
    std::copy_n(stream.begin() + static_cast<std::ptrdiff_t>(given), size, space.begin());
    decoder.commit(size);
    given += size;
  };
  EXPECT_GE(decoder.prepare().size(), 1u);
  while (given < stream.size()) {
    give(1000);
    give(0);
    give(150000);
    for (int events = 0; events < 2; ++events) {
      switch (decoder.next_event(header)) {
        case Decoder::Event::body_received: read += decoder.body().size(); break;
        case Decoder::Event::end_of_message: ++bodies; break;
        default: break;
      }
    }
  }
  for (auto event = Decoder::Event::body_received; event != Decoder::Event::need_data;) {
    event = decoder.next_event(header);
    if (event == Decoder::Event::body_received) {
      EXPECT_EQ(decoder.body().find_first_not_of('x'), std::string_view::npos);
      read += decoder.body().size();
    }
    if (event == Decoder::Event::end_of_message) ++bodies;
  }
  EXPECT_EQ(bodies, 2u);
  EXPECT_EQ(read, 400000u);
  EXPECT_TRUE(decoder.idle());
}

TEST(Decoder, events_between_prepare_and_commit_come_once) {
  const std::string first = encode_head("{}") + encode_head(R"({"a": 1})"), second = encode_head(R"({"b": 2})");
  Decoder decoder;
  Header header;
  std::copy(first.begin(), first.end(), decoder.prepare(first.size()).begin());
  decoder.commit(first.size());
  EXPECT_EQ(decoder.next_event(header), Decoder::Event::header_received);
  std::copy(second.begin(), second.end(), decoder.prepare(second.size()).begin());
  EXPECT_EQ(decoder.next_event(header), Decoder::Event::end_of_message);
  EXPECT_EQ(decoder.next_event(header), Decoder::Event::header_received);
  EXPECT_EQ(header.text(), R"({"a": 1})");
  decoder.commit(second.size());
  EXPECT_EQ(decoder.next_event(header), Decoder::Event::end_of_message);
  EXPECT_EQ(decoder.next_event(header), Decoder::Event::header_received);
  EXPECT_EQ(header.text(), R"({"b": 2})");
  EXPECT_EQ(decoder.next_event(header), Decoder::Event::end_of_message);
  EXPECT_TRUE(decoder.idle());
}

TEST(Decoder, what_waits_is_kept_once_however_often_it_is_asked_for) {
  const std::string stream =
      encode_head(R"({"file_size": 3})") + "abc" + encode_head(R"({"x": 1})") + encode_head("{}");
  for (std::size_t cut = 0; cut < stream.size(); ++cut) {
    Decoder decoder;
    Header header;
    std::string fed = stream.substr(0, cut), log;
    const auto note = [&](Decoder::Event event) {
      if (event == Decoder::Event::header_received) log += std::string(header.text()) + " ";
      if (event == Decoder::Event::body_received) log += decoder.body();
      return event != Decoder::Event::need_data;
    };
    decoder.feed(fed);
    note(decoder.next_event(header));
    decoder.retain();
    fed.assign(fed.size(), '#');
    note(decoder.next_event(header));
    decoder.retain();
    note(decoder.next_event(header));
    decoder.retain();
    while (note(decoder.next_event(header))) continue;
    std::string again = stream.substr(cut) + stream.substr(0, cut);
    decoder.feed(again);
    note(decoder.next_event(header));
    std::string last = stream.substr(cut);
    std::copy(last.begin(), last.end(), decoder.prepare(last.size()).begin());  // the other way, while something waits
    again.assign(again.size(), '#');
    decoder.commit(last.size());
    while (note(decoder.next_event(header))) continue;
    ASSERT_EQ(log, R"({"file_size": 3} abc{"x": 1} {} {"file_size": 3} abc{"x": 1} {} )") << cut;
    ASSERT_TRUE(decoder.idle());
  }
}

TEST(Decoder, misuse_is_a_logic_error_and_changes_nothing) {
  const std::string stream = encode_head(R"({"file_size": 3})") + "a";
  Decoder decoder;
  Header header;
  EXPECT_THROW(decoder.take_body(0), std::logic_error);
  decoder.feed(stream);
  EXPECT_THROW(decoder.feed("x"), std::logic_error);
  EXPECT_THROW(decoder.take_body(1), std::logic_error);
  ASSERT_EQ(decoder.next_event(header), Decoder::Event::header_received);
  EXPECT_THROW(decoder.feed("x"), std::logic_error);
  EXPECT_THROW(decoder.take_body(1), std::logic_error);  // a byte of it is in the decoder
  ASSERT_EQ(decoder.next_event(header), Decoder::Event::body_received);
  EXPECT_THROW(decoder.take_body(3), std::logic_error);
  decoder.take_body(1);
  EXPECT_EQ(decoder.body_left(), 1u);
  EXPECT_THROW(decoder.take_body(2), std::logic_error);
  decoder.take_body(1);
  EXPECT_EQ(decoder.next_event(header), Decoder::Event::end_of_message);
  EXPECT_THROW(decoder.take_body(0), std::logic_error);
  EXPECT_EQ(decoder.offset(), stream.size() + 2);
}

TEST(Decoder, a_body_of_any_size_can_go_past_it) {
  const std::string head = encode_head(R"({"method": "m", "body_size": 9223372036854775807})");
  Decoder decoder;
  Header header;
  decoder.feed(head);
  ASSERT_EQ(decoder.next_event(header), Decoder::Event::header_received);
  EXPECT_EQ(decoder.body_left(), 9223372036854775807u);
  ASSERT_EQ(decoder.next_event(header), Decoder::Event::need_data);
  decoder.take_body(9223372036854775806u);
  ASSERT_EQ(decoder.next_event(header), Decoder::Event::need_data);
  decoder.feed("xy");
  ASSERT_EQ(decoder.next_event(header), Decoder::Event::body_received);
  EXPECT_EQ(decoder.body(), "x");
  ASSERT_EQ(decoder.next_event(header), Decoder::Event::end_of_message);
  ASSERT_EQ(decoder.next_event(header), Decoder::Event::need_data);
  EXPECT_TRUE(decoder.in_head());
  EXPECT_EQ(decoder.offset(), head.size() + 9223372036854775807u);
}

// ---- memory

std::size_t allocated() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// Bytes that each of 200 decoders holds after `use`.
std::size_t held_by_each(const std::function<void(Decoder&)>& use) {
  std::vector<std::unique_ptr<Decoder>> decoders(200);
  const std::size_t before = allocated();
  for (auto& decoder : decoders) {
    decoder = std::make_unique<Decoder>();
    use(*decoder);
  }
  return (allocated() - before) / decoders.size();
}

TEST(Decoder, memory_follows_what_came_and_not_what_was_announced) {
  if (sanitized) GTEST_SKIP() << "sanitizers have an allocator of their own";
  Header header;
  const auto feed = [&](Decoder& decoder, std::string_view bytes) {
    decoder.feed(bytes);
    while (decoder.next_event(header) != Decoder::Event::need_data) continue;
  };
  const std::string large_head = encode_head("{}" + std::string((1 << 20) - 2, ' '));
  const std::string large_body = encode_head(R"({"file_name": "a", "file_size": 9223372036854775807})");
  EXPECT_LT(held_by_each([&](Decoder& decoder) { feed(decoder, large_head.substr(0, 4)); }), 1024u);
  EXPECT_LT(held_by_each([&](Decoder& decoder) { feed(decoder, large_head.substr(0, 1000)); }), 4096u);
  EXPECT_LT(held_by_each([&](Decoder& decoder) { feed(decoder, large_body); }), 512u);
  EXPECT_LT(held_by_each([&](Decoder& decoder) { feed(decoder, large_body + std::string(100000, 'x')); }), 512u);
  EXPECT_LT(held_by_each([&](Decoder& decoder) {  // byte by byte, so that the decoder has to keep it
              for (char c : large_body) feed(decoder, {&c, 1});
              feed(decoder, "x");
            }),
            512u);
  EXPECT_LT(held_by_each([&](Decoder& decoder) {  // it was large, and is over
              feed(decoder, std::string_view(large_head).substr(0, 1 << 19));
              feed(decoder, std::string_view(large_head).substr(1 << 19));
            }),
            512u);
}

}  // namespace
}  // namespace framecall::frame_test
