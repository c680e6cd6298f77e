#include "server/sessions/protocol_detection.hpp"

#include <array>

#include "framecall/error.hpp"
#include "framecall/wire/frame.hpp"
#include "server/sessions/echo_session.hpp"
#include "server/sessions/frame_session.hpp"
#include "server/sessions/http_session.hpp"

namespace framecall {
namespace {

constexpr std::array<std::string_view, 9> http_methods = {"GET ",     "HEAD ",  "POST ",    "PUT ",  "DELETE ",
                                                          "OPTIONS ", "PATCH ", "CONNECT ", "TRACE "};

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

std::unique_ptr<Session> first_session(SessionPort& port, Protocols protocols) {
  if (!protocols.echo && !protocols.http) return std::make_unique<FrameSession>(port);
  if (protocols.echo && !protocols.frames && !protocols.http) return std::make_unique<EchoSession>(port);
  return std::make_unique<ProtocolDetection>(port, protocols);
}

void ProtocolDetection::receive(std::string_view bytes) {
  first_.append(bytes);
  decide(false);
}

void ProtocolDetection::end() {
  if (first_.empty()) {
    port_.finish();
    return;
  }
  Session* const next = decide(true);
  if (next != nullptr) {
    next->end();
  } else {
    port_.finish();
  }
}

bool ProtocolDetection::on_quiet() {
  decide(true);
  return false;
}

Session::Expects ProtocolDetection::expects() const {
  Expects expects;
  expects.head = expects.text = !first_.empty();
  return expects;
}

// The session that has the bytes from now on, if that is known.
Session* ProtocolDetection::decide(bool quiet) {
  const FirstBytes first{protocols_.frames, protocols_.http};
  std::unique_ptr<Session> next;
  switch (first.judge(first_.view(), quiet, port_.options().dialect, port_.options().max_header)) {
    case FirstBytes::Verdict::undecided: return nullptr;
    case FirstBytes::Verdict::tls:
      port_.log(LogLevel::warning, "closed: a TLS handshake, and TLS is not enabled on this port");
      port_.close();
      return nullptr;
    case FirstBytes::Verdict::http: next = std::make_unique<HttpSession>(port_); break;
    case FirstBytes::Verdict::frame: next = std::make_unique<FrameSession>(port_); break;
    case FirstBytes::Verdict::text:
      if (protocols_.echo) {
        next = std::make_unique<EchoSession>(port_);
      } else if (protocols_.frames) {
        next = std::make_unique<FrameSession>(port_);
      } else {
        port_.log(LogLevel::warning, "closed: not HTTP: " + printable(first_.view().substr(0, 16)));
        port_.close();
        return nullptr;
      }
      break;
  }
  Session& session = *next;
  port_.host(std::move(next));
  session.receive(first_.view());
  return &session;
}

void ProtocolDetection::refuse(std::int64_t code, const std::string& message, const std::string& data) {
  FrameSession(port_).refuse(code, message, data);
}

}  // namespace framecall
