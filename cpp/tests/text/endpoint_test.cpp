#include "framecall/endpoint.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace framecall::endpoint_test {
namespace {

TEST(Endpoint, is_read_and_printed) {
  struct Case {
    std::string text, host;
    int port;
    std::string path, printed;
  };
  const std::string longest(107, 'p');
  const Case cases[] = {
      {"127.0.0.1:8080", "127.0.0.1", 8080, "", "127.0.0.1:8080"},
      {"localhost:0", "localhost", 0, "", "localhost:0"},
      {"a.b-c.example:65535", "a.b-c.example", 65535, "", "a.b-c.example:65535"},
      {"host:00080", "host", 80, "", "host:80"},
      {"[::1]:8080", "::1", 8080, "", "[::1]:8080"},
      {"[fe80::1%eth0]:1", "fe80::1%eth0", 1, "", "[fe80::1%eth0]:1"},
      {"[127.0.0.1]:1", "127.0.0.1", 1, "", "127.0.0.1:1"},
      {"unix:/run/a.sock", "", 0, "/run/a.sock", "unix:/run/a.sock"},
      {"unix:a", "", 0, "a", "unix:a"},
      {"unix::80", "", 0, ":80", "unix::80"},
      {"unix:" + longest, "", 0, longest, "unix:" + longest},
  };
  for (const Case& one : cases) {
    const Endpoint endpoint = Endpoint::parse(one.text);
    EXPECT_EQ(endpoint.host, one.host) << one.text;
    EXPECT_EQ(endpoint.port, one.port) << one.text;
    EXPECT_EQ(endpoint.path, one.path) << one.text;
    EXPECT_EQ(endpoint.is_unix(), !one.path.empty()) << one.text;
    EXPECT_EQ(endpoint.to_string(), one.printed) << one.text;
    EXPECT_EQ(Endpoint::parse(one.printed).to_string(), one.printed) << one.text;
  }
}

TEST(Endpoint, says_what_is_wrong) {
  struct Case {
    std::string text, why;
  };
  const char* const port = "the port is not a number 0 .. 65535";
  const char* const brackets = "an IPv6 address stands in brackets, [::1]:8080";
  const Case cases[] = {
      {"", "expected HOST:PORT, [IPV6]:PORT or unix:PATH"},
      {"localhost", "expected HOST:PORT, [IPV6]:PORT or unix:PATH"},
      {"localhost:", port},
      {"localhost:x", port},
      {"localhost:80x", port},
      {"localhost: 80", port},
      {"localhost:+80", port},
      {"localhost:-1", port},
      {"localhost:65536", port},
      {"localhost:99999999999999999999", port},
      {":80", "the host is empty"},
      {"[]:80", "the host is empty"},
      {"::1", brackets},
      {"::1:8080", brackets},
      {"[::1:8080", brackets},
      {"[::1]", brackets},
      {"unix:", "the path is empty"},
      {"unix:" + std::string(108, 'p'), "the path is longer than 107 bytes"},
  };
  for (const Case& one : cases) {
    try {
      Endpoint::parse(one.text);
      ADD_FAILURE() << one.text;
    } catch (const std::invalid_argument& error) {
      EXPECT_EQ(error.what(), "address \"" + one.text + "\": " + one.why);
    }
  }
  try {
    Endpoint::parse("\x1b[31m");
    ADD_FAILURE();
  } catch (const std::invalid_argument& error) {
    EXPECT_EQ(std::string(error.what()).find('\x1b'), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace framecall::endpoint_test
