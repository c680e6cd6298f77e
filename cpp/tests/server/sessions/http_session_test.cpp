#include "server/sessions/http_session.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "support/session_script.hpp"

namespace framecall::http_session_test {
namespace {

struct Http : SessionScript {
  Http() { port->session = std::make_unique<HttpSession>(*port); }
};

// The status and the body of an answer, if its length is right.
std::string short_form(const std::string& answer) {
  const std::size_t end = answer.find("\r\n\r\n"), length = answer.find("Content-Length: ");
  if (end == std::string::npos || length == std::string::npos) return answer;
  const std::string body = answer.substr(end + 4);
  if (!body.empty()) {
    EXPECT_EQ(std::stoul(answer.substr(length + 16)), body.size());
  }
  return answer.substr(9, 3) + " " + body;
}

TEST(HttpSession, answers_health_checks_and_nothing_else) {
  const std::pair<const char*, const char*> cases[] = {
      {"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "200 SERVING\n"},
      {"GET /healthz?x=1 HTTP/1.0\r\n\r\n", "200 SERVING\n"},
      {"HEAD /healthz HTTP/1.1\r\n\r\n", "200 "},
      {"GET / HTTP/1.1\r\n\r\n", "404 there is /healthz\n"},
      {"HEAD / HTTP/1.1\r\n\r\n", "404 "},
      {"POST /healthz HTTP/1.1\r\n\r\n", "405 GET only\n"},
      {"GET /healthz\r\n\r\n", "400 not HTTP/1.1\n"},
      {"GET /healthz HTTP/2\r\n\r\n", "400 not HTTP/1.1\n"},
      {"nonsense\r\n\r\n", "400 not HTTP/1.1\n"},
      {"GET /healthz HTTP/1.1\r\n", ""},
  };
  for (const auto& [request, answer] : cases) EXPECT_EQ(short_form(http_answer(request, true)), answer) << request;
  EXPECT_EQ(short_form(http_answer("GET /healthz HTTP/1.1\r\n\r\n", false)), "503 NOT_SERVING\n");
  EXPECT_EQ(http_answer(std::string(max_http_head, 'x'), true), "");
  EXPECT_EQ(short_form(http_answer(std::string(max_http_head + 1, 'x'), true)), "431 too long\n");
}

TEST(HttpSession, answers_once_however_the_request_is_cut) {
  for (const std::size_t piece : {std::size_t{1}, std::size_t{10}, SIZE_MAX}) {
    Http http;
    http.receive("GET /healthz HTTP/1.1\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n", piece);
    EXPECT_EQ(short_form(http.sent()), "200 SERVING\n");
    EXPECT_EQ(http.port->life(), SessionPort::Life::leaving);
  }
}

TEST(HttpSession, a_draining_server_is_not_healthy) {
  Http http;
  http.loop().draining = true;
  http.receive("GET /healthz HTTP/1.1\r\n\r\n");
  EXPECT_EQ(short_form(http.sent()), "503 NOT_SERVING\n");
}

TEST(HttpSession, an_unfinished_request_is_watched_and_counted) {
  Http http;
  EXPECT_TRUE(http.session().idle());
  http.receive("GET /healthz");
  EXPECT_FALSE(http.session().idle());
  EXPECT_TRUE(http.session().expects().head) << "header_timeout limits it";
  EXPECT_EQ(http.session().memory(), 12u);
  http.end();
  EXPECT_EQ(http.port->life(), SessionPort::Life::ending);
}

TEST(HttpSession, a_refusal_is_an_http_answer) {
  Http http;
  http.session().refuse(-32048, "too many connections", {});
  EXPECT_EQ(short_form(http.sent()), "503 too many connections\n");
  EXPECT_EQ(http.port->life(), SessionPort::Life::leaving);
}

}  // namespace
}  // namespace framecall::http_session_test
