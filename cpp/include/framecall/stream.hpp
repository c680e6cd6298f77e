// The parts of one streamed call, as its handler reads and writes them (PROTOCOL.md, section 4).
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "framecall/call.hpp"

namespace framecall {

/// Reads the caller's parts behind the request itself, writes parts of the reply; the handler's Response is the last
/// frame. Both directions are held back when the other side is slow: about max_unread bytes are kept for a handler that
/// does not read, and as many for a caller that does not; less where a connection has many streams.
///
/// read() and write() block, for handlers with a thread of their own; try_read() and try_write() are for those with an
/// event loop. From any thread; at most one reads and one writes at a time. When the call is cancelled, late or lost, all
/// of them throw CallError.
class Stream {
 public:
  static constexpr std::size_t max_unread = Part::max_unread;

  /// Whether the caller takes parts; if not, the answer has to be the Response alone and writing is refused with -32600.
  bool accepts_parts() const { return accepts_parts_; }

  /// The next part; false: the caller has sent its last one. A last frame with the item null and no body is no part.
  bool read(Part& part);
  /// Sends a part; waits while the caller is slow to take earlier ones.
  void write(Part part);

  enum class Attempt : std::uint8_t { done, end, later };
  /// `later`: nothing is there; `ready` is called once, from any thread, when it is worth another attempt. `ready` must
  /// not call the stream: it wakes somebody up.
  Attempt try_read(Part& part, std::function<void()> ready);
  /// `later`: `part` is untouched.
  Attempt try_write(Part& part, std::function<void()> ready);
  /// Whether there is room for another part, so that it is worth making it; false: not yet, `ready` is called as by try_write().
  bool wants_more(std::function<void()> ready);

  // For the server.
  /// What it throws, write() and try_write() throw.
  using Send = std::function<void(Part part)>;
  /// `most`: bytes that are kept in each direction, about.
  Stream(bool accepts_parts, std::size_t most, Send send, std::function<void()> resume)
      : accepts_parts_(accepts_parts), most_(most), send_(std::move(send)), resume_(std::move(resume)) {}
  Stream(const Stream&) = delete;
  /// A part has come. False: that is enough, deliver no more until `resume`, which was given to the constructor.
  bool deliver(Part part);
  /// No more will come.
  void end();
  /// Parts of this weight together have left.
  void release(std::size_t weight);
  /// The call is over: what is said from now on is for nobody.
  void fail(const CallError& error);

 private:
  using Lock = std::unique_lock<std::mutex>;
  bool take(Part& part, Lock& lock);
  void put(Part part, Lock& lock);
  bool may_read() const { return !parts_.empty() || ended_ || failure_; }
  bool may_write() const { return unsent_ < most_ || failure_; }
  void notify(std::function<void()>& waiting);

  const bool accepts_parts_;
  const std::size_t most_;
  const Send send_;
  const std::function<void()> resume_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Part> parts_;
  std::size_t unread_ = 0, unsent_ = 0;
  bool ended_ = false, held_ = false;
  std::optional<CallError> failure_;
  std::function<void()> reader_, writer_;
};

}  // namespace framecall
