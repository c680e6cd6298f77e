#include "server/sessions/protocol_detection.hpp"

#include <array>

#include "framecall/wire/frame.hpp"

namespace framecall {
namespace {

constexpr std::array<std::string_view, 9> http_methods = {"GET ",     "HEAD ",  "POST ",    "PUT ",  "DELETE ",
                                                          "OPTIONS ", "PATCH ", "CONNECT ", "TRACE "};

std::string http_reply(std::string_view status, std::string_view text, bool with_body) {
  std::string reply("HTTP/1.1 ");
  reply.append(status).append("\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: ");
  reply.append(std::to_string(text.size())).append("\r\n\r\n");
  return with_body ? reply.append(text) : reply;
}

}  // namespace

FirstBytes::Verdict FirstBytes::judge(std::string_view bytes, bool quiet, const Dialect& dialect,
                                      std::uint32_t max_header_size) const {
  // A ClientHello may be as long as a header, so that its fourth byte is 0; its sixth says what it is, where a frame
  // has text.
  if (bytes == "\x16" && !quiet) return Verdict::undecided;
  if (bytes.starts_with("\x16\x03")) {
    if (bytes.size() < 6) return Verdict::undecided;
    if (bytes[5] == '\x01') return Verdict::tls;
  }
  for (const std::string_view method : http_methods) {
    if (!http) break;
    if (bytes.starts_with(method)) return Verdict::http;
    if (method.starts_with(bytes) && !quiet) return Verdict::undecided;
  }
  if (!frames) return Verdict::text;
  switch (frame_start(bytes, dialect, max_header_size)) {
    case FrameStart::yes: return Verdict::frame;
    case FrameStart::no: return Verdict::text;
    case FrameStart::maybe: break;
  }
  return quiet && is_text(bytes) ? Verdict::text : Verdict::undecided;
}

std::string http_answer(std::string_view received, bool serving) {
  const std::size_t end = received.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    return received.size() > max_http_head ? http_reply("431 Request Header Fields Too Large", "too long\n", true)
                                           : std::string();
  }
  const std::string_view line = received.substr(0, received.find("\r\n"));
  const std::size_t first = line.find(' '), last = line.rfind(' ');
  if (first == last || !line.substr(last + 1).starts_with("HTTP/1.")) {
    return http_reply("400 Bad Request", "not HTTP/1.1\n", true);
  }
  const std::string_view method = line.substr(0, first);
  std::string_view path = line.substr(first + 1, last - first - 1);
  path = path.substr(0, path.find('?'));
  if (method != "GET" && method != "HEAD") return http_reply("405 Method Not Allowed", "GET only\n", true);
  const bool with_body = method == "GET";
  if (path != "/healthz") return http_reply("404 Not Found", "there is /healthz\n", with_body);
  return serving ? http_reply("200 OK", "SERVING\n", with_body)
                 : http_reply("503 Service Unavailable", "NOT_SERVING\n", with_body);
}

}  // namespace framecall
