// Timers that cost no system call: lists of deadlines that all lie the same time ahead.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace framecall {

/// The time of what is never due.
inline constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

/// A place in a TimerList; leaves it when it dies.
template <class Owner>
class TimerHook {
 public:
  explicit TimerHook(Owner* owner = nullptr) : owner_(owner) {}
  TimerHook(const TimerHook&) = delete;
  ~TimerHook() { unlink(); }

  bool linked() const { return next_ != nullptr; }
  /// The time of the last touch.
  std::int64_t since() const { return since_; }
  void unlink() {
    if (next_ == nullptr) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    next_ = previous_ = nullptr;
  }

 private:
  template <class>
  friend class TimerList;
  TimerHook *previous_ = nullptr, *next_ = nullptr;
  std::int64_t due_ = 0, since_ = 0;
  Owner* owner_;
};

/// Deadlines that all lie the same time ahead: appending keeps them in order, so setting one is O(1) and costs no
/// system call.
template <class Owner>
class TimerList {
 public:
  using Hook = TimerHook<Owner>;
  TimerList() { root_.previous_ = root_.next_ = &root_; }
  ~TimerList() {
    while (!empty()) root_.next_->unlink();
  }

  void set_duration(std::chrono::milliseconds duration) { duration_ = duration.count(); }
  /// (Re)starts the hook's time.
  void touch(Hook& hook, std::int64_t now) {
    hook.unlink();
    hook.since_ = now;
    hook.due_ = duration_ > 0 ? now + duration_ : never;
    hook.previous_ = root_.previous_;
    hook.next_ = &root_;
    root_.previous_->next_ = &hook;
    root_.previous_ = &hook;
  }
  bool empty() const { return root_.next_ == &root_; }
  std::int64_t first_due() const { return empty() ? never : root_.next_->due_; }
  Owner* first() const { return root_.next_->owner_; }
  std::vector<Owner*> owners() const { return oldest(SIZE_MAX); }
  /// At most `count` of them, those that were touched first in front.
  std::vector<Owner*> oldest(std::size_t count) const {
    std::vector<Owner*> all;
    for (const Hook* hook = root_.next_; hook != &root_ && all.size() < count; hook = hook->next_) {
      all.push_back(hook->owner_);
    }
    return all;
  }

 private:
  Hook root_;
  std::int64_t duration_ = 0;
};

}  // namespace framecall
