// A health check over HTTP. PROTOCOL.md, section 8.
#pragma once

#include <string>
#include <string_view>

#include "framecall/wire/buffer.hpp"
#include "server/sessions/session.hpp"
#include "server/sessions/session_port.hpp"

namespace framecall {

/// Answers one request, and leaves.
class HttpSession final : public Session {
 public:
  explicit HttpSession(SessionPort& port) : port_(port) {}

  void receive(std::string_view bytes) override;
  void end() override { port_.finish(); }
  bool idle() const override { return head_.empty(); }
  Expects expects() const override;
  std::size_t memory() const override { return head_.size(); }
  void refuse(std::int64_t code, const std::string& message, const std::string& data) override;

 private:
  SessionPort& port_;
  Buffer head_;
};

/// The answer to an HTTP request whose head is in `received`: `GET /healthz` tells whether the server takes work. Empty
/// while the head is not whole.
std::string http_answer(std::string_view received, bool serving);

/// Bytes of a request's head; more are answered with 431.
inline constexpr std::size_t max_http_head = 8192;

}  // namespace framecall
