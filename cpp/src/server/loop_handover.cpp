#include "server/loop_handover.hpp"

#include <thread>
#include <utility>

namespace framecall {
namespace {

constexpr auto patience = std::chrono::milliseconds(1);
constexpr int quiet_looks = 50;  // at a leader that is there; then nobody looks until it goes away again

}  // namespace

bool LoopHandover::begin() {
  Lock lock(mutex_);
  if (first_) {
    first_ = false;
    state_ = 0;
    return !ended_;
  }
  return stand_by(lock);
}

bool LoopHandover::away(const std::function<void()>& work) {
  const std::uint64_t mine = state_ + 1;
  state_ = mine;
  if (!watched_) {
    const Lock lock(mutex_);
    standby_.notify_one();
  }
  work();
  std::uint64_t expected = mine;
  if (state_.compare_exchange_strong(expected, mine + 1)) return true;
  Lock lock(mutex_);
  return stand_by(lock);
}

// Until this thread leads.
bool LoopHandover::stand_by(Lock& lock) {
  ++standing_by_;
  lock.unlock();
  if (on_standby_) on_standby_();
  lock.lock();
  bool leads = false;
  while (!leads && !ended_) {
    if (watched_ || state_ % 2 == 0) standby_.wait(lock);
    if (!watched_ && !ended_) leads = watch(lock);
  }
  --standing_by_;
  if (!leads) return false;
  standby_.notify_one();  // the next one to watch
  lock.unlock();
  if (on_takeover_) on_takeover_();
  return true;
}

// True: the leader did not come back, and this thread leads now.
bool LoopHandover::watch(Lock& lock) {
  watched_ = true;
  std::uint64_t seen = state_;
  for (int quiet = 0; quiet < quiet_looks && !ended_;) {
    lock.unlock();
    std::this_thread::sleep_for(patience);
    lock.lock();
    std::uint64_t now = state_;
    if (now % 2 == 1 && now == seen && state_.compare_exchange_strong(now, now + 1)) {
      watched_ = false;
      return true;
    }
    quiet = now % 2 == 0 && now == seen ? quiet + 1 : 0;
    seen = now;
  }
  watched_ = false;
  // One that went away in between saw that somebody watches.
  return false;
}

void LoopHandover::end() {
  const Lock lock(mutex_);
  ended_ = true;
  standby_.notify_all();
  ended_changed_.notify_all();
}

void LoopHandover::leave() {
  const Lock lock(mutex_);
  ++left_;
  ended_changed_.notify_all();
}

bool LoopHandover::wait(std::size_t count, std::chrono::milliseconds grace) {
  Lock lock(mutex_);
  ended_changed_.wait(lock, [this] { return ended_; });
  if (ended_changed_.wait_for(lock, grace, [&] { return left_ >= count; })) return true;
  std::uint64_t state = state_;
  if (state % 2 == 1)
    state_.compare_exchange_strong(state, state + 1);  // should the leader come back, it leads no more
  return false;
}

}  // namespace framecall
