// Who runs an event loop whose own thread may have to wait for something else: one of several threads leads, and when it is
// away for longer than a millisecond another one leads on.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

namespace framecall {

/// All functions may be called from any thread, unless said otherwise. Handing over the lead orders the memory of both threads.
class LoopHandover {
 public:
  /// For a new thread: waits until it has to lead. False: the loop has ended.
  bool begin();
  /// For the leader: runs `work`, which may take its time. True: it leads on; it may have waited for that, while others led.
  /// False: the loop has ended.
  bool away(const std::function<void()>& work);
  /// Somebody waits who could take over.
  bool has_standby() const { return standing_by_ > 0; }
  /// Called by every new leader but the first, before it leads on.
  void on_takeover(std::function<void()> function) { on_takeover_ = std::move(function); }
  /// Called by every thread that begins to wait.
  void on_standby(std::function<void()> function) { on_standby_ = std::move(function); }

  /// The loop has ended: everybody who waits goes home.
  void end();
  /// For a thread that goes home.
  void leave();
  /// Until end(), and then at most `grace` until `count` threads have left. False: some are away for ever, and will not lead
  /// again.
  bool wait(std::size_t count, std::chrono::milliseconds grace);

 private:
  using Lock = std::unique_lock<std::mutex>;
  bool stand_by(Lock& lock);
  bool watch(Lock& lock);

  // Even: the leader is there. Odd: it is away. Who adds one to an odd number leads: the one who comes back, or another.
  std::atomic<std::uint64_t> state_{1};
  std::atomic<bool> watched_{false};
  std::atomic<std::size_t> standing_by_{0};
  std::mutex mutex_;
  std::condition_variable standby_, ended_changed_;
  std::function<void()> on_takeover_, on_standby_;
  std::size_t left_ = 0;
  bool first_ = true, ended_ = false;
};

}  // namespace framecall
