// Work for the thread of an event loop, from any thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "net/task.hpp"

namespace framecall {

/// The way to a loop for those who may outlive it: answers that are given when the server is gone, go nowhere.
class LoopMailbox : public std::enable_shared_from_this<LoopMailbox> {
 public:
  /// `wake` is called from any thread when there is something to run, and has run() called on the loop's thread, where
  /// `deliver` gets what was posted.
  LoopMailbox(std::function<void()> wake, std::function<void(std::vector<Task>&)> deliver)
      : wake_(std::move(wake)), deliver_(std::move(deliver)) {}
  LoopMailbox(const LoopMailbox&) = delete;
  /// Runs it on the loop's thread, later, together with what else was posted until then; dropped if the loop is gone. Never
  /// fails: while there is no memory for it, it waits for some, as somebody waits for the answer.
  void post(Task work) noexcept;
  /// The loop is gone: what was posted is dropped, and so is what is posted from now on.
  void retire();
  /// For the loop's thread: runs what was posted.
  void run();
  /// What is posted waits for run(), until then or until release().
  void collect();
  void release();

 private:
  void wake();

  std::mutex mutex_;
  std::function<void()> wake_;
  std::function<void(std::vector<Task>&)> deliver_;
  bool retired_ = false;
  std::vector<Task> posted_;
  bool collecting_ = false;
};

}  // namespace framecall
