// The tutorial's echo server: raw text, sent back in upper case.
#pragma once

#include <string>
#include <string_view>

#include "server/sessions/session.hpp"
#include "server/sessions/session_port.hpp"

namespace framecall {

class EchoSession final : public Session {
 public:
  explicit EchoSession(SessionPort& port) : port_(port) {}

  void receive(std::string_view bytes) override;
  void end() override { port_.finish(); }
  bool idle() const override { return true; }
  bool may_be_silent() const override { return true; }
  void refuse(std::int64_t code, const std::string& message, const std::string& data) override;

 private:
  SessionPort& port_;
};

}  // namespace framecall
