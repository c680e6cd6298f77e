#include "server/worker_threads.hpp"

#include <exception>
#include <optional>
#include <utility>

namespace framecall {

WorkerThreads::WorkerThreads(std::size_t threads, std::size_t share, std::function<void(const char*)> report)
    : queue_(share), report_(std::move(report)) {
  try {
    threads_.reserve(threads);
    for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
  } catch (...) {
    end();
    throw;
  }
}

WorkerThreads::~WorkerThreads() { end(); }

void WorkerThreads::end() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkerThreads::post(const WorkOrigin& origin, Task work, FairQueue::OnClose on_close) {
  queue_.push(origin, std::move(work), on_close);
  // With the lock: a thread that has found nothing waits before it is notified.
  const std::lock_guard lock(mutex_);
  changed_.notify_one();
}

void WorkerThreads::hold(std::uint64_t connection, bool held) {
  queue_.hold(connection, held);
  if (!held) wake_all();
}

void WorkerThreads::drop(std::uint64_t connection) {
  queue_.drop(connection);
  wake_all();  // what was held, and is to run all the same, may run now
}

void WorkerThreads::wake_all() {
  if (!queue_.ready()) return;
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void WorkerThreads::run() {
  // Calls done() also where a thread is ended from outside: an interpreter does that to threads that ask for its lock.
  struct Done {
    ~Done() { queue.done(connection); }
    FairQueue& queue;
    std::uint64_t connection;
  };
  for (;;) {
    std::optional<FairQueue::Taken> task = queue_.take();
    if (!task) {
      std::unique_lock lock(mutex_);
      if (queue_.ready()) continue;
      if (ended_) return;
      changed_.wait(lock);
      continue;
    }
    const Done done{queue_, task->connection};
    try {
      Task work = std::move(task->work);  // dies here, before done(), with what it holds
      work();
    } catch (const std::exception& error) {
      report_(error.what());
    }
  }
}

}  // namespace framecall
