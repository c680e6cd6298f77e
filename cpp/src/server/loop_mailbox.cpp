#include "server/loop_mailbox.hpp"

#include <utility>

#include "server/insist.hpp"

namespace framecall {
void LoopMailbox::post(Task work) noexcept {
  const std::lock_guard lock(mutex_);
  if (retired_) return;
  insist([&] { posted_.push_back(std::move(work)); });  // moves only once there is room
  if (posted_.size() == 1 && !collecting_) wake();
}

void LoopMailbox::wake() { insist(wake_); }

void LoopMailbox::collect() {
  const std::lock_guard lock(mutex_);
  collecting_ = true;
}

void LoopMailbox::release() {
  const std::lock_guard lock(mutex_);
  collecting_ = false;
  if (!posted_.empty() && !retired_) wake();
}

void LoopMailbox::run() {
  std::vector<Task> posted;
  {
    const std::lock_guard lock(mutex_);
    collecting_ = false;
    posted.swap(posted_);
  }
  deliver_(posted);  // on the loop's own thread, which retires it
}

void LoopMailbox::retire() {
  std::vector<Task> dropped;  // outside of the lock: the last owner of a connection may be among them
  const std::lock_guard lock(mutex_);
  retired_ = true;
  dropped.swap(posted_);
}

}  // namespace framecall
