// The clocks that watch one peer.
#pragma once

#include <cstdint>
#include <string>

#include "net/timer_list.hpp"
#include "server/event_loop.hpp"
#include "server/sessions/session.hpp"

namespace framecall {

/// Places of one connection in the timer lists of its loop. For the loop's thread.
class ConnectionClocks {
 public:
  ConnectionClocks(EventLoop& loop, Connection& owner)
      : loop_(loop), idle_(&owner), head_(&owner), leaving_(&owner), quiet_(&owner), body_(&owner) {}

  /// Bytes came, or left.
  void note_progress() { loop_.idle.touch(idle_, loop_.now); }
  /// Milliseconds since then.
  std::int64_t silence() const { return loop_.now - idle_.since(); }
  /// The peer may send, and this is what its session waits for.
  void watch(const Session::Expects& expects);
  /// The peer cannot send now: its time does not run.
  void hold() {
    head_.unlink();
    body_.unlink();
  }
  /// A new message begins, or none will.
  void unwatch() {
    hold();
    quiet_.unlink();
  }
  /// Another moment of silence is to be noticed; or this one was.
  void await_silence() { loop_.quiet.touch(quiet_, loop_.now); }
  void end_silence() { quiet_.unlink(); }
  void begin_to_leave() {
    unwatch();
    loop_.leaving.touch(leaving_, loop_.now);
  }
  void close() {
    unwatch();
    idle_.unlink();
    leaving_.unlink();
  }

  /// After body_window: whether less of the body came than min_body_rate asks for. If not, the window begins anew.
  bool body_is_slow(const Session::Expects& expects);
  /// For the log.
  std::string slow_body(const Session::Expects& expects) const;

 private:
  std::uint64_t body_rate(const Session::Expects& expects) const;

  EventLoop& loop_;
  TimerHook<Connection> idle_, head_, leaving_, quiet_, body_;
  std::uint64_t body_mark_ = 0;  // place in the stream where the rate of a body is measured from
};

}  // namespace framecall
