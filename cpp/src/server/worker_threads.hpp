// Threads that may wait: for the disk, for a slow computation, in handlers.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "server/fair_queue.hpp"

namespace framecall {

/// Run what is posted, fairly between connections and addresses. Thread-safe.
class WorkerThreads {
 public:
  /// `share`: threads that one connection, or one address, may use. `report` gets the text of an exception that some work
  /// did not catch. Throws SystemError if the threads cannot be started.
  WorkerThreads(std::size_t threads, std::size_t share, std::function<void(const char*)> report);
  /// Runs what is still queued.
  ~WorkerThreads();
  WorkerThreads(const WorkerThreads&) = delete;

  void post(const WorkOrigin& origin, Task work, FairQueue::OnClose on_close = FairQueue::OnClose::drop);
  void hold(std::uint64_t connection, bool held);
  void drop(std::uint64_t connection);
  std::size_t share() const { return queue_.share(); }

 private:
  void run();
  void wake_all();
  void end();

  FairQueue queue_;
  const std::function<void(const char*)> report_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace framecall
