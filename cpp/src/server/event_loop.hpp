// What one thread of the server owns, and all its connections share.
#pragma once

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "net/task.hpp"
#include "net/timer_list.hpp"
#include "server/loop_handover.hpp"
#include "server/loop_resources.hpp"

namespace framecall {

class Connection;

/// One thread's loop. Its memory is shared by its connections, one turn at a time; an idle connection owns none.
class EventLoop : public LoopResources {
 public:
  /// Milliseconds that a draining server waits for the next call of a peer that had an answer.
  static constexpr std::int64_t drain_linger = 250;
  /// Milliseconds that a draining server leaves to calls that stream, which may be endless.
  static constexpr std::int64_t stream_grace = 1000;

  explicit EventLoop(ServerState& state);
  /// Closes what is still open.
  ~EventLoop();

  /// For each of its threads, see thread_count(): until the end.
  void run();
  std::size_t thread_count() const;
  /// The end, whoever is away in a Batch.
  void stop();
  /// After stop(): false if a thread does not come back from a Batch.
  bool wait();
  /// No more connections will come, and those that are there end at the next place between two messages. Calls
  /// `on_finished` after the last one.
  void drain();
  /// Closes all connections and so cancels every call, when the thread has ended.
  void abandon();
  void connection_opened() { ++connections_; }
  void connection_closed();
  /// Called by run() when it starts, and again after an exception that nothing else has caught: it waits for events that
  /// are waited for no more. Before run().
  void on_recovery(std::function<void()> wait_again) { wait_again_.push_back(std::move(wait_again)); }

  /// Reads the clock, once per turn: milliseconds of no particular origin.
  void refresh_clock();
  /// Makes sure that the timer wakes up in time for the first deadline.
  void arm_timer();
  /// The same, and starts the batch if there are calls for it: the end of every turn.
  void end_turn();
  /// This turn has lasted long enough: the other connections wait. Reads the clock.
  bool turn_is_over();
  /// A connection ends its turn before it is done, and will get another one behind those of others.
  void yield(std::shared_ptr<Connection> connection);
  /// Closes the connection that has been silent for the longest time, if one has been silent for long. True: it did.
  bool make_place();
  /// Many turns of connections in one: each of them sends once, at the end. In between, touched() notes whom it concerns.
  void gather(std::vector<Task>& turns);
  bool gathering() const { return gathering_; }
  void touched(std::shared_ptr<Connection> connection) { touched_.push_back(std::move(connection)); }
  /// Runs it; what it throws is logged.
  void guarded(const std::function<void()>& work);
  /// Runs it; `report` gets the text of what it throws, and may fail, too.
  template <class Function, class Report>
  static void guarded(const Function& work, const Report& report) {
    try {
      try {
        work();
      } catch (const std::exception& error) {
        report(error.what());
      }
    } catch (const std::exception&) {
      // There is no memory for the report, either.
    }
  }

  // The lists outlive the io_context: its destructor drops connections, which unlink themselves.
  TimerList<Connection> idle;        ///< every connection, by its last progress
  TimerList<Connection> heads;       ///< those with an unfinished head, by its first byte
  TimerList<Connection> leaving;     ///< those whose last answer is being sent
  TimerList<Connection> quiet;       ///< those that may have said something whole: a raw text has no end
  TimerList<Connection> bodies;      ///< those that receive the body of a call
  std::int64_t streams_end = never;  ///< of a draining server
  std::function<void()> on_finished;
  asio::io_context io;

 private:
  void run_handlers();
  void on_timer();
  void begin_batch();
  void run_batch();
  void run_batch_calls();
  void drain_connections();
  void finish();

  std::vector<std::shared_ptr<Connection>> touched_;
  std::vector<std::function<void()>> wait_again_;
  bool gathering_ = false;
  LoopHandover lead_;
  bool batch_due_ = false;
  std::size_t yielding_ = 0;
  std::int64_t turn_began_ = 0;  // in nanoseconds; 0: nobody has looked at the clock since
  std::size_t connections_ = 0;
  std::int64_t timer_due_ = never, next_drain_ = never;
  asio::steady_timer timer_{io};
  asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(io);
};

}  // namespace framecall
