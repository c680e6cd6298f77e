// What one thread of the server owns, and all its connections share.
#pragma once

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framecall/server_options.hpp"
#include "framecall/wire/header.hpp"
#include "net/task.hpp"
#include "server/command_runner.hpp"
#include "server/fair_queue.hpp"
#include "server/login_queue.hpp"
#include "server/loop_handover.hpp"
#include "server/memory_budget.hpp"
#include "server/worker_threads.hpp"

namespace framecall {

class Connection;
class EventLoop;

/// A place in a TimerList; leaves it when it dies.
class TimerHook {
 public:
  explicit TimerHook(Connection* owner = nullptr) : owner_(owner) {}
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
  friend class TimerList;
  TimerHook *previous_ = nullptr, *next_ = nullptr;
  std::int64_t due_ = 0, since_ = 0;
  Connection* owner_;
};

/// Deadlines that all lie the same time ahead: appending keeps them in order, so setting one is O(1) and costs no
/// system call.
class TimerList {
 public:
  static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

  TimerList() { root_.previous_ = root_.next_ = &root_; }
  ~TimerList() { root_.next_ = nullptr; }

  void set_duration(std::chrono::milliseconds duration) { duration_ = duration.count(); }
  /// (Re)starts the hook's time.
  void touch(TimerHook& hook, std::int64_t now) {
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
  Connection* first() const { return root_.next_->owner_; }
  std::vector<Connection*> owners() const { return oldest(SIZE_MAX); }
  /// At most `count` of them, those that were touched first in front.
  std::vector<Connection*> oldest(std::size_t count) const {
    std::vector<Connection*> all;
    for (const TimerHook* hook = root_.next_; hook != &root_ && all.size() < count; hook = hook->next_) {
      all.push_back(hook->owner_);
    }
    return all;
  }

 private:
  TimerHook root_;
  std::int64_t duration_ = 0;
};

/// What `rpc.health` answers.
std::string health_text(bool draining);

/// When calls are late, and whose: rare enough for a tree.
using Deadlines = std::multimap<std::int64_t, std::pair<Connection*, std::string>>;

/// Streams under way, of one kind. Thread-safe.
class StreamPlaces : public std::enable_shared_from_this<StreamPlaces> {
 public:
  /// `name`: of the limit, for errors. `share`: how many of them one address may have.
  StreamPlaces(const char* name, std::size_t most, std::size_t share) : name_(name), most_(most), share_(share) {}
  /// Until the last pointer is gone. Throws CallError(resource_exhausted).
  std::shared_ptr<void> take(std::string_view address);
  std::size_t share() const { return share_; }
  const char* name() const { return name_; }

 private:
  void give_back(const std::string& address);

  const char* const name_;
  const std::size_t most_, share_;
  std::mutex mutex_;
  std::size_t count_ = 0;
  std::map<std::string, std::size_t, std::less<>> by_address_;
};

/// What all threads of a server share.
struct ServerState {
  explicit ServerState(ServerOptions given);
  void log(LogLevel level, std::string_view line);
  /// Logs an exception that ended nothing.
  void report(const char* where, const char* what) noexcept;
  /// Starts the threads that these options need.
  void start_threads();
  /// What a connection has in the queues starts only while it is not held, and is destroyed when it is dropped.
  void hold_work(std::uint64_t connection, bool held);
  void drop_work(std::uint64_t connection);
  /// How many of `count` one connection, or one address, may use.
  std::size_t share_of(std::size_t count) const;
  /// What `rpc.stats` answers.
  std::string stats() const;  ///< JSON text

