#include "server/sessions/protocol_detection.hpp"

#include <gtest/gtest.h>

#include <string>

#include "support/serving.hpp"
#include "support/session_script.hpp"

namespace framecall::protocol_detection_test {
namespace {

constexpr Protocols all{true, true, true};

std::string ping() { return request(R"({"id": 1, "method": "rpc.ping"})"); }

TEST(ProtocolDetection, finds_frames_text_and_http_however_they_are_cut) {
  for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, SIZE_MAX}) {
    SessionScript frames({}, all), http({}, all);
    frames.receive(ping(), piece);
    EXPECT_EQ(frames.sent(), result("1", "\"pong\"")) << piece;
    http.receive("GET /healthz HTTP/1.1\r\n\r\n", piece);
    EXPECT_TRUE(http.sent().ends_with("\r\n\r\nSERVING\n")) << piece;
    EXPECT_EQ(http.port->life(), SessionPort::Life::leaving);
  }
  SessionScript text({}, all);
  text.receive("hello");
  EXPECT_EQ(text.sent(), "HELLO");
}

TEST(ProtocolDetection, takes_a_text_that_may_be_a_length_after_a_moment) {
  SessionScript script({}, all);
  script.receive("q");
  EXPECT_TRUE(script.session().expects().text);
  EXPECT_EQ(script.sent(), "");
  EXPECT_FALSE(script.session().on_quiet());
  EXPECT_EQ(script.sent(), "Q");
}

TEST(ProtocolDetection, hands_the_end_to_the_session_that_it_finds) {
  SessionScript script({}, all);
  script.receive("q");
  script.end();
  EXPECT_EQ(script.sent(), "Q");
  EXPECT_EQ(script.port->life(), SessionPort::Life::ending);
  SessionScript silent({}, all);
  silent.end();
  EXPECT_EQ(silent.port->life(), SessionPort::Life::ending);
}

TEST(ProtocolDetection, closes_for_tls) {
  SessionScript script({}, all);
  script.receive(std::string("\x16\x03\x01\x00\xa0\x01", 6));
  EXPECT_EQ(script.port->life(), SessionPort::Life::closed);
  ASSERT_EQ(script.log.size(), 1u);
  EXPECT_NE(script.log[0].find("TLS"), std::string::npos) << script.log[0];
}

}  // namespace
}  // namespace framecall::protocol_detection_test
