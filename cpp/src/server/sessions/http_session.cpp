#include "server/sessions/http_session.hpp"

namespace framecall {
namespace {

std::string http_reply(std::string_view status, std::string_view text, bool with_body) {
  std::string reply("HTTP/1.1 ");
  reply.append(status).append("\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: ");
  reply.append(std::to_string(text.size())).append("\r\n\r\n");
  return with_body ? reply.append(text) : reply;
}

}  // namespace

void HttpSession::receive(std::string_view bytes) {
  head_.append(bytes);
  const std::string reply = http_answer(head_.view(), !port_.draining());
  if (reply.empty()) return;
  port_.out().append(reply);
  port_.begin_to_leave();
}

Session::Expects HttpSession::expects() const {
  Expects expects;
  expects.head = true;
  return expects;
}

void HttpSession::refuse(std::int64_t, const std::string& message, const std::string&) {
  port_.out().append(http_reply("503 Service Unavailable", message + "\n", true));
  port_.leave(message);
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
