// What all threads of a server share.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "framecall/server_options.hpp"
#include "net/byte_stream.hpp"
#include "server/command_runner.hpp"
#include "server/fair_queue.hpp"
#include "server/login_queue.hpp"
#include "server/memory_budget.hpp"
#include "server/stream_places.hpp"
#include "server/worker_threads.hpp"

namespace framecall {

/// What all threads of a server share.
struct ServerState {
  explicit ServerState(ServerOptions given);
  void log(LogLevel level, std::string_view line);
  /// Logs an exception that ended nothing.
  void report(const char* where, const char* what) noexcept;
  /// Starts the threads that these options need.
  void start_threads();
  /// What a connection has in the queues starts only while it is not held, and is destroyed when it is dropped.
  void hold_work(std::uint64_t connection, bool held);
  void drop_work(std::uint64_t connection);
  /// How many of `count` one connection, or one address, may use.
  std::size_t share_of(std::size_t count) const;
  /// What `rpc.stats` answers.
  std::string stats() const;  ///< JSON text

  ServerOptions options;
  std::atomic<std::size_t> connection_count{0};
  std::atomic<std::uint64_t> next_connection{0};
  std::atomic<std::uint64_t> connections{0}, calls{0}, failed_calls{0}, uploads{0};  // since the start
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  ByteCounts bytes;  // of all connections, since the start
  std::shared_ptr<MemoryBudget> memory;
  std::shared_ptr<StreamPlaces> streams, streams_on_threads;
  std::mutex log_mutex;
  FairQueue batch_calls;  // for those who have the lock of the Batch
  // Threads end before what they use, so they are the last members. They may wait, so that no event loop does: for the disk and slow sums; in handlers; in handlers that stream, each
  // of which has a thread as long as it lasts.
  std::optional<WorkerThreads> workers, pool, stream_threads;
  std::unique_ptr<LoginQueue> logins;       // in a dialect that has some
  std::unique_ptr<CommandRunner> commands;  // with a table of them
};

/// One of the open connections of a server, counted from accept() to the end of the Connection.
class ConnectionPlace {
 public:
  explicit ConnectionPlace(ServerState& state) : state_(&state), number_(++state.connection_count) {}
  ConnectionPlace(ConnectionPlace&& other) noexcept
      : state_(std::exchange(other.state_, nullptr)), number_(other.number_) {}
  ConnectionPlace& operator=(ConnectionPlace&&) = delete;
  ~ConnectionPlace() { release(); }
  /// How many there were with this one, when it came.
  std::size_t number() const { return number_; }
  void release() {
    if (ServerState* const state = std::exchange(state_, nullptr)) --state->connection_count;
  }

 private:
  ServerState* state_;
  std::size_t number_;
};

}  // namespace framecall
