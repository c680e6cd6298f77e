#include "server/login_queue.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "server/insist.hpp"

namespace framecall {

LoginQueue::LoginQueue(std::chrono::milliseconds max_delay) : max_delay_(max_delay) {
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

LoginQueue::~LoginQueue() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void LoginQueue::submit(const std::string& address, std::weak_ptr<void> wanted, std::function<bool()> check,
                        std::function<void(bool)> done) {
  {
    const std::lock_guard lock(mutex_);
    addresses_[address].waiting.push_back({std::move(wanted), std::move(check), std::move(done)});
    make_room();
  }
  changed_.notify_one();
}

std::size_t LoginQueue::addresses() const {
  const std::lock_guard lock(mutex_);
  return addresses_.size();
}

void LoginQueue::run() {
  std::unique_lock lock(mutex_);
  while (!ended_) {
    if (take(lock)) continue;
    if (delayed_.empty()) {
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, Clock::time_point(delayed_.begin()->first));
    }
  }
}

// False: there is nothing to do now.
bool LoginQueue::take(std::unique_lock<std::mutex>& lock) {
  if (!delayed_.empty() && delayed_.begin()->first <= Clock::now()) {
    const auto done = std::move(delayed_.begin()->second);
    delayed_.erase(delayed_.begin());
    lock.unlock();
    insist([&] { done(false); });
    lock.lock();
    return true;
  }
  auto next = addresses_.end();
  for (auto address = addresses_.begin(); address != addresses_.end(); ++address) {
    if (address->second.waiting.empty()) continue;
    if (next == addresses_.end() || address->second.failures < next->second.failures) next = address;
  }
  if (next == addresses_.end()) return false;
  check(lock, next);
  return true;
}

void LoginQueue::check(std::unique_lock<std::mutex>& lock, Addresses::iterator from) {
  const std::string address = from->first;
  const Login login = std::move(from->second.waiting.back());
  from->second.waiting.pop_back();
  if (from->second.waiting.empty() && from->second.failures == 0) addresses_.erase(from);
  if (login.wanted.expired()) return;
  lock.unlock();
  bool good = false;
  try {
    good = login.check();
  } catch (const std::exception&) {  // a password that cannot be checked lets nobody in
  }
  if (good) insist([&] { login.done(true); });
  lock.lock();
  if (good) return;
  std::chrono::milliseconds delay(0);
  insist([&] { delay = note_failure(address); });
  insist([&] { delayed_.emplace(Clock::now() + delay, login.done); });
  changed_.notify_one();
}

std::chrono::milliseconds LoginQueue::note_failure(const std::string& address) {
  Address& from = addresses_[address];
  const auto now = Clock::now();
  if (now - from.last_failure > memory) from.failures = 0;
  ++from.failures;
  from.last_failure = now;
  make_room();
  if (from.failures <= free_failures) return std::chrono::milliseconds(0);
  const std::size_t doublings = std::min<std::size_t>(from.failures - free_failures - 1, 20);
  return std::min(first_delay * (1 << doublings), max_delay_);
}

// Of those with nobody waiting, the one whose last failure is the longest ago.
void LoginQueue::make_room() {
  if (addresses_.size() <= max_addresses) return;
  auto oldest = addresses_.end();
  for (auto address = addresses_.begin(); address != addresses_.end(); ++address) {
    if (!address->second.waiting.empty()) continue;
    if (oldest == addresses_.end() || address->second.last_failure < oldest->second.last_failure) oldest = address;
  }
  if (oldest != addresses_.end()) addresses_.erase(oldest);
}

}  // namespace framecall
