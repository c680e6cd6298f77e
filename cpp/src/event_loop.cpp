#include "event_loop.hpp"

#include <asio/defer.hpp>
#include <asio/post.hpp>

#include <algorithm>
#include <ctime>
#include <utility>

#include "connection.hpp"
#include "framecall/error.hpp"

namespace framecall {
namespace {

constexpr std::size_t worker_threads = 4;
constexpr auto grace = std::chrono::milliseconds(500);  // at the end, for those who are away in a Batch

}  // namespace

void ServerState::log(LogLevel level, std::string_view line) {
  if (!options.log) return;
  const std::lock_guard lock(log_mutex);
  options.log(level, line);
}

void ServerState::start_threads() {
  const Dialect& dialect = options.dialect;
  if (options.files || !dialect.operation_keys.empty() || dialect.lines || dialect.login != Dialect::Login::none) {
    workers.emplace(worker_threads);
  }
  if (dialect.login != Dialect::Login::none) logins = std::make_unique<LoginQueue>(options.max_login_delay);
  if (options.commands) commands = std::make_unique<CommandRunner>(options.commands, options.max_commands);
  if (options.router->has_pool_methods()) pool.emplace(std::max<std::size_t>(options.pool_threads, 1));
  if (options.router->has_stream_methods()) stream_threads.emplace(std::max<std::size_t>(options.max_streams, 1));
}

std::shared_ptr<void> ServerState::take_stream_place() {
  const std::size_t count = ++streams;
  std::shared_ptr<void> place(nullptr, [this](void*) { --streams; });
  if (count > options.max_streams) {
    throw CallError(ErrorCode::resource_exhausted,
                    std::to_string(count) + " streams: max_streams is " + std::to_string(options.max_streams),
                    limit_data(options.max_streams, count));
  }
  return place;
}

Json ServerState::stats() const {
  const auto up = std::chrono::duration<double>(std::chrono::steady_clock::now() - started);
  return {{"uptime_seconds", up.count()},        {"connections_open", connection_count.load()},
          {"connections", connections.load()},   {"calls", calls.load()},
          {"failed_calls", failed_calls.load()}, {"uploads", uploads.load()}};
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
    if (state.options.batch->waiting()) asio::post(io, [this] { begin_batch(); });
  });
  idle.set_duration(state.options.idle_timeout);
  heads.set_duration(state.options.header_timeout);
  leaving.set_duration(state.options.refusal_timeout);
  quiet.set_duration(std::chrono::milliseconds(50));
}

EventLoop::~EventLoop() {
  address->retire();
  abandon();
}

void EventLoop::abandon() {
  for (Connection* connection : idle.owners()) connection->abandon();
}

void LoopAddress::post(Work work) {
  const std::lock_guard lock(mutex_);
  if (loop_ == nullptr) return;
  posted_.push_back(std::move(work));
  if (posted_.size() == 1 && !collecting_) wake();
}

void LoopAddress::wake() {
  asio::post(loop_->io, [self = shared_from_this()] { self->run(); });
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
  for (Work& turn : turns) turn();
  gathering_ = false;
  const auto touched = std::exchange(touched_, {});
  for (const auto& connection : touched) connection->end_turn();
  end_turn();
}

void EventLoop::run() {
  if (!state.options.batch) {
    io.run();
    return;
  }
  if (lead_.begin()) io.run();
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
  if (batch_due_ || !state.options.batch || !state.options.batch->waiting()) return;
  batch_due_ = true;
  asio::defer(io, [this] { run_batch(); });  // behind the other connections that have something now
}

// At the top of a turn: another thread may go on with the loop meanwhile.
void EventLoop::run_batch() {
  batch_due_ = false;
  if (!lead_.has_standby()) return;  // whoever comes back from a batch goes on with this one
  address->collect();
  if (lead_.away([this] { state.options.batch->run(); })) address->run();
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
  --state.connection_count;
  if (draining) finish();
}

void EventLoop::finish() {
  if (connections_ == 0 && on_finished) std::exchange(on_finished, nullptr)();
}

void EventLoop::refresh_clock() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &time);  // 5 ns; a step is 1 to 10 ms
  now = time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

// The timer is never moved when a connection makes progress: it wakes for a deadline that has moved on, looks, and
// sleeps again. So a busy connection costs no system call, and an idle one a wake-up per idle_timeout.
void EventLoop::arm_timer() {
  const std::int64_t late = deadlines.empty() ? TimerList::never : deadlines.begin()->first;
  const std::int64_t due =
      std::min({idle.first_due(), heads.first_due(), leaving.first_due(), quiet.first_due(), late, next_drain_});
  if (due >= timer_due_) return;
  timer_due_ = due;
  timer_.expires_after(std::chrono::milliseconds(std::max<std::int64_t>(due - now, 0) + 5));
  timer_.async_wait([this](asio::error_code error) {
    if (!error) on_timer();
  });
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
  while (idle.first_due() <= now) idle.first()->on_timeout(Connection::Timeout::idle);
  if (next_drain_ <= now) drain_connections();
  arm_timer();
}

char* EventLoop::file_block() {
  if (!file_block_) file_block_ = std::make_unique_for_overwrite<char[]>(file_block_size);
  return file_block_.get();
}

}  // namespace framecall
