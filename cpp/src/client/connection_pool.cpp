#include "client/connection_pool.hpp"

#include <netdb.h>
#include <poll.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <set>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "framecall/error.hpp"

namespace framecall {

// All pools of the process. A child of fork() has copies of their connections, on which its parent goes on to talk, and of
// their locks, which another thread may have held: so they are all taken before, and the copies closed afterwards.
class Pools {
 public:
  static Pools& instance() {
    static Pools* const pools = new Pools;  // never destroyed: a fork() may come at any time
    return *pools;
  }
  void add(ConnectionPool* pool) {
    const std::lock_guard lock(mutex_);
    pools_.insert(pool);
  }
  void remove(ConnectionPool* pool) {
    const std::lock_guard lock(mutex_);
    pools_.erase(pool);
  }

 private:
  Pools() {
    ::pthread_atfork([] { instance().lock(); }, [] { instance().unlock(); }, [] { instance().in_child(); });
  }
  void lock() {
    mutex_.lock();
    for (ConnectionPool* pool : pools_) pool->mutex_.lock();
  }
  void unlock() {
    for (ConnectionPool* pool : pools_) pool->mutex_.unlock();
    mutex_.unlock();
  }
  void in_child() {
    for (ConnectionPool* pool : pools_) pool->abandon();
    unlock();
  }

  std::mutex mutex_;
  std::set<ConnectionPool*> pools_;
};

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds check_interval(100);

}  // namespace

std::string Attempts::text() const {
  const std::chrono::duration<double> elapsed = Clock::now() - start;
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), " (%u attempt%s in %.3f s)", count, count == 1 ? "" : "s", elapsed.count());
  return text.data();
}

ConnectionPool::ConnectionPool(const std::vector<Endpoint>& endpoints, const ClientOptions& options)
    : options_(options) {
  if (endpoints.empty()) throw std::invalid_argument("a client needs an endpoint");
  for (const Endpoint& endpoint : endpoints) {
    Peer peer;
    peer.endpoint = endpoint;
    peer.shown = endpoint.to_string();
    peers_.push_back(std::move(peer));
  }
  Pools::instance().add(this);
}

ConnectionPool::~ConnectionPool() { Pools::instance().remove(this); }

ConnectionPool::Lease ConnectionPool::take(Attempts& attempts) {
  const auto check_time = [&](Clock::time_point now, const Peer& peer) {
    if (now < attempts.deadline) return;
    throw SystemError(ETIMEDOUT, std::generic_category(), peer.shown + ": no time is left to call" + attempts.text());
  };
  for (;;) {
    ++attempts.count;
    bool down = false;
    const auto now = attempts.count == 1 ? attempts.start : Clock::now();
    Lease lease = choose(now, down);
    const Peer& peer = peers_[lease.peer];
    if (attempts.count > 1) check_time(now, peer);
    while (lease.connection) {
      if (lease->healthy(now)) return lease;
      const std::lock_guard lock(mutex_);
      lease.connection = take_idle(lease.peer);
    }
    if (down && attempts.count > 1) {
      wait_until(std::min(now + retry_pause(options_, attempts.count - 1, random_share()), attempts.deadline));
    }
    try {
      lease.connection =
          std::make_shared<BlockingConnection>(peer.endpoint, peer.shown, options_.check, options_.max_header,
                                               options_.max_body, attempts.deadline, dialect_of(options_));
    } catch (const std::system_error& error) {
      note_down(lease.peer);
      const bool unknown = error.code().category() == lookup_category() && error.code().value() != EAI_AGAIN;
      if (unknown && peers_.size() == 1) throw;  // there is no such host, and it says so
      const std::size_t most = std::max<std::size_t>(std::max(options_.attempts, 1U), peers_.size());
      if (attempts.count >= most || Clock::now() >= attempts.deadline) {
        throw SystemError(error.code(), "cannot connect to " + peer.shown + attempts.text());
      }
      continue;
    }
    note_connected(lease.peer, lease.connection);
    check_time(Clock::now(), peer);  // looking up a name has no limit of time
    return lease;
  }
}

// The next endpoint in turn that is not down; if all are, the one whose time is over first. With an idle connection, if
// there is one.
ConnectionPool::Lease ConnectionPool::choose(Clock::time_point now, bool& down) {
  const std::lock_guard lock(mutex_);
  check_open();
  Lease best;
  best.peer = next_ % peers_.size();
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    const std::size_t peer = next_ % peers_.size();
    ++next_;
    if (peers_[peer].down_until <= now) {
      best.peer = peer;
      best.connection = take_idle(peer);
      return best;
    }
    if (peers_[peer].down_until < peers_[best.peer].down_until) best.peer = peer;
  }
  down = peers_[best.peer].failures > 0;
  best.connection = take_idle(best.peer);
  return best;
}

// With the lock held.
std::shared_ptr<BlockingConnection> ConnectionPool::take_idle(std::size_t peer) {
  auto& idle = peers_[peer].idle;
  if (idle.empty()) return nullptr;
  auto connection = std::move(idle.back());
  idle.pop_back();
  --idle_count_;
  return connection;
}

void ConnectionPool::give_back(Lease lease) {
  std::shared_ptr<BlockingConnection> surplus;  // closed without the lock
  const std::lock_guard lock(mutex_);
  if (closed_ || lease->closing() || idle_count_ >= options_.max_idle) {
    surplus = std::move(lease.connection);
    return;
  }
  peers_[lease.peer].idle.push_back(std::move(lease.connection));
  ++idle_count_;
}

void ConnectionPool::note_connected(std::size_t peer, const std::shared_ptr<BlockingConnection>& connection) {
  const std::lock_guard lock(mutex_);
  check_open();
  peers_[peer].failures = 0;
  peers_[peer].down_until = {};
  std::erase_if(all_, [](const auto& one) { return one.expired(); });
  all_.push_back(connection);
}

void ConnectionPool::note_down(std::size_t peer) {
  const std::lock_guard lock(mutex_);
  peers_[peer].down_until = Clock::now() + retry_pause(options_, ++peers_[peer].failures, random_share());
}

bool ConnectionPool::try_again(const std::system_error& error, const BlockingConnection& connection, Attempts& attempts,
                               bool idempotent) const {
  if (error.code() == std::errc::timed_out) return false;
  const auto now = Clock::now();
  const auto pause = pause_before_retry(options_, attempts, !connection.sent_nothing(), idempotent, now,
                                        attempts.deadline, random_share());
  if (pause) wait_until(now + *pause);
  return pause.has_value();
}

void ConnectionPool::wait_until(BlockingConnection::Deadline until) const {
  for (auto now = Clock::now(); now < until; now = Clock::now()) {
    const auto left = std::min(std::chrono::ceil<milliseconds>(until - now), check_interval);
    ::poll(nullptr, 0, static_cast<int>(left.count()));
    if (options_.check) options_.check();
  }
}

void ConnectionPool::close() {
  std::vector<std::shared_ptr<BlockingConnection>> gone;
  const std::lock_guard lock(mutex_);
  closed_ = true;
  for (Peer& peer : peers_) {
    std::move(peer.idle.begin(), peer.idle.end(), std::back_inserter(gone));
    peer.idle.clear();
  }
  idle_count_ = 0;
}

void ConnectionPool::check_open() const {
  if (closed_) throw std::logic_error("the client is closed");
}

// In a child of fork(), with the lock held: what another thread was about to do is not known.
void ConnectionPool::abandon() {
  for (const auto& one : all_) {
    if (const auto connection = one.lock()) connection->abandon();
  }
  all_.clear();
}

}  // namespace framecall
