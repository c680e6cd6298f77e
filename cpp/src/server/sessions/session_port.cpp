#include "server/sessions/session_port.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "framecall/error.hpp"

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

void SessionPort::wait_for(std::function<void()> work, std::function<void()> then, FairQueue::OnClose on_close) {
  // Made before the work is done, so that its end cannot fail to be told.
  struct Waiting {
    std::shared_ptr<SessionPort> self;
    std::function<void()> work, then;
    std::optional<CallError> failure;
  };
  const auto waiting = std::make_shared<Waiting>(Waiting{shared_from_this(), std::move(work), std::move(then), {}});
  Task ended([waiting] {
    SessionPort& port = *waiting->self;
    port.waiting_ = false;
    port.on_own_thread([&] {
      port.note_progress();
      if (waiting->failure) throw CallError(*waiting->failure);
      waiting->then();
    });
  });
  auto task = [waiting, ended = std::move(ended), mailbox = mailbox()]() mutable {
    try {
      waiting->work();
    } catch (const CallError& error) {
      waiting->failure.emplace(error);
    } catch (const std::exception& error) {
      waiting->failure.emplace(ErrorCode::internal_error, error.what());
    }
    mailbox->post(std::move(ended));
  };
  state().workers->post(work_origin(), Task(std::move(task)), on_close);
  waiting_ = true;
}

SessionPort::Resume SessionPort::pause() {
  waiting_ = true;
  paused_ = shared_from_this();
  return [mailbox = mailbox(), port = weak_from_this()](std::function<void()> then) {
    mailbox->post(Task([port, then = std::move(then)] {
      const auto self = port.lock();
      if (!self || !self->open()) return;
      self->paused_.reset();
      self->waiting_ = false;
      self->on_own_thread([&] {
        self->note_progress();
        then();
      });
    }));
  };
}

}  // namespace framecall
