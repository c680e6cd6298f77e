// Passwords are checked slowly on purpose: here, beside everything else that a server does.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace framecall {

/// Checks two logins at a time. The next one is that of the address with the fewest failures, and of several from there the
/// newest: whoever guesses on many connections waits behind a user who logs in once. The answer to a failed login comes the
/// later, the more of them its address has behind it. All functions may be called from any thread.
class LoginQueue {
 public:
  static constexpr std::size_t threads = 2;
  static constexpr std::size_t free_failures = 3;                      ///< of an address, without a delay
  static constexpr auto first_delay = std::chrono::milliseconds(100);  ///< and doubled with each failure
  static constexpr auto memory = std::chrono::minutes(10);  ///< without a failure, until an address is forgotten
  static constexpr std::size_t max_addresses = 4096;        ///< that are remembered

  explicit LoginQueue(std::chrono::milliseconds max_delay);
  /// Drops what waits.
  ~LoginQueue();
  LoginQueue(const LoginQueue&) = delete;

  /// `check` runs on a thread of the queue, and then, perhaps later, `done` with its result: unless `wanted` has gone before.
  void submit(const std::string& address, std::weak_ptr<void> wanted, std::function<bool()> check,
              std::function<void(bool)> done);
  /// How many addresses are known.
  std::size_t addresses() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Login {
    std::weak_ptr<void> wanted;
    std::function<bool()> check;
    std::function<void(bool)> done;
  };
  struct Address {
    std::size_t failures = 0;
    Clock::time_point last_failure;
    std::vector<Login> waiting;
  };
  using Addresses = std::map<std::string, Address>;

  void run();
  bool take(std::unique_lock<std::mutex>& lock);
  void check(std::unique_lock<std::mutex>& lock, Addresses::iterator from);
  std::chrono::milliseconds note_failure(const std::string& address);
  void make_room();

  const std::chrono::milliseconds max_delay_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Addresses addresses_;
  std::multimap<Clock::time_point, std::function<void(bool)>> delayed_;  // answers to failures, by when they are due
  bool ended_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace framecall