  ServerOptions options;
  std::atomic<std::size_t> connection_count{0};
  std::atomic<std::uint64_t> next_connection{0};
  std::atomic<std::uint64_t> connections{0}, calls{0}, failed_calls{0}, uploads{0};  // since the start
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
  std::shared_ptr<MemoryBudget> memory;
  std::shared_ptr<StreamPlaces> streams, streams_on_threads;
  // Threads that may wait, so that no event loop does: for the disk and slow sums; in handlers; in handlers that stream, each
  // of which has a thread as long as it lasts.
  std::optional<WorkerThreads> workers, pool, stream_threads;
  std::unique_ptr<LoginQueue> logins;       // in a dialect that has some
  std::unique_ptr<CommandRunner> commands;  // with a table of them
  FairQueue batch_calls;                    // for those who have the lock of the Batch
  std::mutex log_mutex;
};

/// One of the open connections of a server, counted from accept() to the end of the Connection.
class ConnectionPlace {
 public:
  explicit ConnectionPlace(ServerState& state) : state_(&state), number_(++state.connection_count) {}
  ConnectionPlace(ConnectionPlace&& other) noexcept
      : state_(std::exchange(other.state_, nullptr)), number_(other.number_) {}
  ConnectionPlace& operator=(ConnectionPlace&&) = delete;
  ~ConnectionPlace() { release(); }
  /// How many there were with this one, when it came.
  std::size_t number() const { return number_; }
  void release() {
    if (ServerState* const state = std::exchange(state_, nullptr)) --state->connection_count;
  }

 private:
  ServerState* state_;
  std::size_t number_;
};

/// The way to a loop for those who may outlive it: answers that are given when the server is gone, go nowhere.
class LoopAddress : public std::enable_shared_from_this<LoopAddress> {
 public:
  explicit LoopAddress(EventLoop& loop) : loop_(&loop) {}
  /// Runs it on the loop's thread, later, together with what else was posted until then; dropped if the loop is gone. Never
  /// fails: while there is no memory for it, it waits for some, as somebody waits for the answer.
  void post(Work work) noexcept;
  void retire();
  /// For the loop's thread: runs what was posted.
  void run();
  /// What is posted waits for run(), until then or until release().
  void collect();
  void release();

 private:
  void wake();
  template <class Function>
  static void insist(Function function);

  std::mutex mutex_;
  EventLoop* loop_;
  std::vector<Work> posted_;
  bool collecting_ = false;
};

/// One thread's loop. Its memory is shared by its connections, one turn at a time; an idle connection owns none.
class EventLoop {
 public:
  static constexpr std::size_t input_size = 64 * 1024;
  static constexpr std::size_t file_block_size = 1024 * 1024;
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
  void gather(std::vector<Work>& turns);
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
  /// For the next part of a body on its way to a file.
  char* file_block();

  ServerState& state;
  // The lists outlive the io_context: its destructor drops connections, which unlink themselves.
  TimerList idle;     ///< every connection, by its last progress
  TimerList heads;    ///< those with an unfinished head, by its first byte
  TimerList leaving;  ///< those that were told the last word
  TimerList quiet;    ///< those that may have said something whole: a raw text has no end
  TimerList bodies;   ///< those that receive the body of a call
  Deadlines deadlines;
  std::int64_t now = 0;
  bool draining = false;
  std::int64_t streams_end = TimerList::never;  ///< of a draining server
  std::function<void()> on_finished;
  Header header;
  std::string text;  ///< for the header of a reply
  std::unique_ptr<char[]> input = std::make_unique_for_overwrite<char[]>(input_size);
  asio::io_context io;
  std::shared_ptr<LoopAddress> address = std::make_shared<LoopAddress>(*this);

 private:
  void run_handlers();
  void on_timer();
  void begin_batch();
  void run_batch();
  void run_batch_calls();
  void drain_connections();
  void finish();

  std::unique_ptr<char[]> file_block_;
  std::vector<std::shared_ptr<Connection>> touched_;
  std::vector<std::function<void()>> wait_again_;
  bool gathering_ = false;
  Lead lead_;
  bool batch_due_ = false;
  std::size_t yielding_ = 0;
  std::int64_t turn_began_ = 0;  // in nanoseconds; 0: nobody has looked at the clock since
  std::size_t connections_ = 0;
  std::int64_t timer_due_ = TimerList::never, next_drain_ = TimerList::never;
  asio::steady_timer timer_{io};
  asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(io);
};

}  // namespace framecall
