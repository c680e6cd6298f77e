#include "server/sessions/session_port.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace framecall {
namespace {

// Of the address that has a share of the threads: of none for Unix sockets, and for this machine's own address, from which
// a proxy brings the connections of many peers.
std::string shared_network(std::string_view peer) {
  if (peer.rfind(':') == std::string_view::npos) return {};
  std::string network = peer_network(peer);
  return network == "127.0.0.1" || network == "[::1]" ? std::string() : network;
}

}  // namespace

SessionPort::SessionPort(LoopResources& loop, std::string peer)
    : loop_(loop),
      peer_(std::move(peer)),
      id_(loop.state.next_connection++),
      network_(shared_network(peer_)),
      admitted_(loop.state.options.dialect.login == Dialect::Login::none) {}

Deadlines::iterator SessionPort::add_deadline(std::uint64_t milliseconds, const std::string& id) {
  constexpr std::uint64_t century = std::uint64_t{100} * 365 * 24 * 3600 * 1000;
  const auto due = loop_.now + static_cast<std::int64_t>(std::min(milliseconds, century));
  return loop_.deadlines.emplace(due, std::pair(this, id));
}

}  // namespace framecall
