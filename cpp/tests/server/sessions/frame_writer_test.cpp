#include "server/sessions/frame_writer.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "framecall/wire/json.hpp"
#include "support/serving.hpp"
#include "support/session_script.hpp"

namespace framecall::frame_writer_test {
namespace {

using namespace std::string_literals;

PrefixFormat format(PrefixFormat::Kind kind, PrefixFormat::Order order, std::uint8_t width) {
  PrefixFormat prefix;
  prefix.kind = kind;
  prefix.order = order;
  prefix.width = width;
  return prefix;
}

const PrefixFormat little = PrefixFormat();
const PrefixFormat big = format(PrefixFormat::Kind::binary, PrefixFormat::Order::big, 2);
const PrefixFormat three_digits = format(PrefixFormat::Kind::decimal, PrefixFormat::Order::little, 3);

// What the peer of such lengths gets when `write` has written.
template <class Write>
std::string sent(const PrefixFormat& prefix, Write write, ServerOptions options = {}) {
  Dialect dialect;
  dialect.prefixes = {prefix};
  SessionScript script(std::move(options));
  const Decoder decoder(default_max_header_size, dialect);
  FrameWriter frames(*script.port, decoder);
  write(frames, script);
  return script.sent();
}

TEST(FrameWriter, writes_lengths_as_the_peer_reads_them) {
  for (const auto& [prefix, text] :
       {std::pair(little, "\2\0\0\0"s), std::pair(big, "\0\2"s), std::pair(three_digits, "002"s)}) {
    const std::string answer = sent(prefix, [](FrameWriter& frames, SessionScript&) {
      Buffer body;
      body.append("body");
      frames.append_frame("{}", std::move(body));
    });
    EXPECT_EQ(answer, text + "{}body");
  }
}

TEST(FrameWriter, a_header_is_as_long_as_the_peers_lengths_allow) {
  const auto longest = [](const PrefixFormat& prefix, std::uint32_t max_header) {
    std::size_t size = 0;
    ServerOptions options;
    options.max_header = max_header;
    sent(prefix, [&](FrameWriter& frames, SessionScript&) { size = frames.longest_header(); }, options);
    return size;
  };
  EXPECT_EQ(longest(three_digits, default_max_header_size), 999u);
  EXPECT_EQ(longest(big, default_max_header_size), 65535u);
  EXPECT_EQ(longest(little, default_max_header_size), default_max_header_size);
  EXPECT_EQ(longest(little, 1000), default_max_header_size) << "what we read says nothing about what the peer reads";
}

TEST(FrameWriter, an_error_is_cut_to_what_the_peer_can_read) {
  const std::string answer = sent(three_digits, [](FrameWriter& frames, SessionScript&) {
    frames.append_error("1", {-32050, std::string(5000, 'm'), {}});
  });
  ASSERT_EQ(answer.size(), 3 + static_cast<std::size_t>(std::stoi(answer.substr(0, 3))));
  EXPECT_EQ(parse_json(answer.substr(3))["error"]["code"], -32050);
}

TEST(FrameWriter, an_error_says_that_a_draining_server_closes_but_not_a_connection_that_ends_anyway) {
  const auto hint = [](bool draining, bool leaving) {
    const std::string answer = sent(little, [&](FrameWriter& frames, SessionScript& script) {
      script.loop().draining = draining;
      if (leaving) script.port->begin_to_leave();
      frames.append_error("1", {-32050, "no", {}});
    });
    return answer.find("\"connection\": \"close\"") != std::string::npos;
  };
  EXPECT_FALSE(hint(false, false));
  EXPECT_TRUE(hint(true, false));
  EXPECT_FALSE(hint(true, true));
}

TEST(FrameWriter, a_last_answer_is_sent_logged_and_followed_by_the_end) {
  const std::string answer = sent(little, [](FrameWriter& frames, SessionScript& script) {
    frames.end_with("7", {-32050, "enough", {}});
    EXPECT_EQ(script.port->life(), SessionPort::Life::leaving);
    EXPECT_EQ(script.log, std::vector<std::string>{"192.0.2.1:5000: refused: enough"});
  });
  EXPECT_EQ(answer, error("7", -32050, "enough"));
}

// What a dialect with this answer says to what is refused.
std::string refusal(const PrefixFormat& prefix, Answer::Kind kind, const std::string& content,
                    const std::string& message) {
  ServerOptions options;
  options.dialect.refused.kind = kind;
  options.dialect.refused.content = content;
  return sent(
      prefix,
      [&](FrameWriter& frames, SessionScript& script) {
        frames.refuse(-32050, message);
        EXPECT_EQ(script.port->life(), SessionPort::Life::leaving);
      },
      options);
}

TEST(FrameWriter, a_refusal_is_written_as_the_dialect_says) {
  EXPECT_EQ(refusal(little, Answer::Kind::none, "", "no"), error("null", -32050, "no"));
  EXPECT_EQ(refusal(little, Answer::Kind::text, "ERR $message\n", "no"), "ERR no\n");
  EXPECT_EQ(refusal(big, Answer::Kind::frame, R"({"error": "$message"})", "no"), "\0\x0f{\"error\": \"no\"}"s);
}

TEST(FrameWriter, the_message_of_a_refusal_is_shortened_until_the_peer_can_read_it) {
  const std::string answer =
      refusal(three_digits, Answer::Kind::frame, R"({"error": "$message"})", std::string(3000, 'm'));
  ASSERT_EQ(answer.size(), 3 + static_cast<std::size_t>(std::stoi(answer.substr(0, 3))));
  EXPECT_TRUE(answer.substr(3).starts_with("{\"error\": \"mmm")) << answer;
  const std::string plain = refusal(three_digits, Answer::Kind::frame,
                                    R"({"error": "$message", "more": ")" + std::string(2000, 'x') + "\"}", "no");
  ASSERT_GT(plain.size(), 3u);
  EXPECT_EQ(parse_json(plain.substr(3))["error"]["message"], "no") << "the dialect's own answer never fits";
}

}  // namespace
}  // namespace framecall::frame_writer_test
