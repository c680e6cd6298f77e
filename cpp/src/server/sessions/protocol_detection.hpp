// Several protocols on one port: which one a connection speaks, by its first bytes. PROTOCOL.md, section 8.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "framecall/wire/buffer.hpp"
#include "framecall/wire/dialect.hpp"
#include "server/sessions/session.hpp"
#include "server/sessions/session_port.hpp"

namespace framecall {

struct FirstBytes {
  enum class Verdict : std::uint8_t { undecided, frame, http, tls, text };
  bool frames, http;  ///< what is looked for

  /// `quiet`: nothing came for a while, so what could still become a frame is a text if it looks like one. The verdict
  /// depends on the bytes alone, not on how they were cut, unless a sender pauses inside of its first three bytes.
  Verdict judge(std::string_view bytes, bool quiet, const Dialect& dialect, std::uint32_t max_header_size) const;
};

/// The session of a new connection on a port for these protocols.
std::unique_ptr<Session> first_session(SessionPort& port, Protocols protocols);

/// Keeps the first bytes until it knows which session they are for.
class ProtocolDetection final : public Session {
 public:
  ProtocolDetection(SessionPort& port, Protocols protocols) : port_(port), protocols_(protocols) {}

  void receive(std::string_view bytes) override;
  void end() override;
  bool idle() const override { return first_.empty(); }
  Expects expects() const override;
  bool on_quiet() override;
  std::size_t memory() const override { return first_.size(); }
  void refuse(std::int64_t code, const std::string& message, const std::string& data) override;

 private:
  Session* decide(bool quiet);

  SessionPort& port_;
  const Protocols protocols_;
  Buffer first_;
};

}  // namespace framecall
