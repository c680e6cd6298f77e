#include "server/sessions/echo_session.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "framecall/wire/dialect_file.hpp"
#include "support/session_script.hpp"

namespace framecall::echo_session_test {
namespace {

struct Echo : SessionScript {
  explicit Echo(ServerOptions options = {}) : SessionScript(std::move(options)) {
    port->session = std::make_unique<EchoSession>(*port);
  }
};

TEST(EchoSession, sends_every_byte_back_with_ascii_in_upper_case) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  std::string upper = all;
  for (char c = 'a'; c <= 'z'; ++c) upper[static_cast<std::size_t>(c)] = static_cast<char>(c - 32);
  Echo echo;
  echo.receive(all, 7);
  EXPECT_EQ(echo.sent(), upper);
  EXPECT_EQ(echo.memory(), 0u);
}

TEST(EchoSession, ends_when_its_peer_does_and_is_never_hurried) {
  Echo echo;
  echo.receive("abc");
  EXPECT_TRUE(echo.session().idle());
  EXPECT_TRUE(echo.session().may_be_silent()) << "a person may be typing";
  echo.end();
  EXPECT_EQ(echo.port->life(), SessionPort::Life::ending);
  EXPECT_EQ(echo.sent(), "ABC");
}

TEST(EchoSession, nothing_is_echoed_before_a_login) {
  ServerOptions options;
  options.dialect = find_dialect("login");
  Echo echo(std::move(options));
  echo.receive("secret");
  EXPECT_EQ(echo.port->life(), SessionPort::Life::leaving);
  const std::string answer = echo.sent();
  EXPECT_EQ(answer.find("SECRET"), std::string::npos) << answer;
  EXPECT_NE(answer.find("the login comes first"), std::string::npos) << answer;
}

}  // namespace
}  // namespace framecall::echo_session_test
