// The connections of a blocking client: one for each call under way, the others kept for later calls.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <vector>

#include "client/blocking_connection.hpp"
#include "framecall/client_options.hpp"
#include "framecall/detail/request_encoder.hpp"
#include "framecall/detail/retry.hpp"
#include "framecall/endpoint.hpp"

namespace framecall {

/// How a call is going: for its deadline, and for messages.
struct Attempts : Tries {
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  BlockingConnection::Deadline deadline;

  /// For RequestEncoder::encode(); the clock is read only if that matters.
  std::chrono::nanoseconds left(const RequestEncoder& call) const {
    return call.timed() ? deadline - std::chrono::steady_clock::now() : std::chrono::nanoseconds(0);
  }
  /// " (2 attempts in 0.134 s)"
  std::string text() const;
};

/// Thread-safe. After fork() the child has none of the connections.
class ConnectionPool {
 public:
  ConnectionPool(const std::vector<Endpoint>& endpoints, const ClientOptions& options);
  ~ConnectionPool();
  ConnectionPool(const ConnectionPool&) = delete;

  /// One that is in use; closed when it dies, unless it was given back. `peer` tells whose it is.
  struct Lease {
    std::shared_ptr<BlockingConnection> connection;
    std::size_t peer = 0;
    BlockingConnection* operator->() const { return connection.get(); }
  };
  /// An idle one, or a new one: of the next endpoint that is not known to be down. Throws SystemError when every
  /// attempt failed or the deadline passed, std::logic_error once closed.
  Lease take(Attempts& attempts);
  void give_back(Lease lease);
  /// The address, for messages.
  const std::string& shown(const Lease& lease) const { return peers_[lease.peer].shown; }
  /// After `error` on a connection with a call under way: whether it is sent again; see pause_before_retry(). Waits before that.
  bool try_again(const std::system_error& error, const BlockingConnection& connection, Attempts& attempts,
                 bool idempotent) const;
  /// Closes the idle ones and every one that is given back.
  void close();

 private:
  using Clock = std::chrono::steady_clock;
  struct Peer {
    Endpoint endpoint;
    std::string shown;
    std::vector<std::shared_ptr<BlockingConnection>> idle;
    unsigned failures = 0;
    Clock::time_point down_until{};
  };
  friend class Pools;

  Lease choose(Clock::time_point now, bool& down);
  std::shared_ptr<BlockingConnection> take_idle(std::size_t peer);
  void note_connected(std::size_t peer, const std::shared_ptr<BlockingConnection>& connection);
  void note_down(std::size_t peer);
  void wait_until(BlockingConnection::Deadline until) const;
  void check_open() const;
  void abandon();

  const ClientOptions& options_;
  std::mutex mutex_;
  std::vector<Peer> peers_;
  std::vector<std::weak_ptr<BlockingConnection>> all_;  // what a child has to close
  std::size_t next_ = 0, idle_count_ = 0;
  bool closed_ = false;
};

}  // namespace framecall
