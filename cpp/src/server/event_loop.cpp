#include "server/event_loop.hpp"

#include <asio/defer.hpp>
#include <asio/post.hpp>

#include <algorithm>
#include <ctime>
#include <thread>
#include <utility>

#include "framecall/detail/json_text.hpp"
#include "framecall/error.hpp"
#include "server/connection.hpp"

namespace framecall {
namespace {

constexpr std::size_t worker_threads = 4;
constexpr auto grace = std::chrono::milliseconds(500);               // at the end, for those who are away in a Batch
constexpr std::size_t looked_at_for_place = 64;                      // connections, the most silent ones first
constexpr auto pause_after_failure = std::chrono::milliseconds(10);  // there is no memory: do not spin
// One turn, when nobody else has more to do, and when very many do.
constexpr std::int64_t longest_turn = 1'000'000, shortest_turn = 100'000;  // nanoseconds

std::int64_t precise_time() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

void ServerState::log(LogLevel level, std::string_view line) {
  if (!options.log) return;
  const std::lock_guard lock(log_mutex);
  options.log(level, line);
}

void ServerState::report(const char* where, const char* what) noexcept {
  try {
    log(LogLevel::error, std::string(where) + ": " + what);
  } catch (...) {
    // There is no memory for the line, either.
  }
}

ServerState::ServerState(ServerOptions given)
    : options(std::move(given)),
      memory(std::make_shared<MemoryBudget>(options.max_memory)),
      streams(std::make_shared<StreamPlaces>("max_streams", options.max_streams, share_of(options.max_streams))),
      streams_on_threads(
          std::make_shared<StreamPlaces>("stream_threads", options.stream_threads, share_of(options.stream_threads))),
      batch_calls(share_of(options.batch_threads * std::max(options.threads, 1u))) {}

std::size_t ServerState::share_of(std::size_t count) const {
  return std::max<std::size_t>(count * options.peer_share / 100, 1);
}

void ServerState::start_threads() {
  const Dialect& dialect = options.dialect;
  const auto start = [this](std::optional<WorkerThreads>& threads, std::size_t count) {
    count = std::max<std::size_t>(count, 1);
    threads.emplace(count, share_of(count), [this](const char* what) { report("worker thread", what); });
  };
  if (options.files || !dialect.operation_keys.empty() || dialect.lines || dialect.login != Dialect::Login::none) {
    start(workers, worker_threads);
  }
  if (options.router->has_pool_methods()) start(pool, options.pool_threads);
  if (options.router->has_stream_methods()) start(stream_threads, options.stream_threads);
  if (dialect.login != Dialect::Login::none) logins = std::make_unique<LoginQueue>(options.max_login_delay);
  if (options.commands) commands = std::make_unique<CommandRunner>(options.commands, options.max_commands);
}

void ServerState::hold_work(std::uint64_t connection, bool held) {
  for (auto* threads : {&workers, &pool, &stream_threads}) {
    if (*threads) (*threads)->hold(connection, held);
  }
  batch_calls.hold(connection, held);
}

void ServerState::drop_work(std::uint64_t connection) {
  for (auto* threads : {&workers, &pool, &stream_threads}) {
    if (*threads) (*threads)->drop(connection);
  }
  batch_calls.drop(connection);
}

std::shared_ptr<void> StreamPlaces::take(std::string_view address) {
  const auto refuse = [this](std::size_t got, std::size_t limit, const char* whose) {
    throw CallError(ErrorCode::resource_exhausted,
                    std::to_string(got) + " streams" + whose + ": " + name_ + " is " + std::to_string(most_),
                    limit_data(limit, got));
  };
  std::string owner(address);
  const std::lock_guard lock(mutex_);
  if (count_ >= most_) refuse(count_ + 1, most_, "");
  std::size_t& own = by_address_[owner];
  if (!owner.empty() && own >= share_) refuse(own + 1, share_, " of one address, which may have a share of them");
  std::shared_ptr<void> place(nullptr, [self = shared_from_this(), owner](void*) { self->give_back(owner); });
  ++count_;
  ++own;
  return place;
}

void StreamPlaces::give_back(const std::string& address) {
  const std::lock_guard lock(mutex_);
  --count_;
  const auto own = by_address_.find(address);
  if (--own->second == 0) by_address_.erase(own);
}

std::string ServerState::stats() const {
  const auto up = std::chrono::duration<double>(std::chrono::steady_clock::now() - started);
  std::string text = "{\"uptime_seconds\": ";
  write_double(text, up.count());
  const auto add = [&](std::string_view key, std::uint64_t value) {
    text.append(", \"").append(key).append("\": ");
    write_integer(text, value);
  };
  add("connections_open", connection_count.load());
  add("connections", connections.load());
  add("calls", calls.load());
  add("failed_calls", failed_calls.load());
  add("uploads", uploads.load());
  return text + "}";
}

std::string health_text(bool draining) {
  return draining ? R"({"status": "NOT_SERVING"})" : R"({"status": "SERVING"})";
}

// With a Batch several threads run the loop, one after the other.
EventLoop::EventLoop(ServerState& shared) : state(shared), io(shared.options.batch ? 2 : 1) {
  lead_.on_takeover([this] {
    address->release();
    asio::post(io, [this] { begin_batch(); });
  });
  lead_.on_standby([this] {
    // Left when nobody was there to take over: begin_batch() did not dare.
    if (state.batch_calls.ready()) asio::post(io, [this] { begin_batch(); });
  });
  idle.set_duration(state.options.idle_timeout);
  heads.set_duration(state.options.header_timeout);
  leaving.set_duration(state.options.refusal_timeout);
  quiet.set_duration(std::chrono::milliseconds(50));
  bodies.set_duration(state.options.min_body_rate > 0 ? state.options.body_window : std::chrono::milliseconds(0));
}

EventLoop::~EventLoop() {
  address->retire();
  abandon();
}

void EventLoop::abandon() {
  for (Connection* connection : idle.owners()) connection->abandon();
}

void LoopAddress::post(Work work) noexcept {
  const std::lock_guard lock(mutex_);
  if (loop_ == nullptr) return;
  insist([&] { posted_.push_back(std::move(work)); });  // moves only once there is room
  if (posted_.size() == 1 && !collecting_) wake();
}

void LoopAddress::wake() {
  insist([this] { asio::post(loop_->io, [self = shared_from_this()] { self->run(); }); });
}

template <class Function>
void LoopAddress::insist(Function function) {
  for (;;) {
    try {
      function();
      return;
    } catch (const std::bad_alloc&) {
      std::this_thread::sleep_for(pause_after_failure);
    }
  }
}

void LoopAddress::collect() {
  const std::lock_guard lock(mutex_);
  collecting_ = true;
}

void LoopAddress::release() {
  const std::lock_guard lock(mutex_);
  collecting_ = false;
  if (!posted_.empty() && loop_ != nullptr) wake();
}

void LoopAddress::run() {
  std::vector<Work> posted;
  {
    const std::lock_guard lock(mutex_);
    collecting_ = false;
    posted.swap(posted_);
  }
  loop_->gather(posted);  // on its own thread, which retires it
}

void LoopAddress::retire() {
  std::vector<Work> dropped;  // outside of the lock: the last owner of a connection may be among them
  const std::lock_guard lock(mutex_);
  loop_ = nullptr;
  dropped.swap(posted_);
}

void EventLoop::gather(std::vector<Work>& turns) {
  gathering_ = true;
  for (Work& turn : turns) guarded([&] { turn(); });
  gathering_ = false;
  const auto touched = std::exchange(touched_, {});
  for (const auto& connection : touched) connection->end_turn();
  end_turn();
}

void EventLoop::guarded(const std::function<void()>& work) {
  guarded(work, [this](const char* what) { state.report("event loop", what); });
}

// The last guard. Everything that a peer can cause is caught where the connection is known that has to close.
void EventLoop::run_handlers() {
  for (;;) {
    try {
      for (const auto& wait_again : wait_again_) wait_again();
      arm_timer();
      io.run();
      return;
    } catch (const std::exception& error) {
      state.report("event loop", error.what());
      std::this_thread::sleep_for(pause_after_failure);
    }
  }
}

void EventLoop::run() {
  if (!state.options.batch) {
    run_handlers();
    return;
  }
  if (lead_.begin()) run_handlers();
  lead_.end();
  lead_.leave();
}

std::size_t EventLoop::thread_count() const { return state.options.batch ? state.options.batch_threads + 1 : 1; }

void EventLoop::stop() {
  io.stop();
  if (state.options.batch) lead_.end();
}

bool EventLoop::wait() { return !state.options.batch || lead_.wait(thread_count(), grace); }

void EventLoop::end_turn() {
  arm_timer();
  begin_batch();
}

void EventLoop::begin_batch() {
  if (batch_due_ || !state.options.batch || !state.batch_calls.ready()) return;
  asio::defer(io, [this] { run_batch(); });  // behind the other connections that have something now
  batch_due_ = true;
}

// At the top of a turn: another thread may go on with the loop meanwhile.
void EventLoop::run_batch() {
  batch_due_ = false;
  if (!lead_.has_standby()) return;  // whoever comes back from a batch goes on with this one
  address->collect();
  if (lead_.away([this] { run_batch_calls(); })) address->run();
}

// One by one: another thread continues with the rest when one takes its time.
void EventLoop::run_batch_calls() {
  Batch& batch = *state.options.batch;
  batch.enter();
  while (std::optional<FairQueue::Task> call = state.batch_calls.take()) {
    guarded([&] { call->work(); });
    const std::uint64_t connection = call->connection;
    call.reset();
    state.batch_calls.done(connection);
  }
  batch.leave();
}

bool EventLoop::make_place() {
  for (Connection* connection : idle.oldest(looked_at_for_place)) {
    if (!connection->may_give_way()) continue;
    connection->give_way();
    return true;
  }
  return false;
}

bool EventLoop::turn_is_over() {
  const std::int64_t time = precise_time();
  if (turn_began_ == 0) {
    turn_began_ = time;
    return false;
  }
  const auto turns = static_cast<std::int64_t>(yielding_ + 1);
  return time - turn_began_ > std::max(longest_turn / turns, shortest_turn);
}

void EventLoop::yield(std::shared_ptr<Connection> connection) {
  asio::post(io, [this, connection = std::move(connection)] {
    --yielding_;
    refresh_clock();
    connection->resume();
    end_turn();
  });
  ++yielding_;
}

void EventLoop::drain() {
  draining = true;
  refresh_clock();
  streams_end = now + stream_grace;
  drain_connections();
  arm_timer();
  finish();
}

void EventLoop::drain_connections() {
  next_drain_ = now + drain_linger / 2;
  for (Connection* connection : idle.owners()) connection->drain();
}

void EventLoop::connection_closed() {
  --connections_;
  if (draining) finish();
}

void EventLoop::finish() {
  if (connections_ == 0 && on_finished) std::exchange(on_finished, nullptr)();
}

void EventLoop::refresh_clock() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &time);  // 5 ns; a step is 1 to 10 ms
  now = time.tv_sec * 1000 + time.tv_nsec / 1000000;
  turn_began_ = 0;
}

