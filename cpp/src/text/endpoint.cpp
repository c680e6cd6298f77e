#include "framecall/endpoint.hpp"

#include <charconv>
#include <stdexcept>

#include "framecall/error.hpp"

namespace framecall {
namespace {

[[noreturn]] void refuse(std::string_view text, const char* why) {
  throw std::invalid_argument("address \"" + printable(text) + "\": " + why);
}

}  // namespace

Endpoint Endpoint::parse(std::string_view text) {
  Endpoint endpoint;
  if (text.starts_with("unix:")) {
    endpoint.path = text.substr(5);
    if (endpoint.path.empty()) refuse(text, "the path is empty");
    if (endpoint.path.size() > 107) refuse(text, "the path is longer than 107 bytes");
    return endpoint;
  }
  const std::size_t scheme = text.find("://");
  if (scheme != std::string_view::npos) {
    const std::string hint =
        "expected HOST:PORT, [IPV6]:PORT or unix:PATH, without " + printable(text.substr(0, scheme + 3), 40);
    refuse(text, hint.c_str());
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) refuse(text, "expected HOST:PORT, [IPV6]:PORT or unix:PATH");
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    refuse(text, "an IPv6 address stands in brackets, [::1]:8080");
  }
  if (host.empty()) refuse(text, "the host is empty");
  const auto result = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
  if (port.empty() || result.ec != std::errc{} || result.ptr != port.data() + port.size()) {
    refuse(text, "the port is not a number 0 .. 65535");
  }
  endpoint.host = host;
  return endpoint;
}

std::string Endpoint::to_string() const {
  if (is_unix()) return "unix:" + path;
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace framecall
