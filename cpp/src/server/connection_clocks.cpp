#include "server/connection_clocks.hpp"

#include <algorithm>

namespace framecall {

void ConnectionClocks::watch(const Session::Expects& expects) {
  if (expects.head && !head_.linked()) loop_.heads.touch(head_, loop_.now);
  if (expects.text) await_silence();
  if (expects.body && !body_.linked()) {
    body_mark_ = expects.offset;
    loop_.bodies.touch(body_, loop_.now);
  }
}

// Bytes a second.
std::uint64_t ConnectionClocks::body_rate(const Session::Expects& expects) const {
  const auto window = std::max<std::int64_t>(loop_.state.options.body_window.count(), 1);
  return (expects.offset - body_mark_) * 1000 / static_cast<std::uint64_t>(window);
}

bool ConnectionClocks::body_is_slow(const Session::Expects& expects) {
  if (expects.body && body_rate(expects) < loop_.state.options.min_body_rate) return true;
  body_.unlink();
  watch(expects);
  return false;
}

std::string ConnectionClocks::slow_body(const Session::Expects& expects) const {
  const ServerOptions& options = loop_.state.options;
  return std::to_string(body_rate(expects)) + " bytes a second of a body over " +
         std::to_string(options.body_window.count()) + " ms, min_body_rate is " + std::to_string(options.min_body_rate);
}

}  // namespace framecall