// The timer is never moved when a connection makes progress: it wakes for a deadline that has moved on, looks, and
// sleeps again. So a busy connection costs no system call, and an idle one a wake-up per idle_timeout.
void EventLoop::arm_timer() {
  const std::int64_t late = deadlines.empty() ? TimerList::never : deadlines.begin()->first;
  const std::int64_t due = std::min({idle.first_due(), heads.first_due(), leaving.first_due(), quiet.first_due(),
                                     bodies.first_due(), late, next_drain_});
  if (due >= timer_due_) return;
  timer_due_ = TimerList::never;  // until the wait has begun: there may be no memory for it
  timer_.expires_after(std::chrono::milliseconds(std::max<std::int64_t>(due - now, 0) + 5));
  timer_.async_wait([this](asio::error_code error) {
    if (!error) on_timer();
  });
  timer_due_ = due;
}

void EventLoop::on_timer() {
  refresh_clock();
  timer_due_ = TimerList::never;
  while (heads.first_due() <= now) heads.first()->on_timeout(Connection::Timeout::head);
  while (leaving.first_due() <= now) leaving.first()->on_timeout(Connection::Timeout::leaving);
  while (!deadlines.empty() && deadlines.begin()->first <= now) {
    const auto [connection, id] = deadlines.begin()->second;
    connection->on_deadline(id);
  }
  while (quiet.first_due() <= now) quiet.first()->on_timeout(Connection::Timeout::quiet);
  while (bodies.first_due() <= now) bodies.first()->on_timeout(Connection::Timeout::body);
  while (idle.first_due() <= now) idle.first()->on_timeout(Connection::Timeout::idle);
  if (next_drain_ <= now) drain_connections();
  arm_timer();
}

char* EventLoop::file_block() {
  if (!file_block_) file_block_ = std::make_unique_for_overwrite<char[]>(file_block_size);
  return file_block_.get();
}

}  // namespace framecall
