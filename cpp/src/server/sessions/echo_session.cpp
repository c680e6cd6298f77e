#include "server/sessions/echo_session.hpp"

#include <utility>

#include "framecall/error.hpp"
#include "framecall/wire/buffer.hpp"
#include "framecall/wire/header.hpp"
#include "server/sessions/frame_session.hpp"

namespace framecall {

void EchoSession::receive(std::string_view bytes) {
  if (!port_.admitted()) {
    refuse(static_cast<std::int64_t>(ErrorCode::unauthenticated), "the login comes first", {});
    return;
  }
  Buffer upper;
  upper_case(bytes.data(), bytes.size(), upper.prepare(bytes.size()));
  upper.commit(bytes.size());
  port_.out().append(std::move(upper));
}

// There is no other way to say it than that of the dialect.
void EchoSession::refuse(std::int64_t code, const std::string& message, const std::string& data) {
  FrameSession(port_).refuse(code, message, data);
}

}  // namespace framecall
