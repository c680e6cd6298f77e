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

// With a Batch several threads run the loop, one after the other.
EventLoop::EventLoop(ServerState& shared)
    : LoopResources(shared,
                    std::make_shared<LoopMailbox>([this] { asio::post(io, [mailbox = mailbox] { mailbox->run(); }); },
                                                  [this](std::vector<Task>& turns) { gather(turns); })),
      io(shared.options.batch ? 2 : 1) {
  lead_.on_takeover([this] {
    mailbox->release();
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
  mailbox->retire();
  abandon();
}

void EventLoop::abandon() {
  for (Connection* connection : idle.owners()) connection->close();
}

void EventLoop::gather(std::vector<Task>& turns) {
  gathering_ = true;
  for (Task& turn : turns) guarded([&] { turn(); });
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
      end_turn();  // the last one may have failed at this
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

// At the top of a turn: another thread may continue the loop meanwhile.
void EventLoop::run_batch() {
  batch_due_ = false;
  if (!lead_.has_standby()) return;  // the next thread that returns from a batch runs this one
  mailbox->collect();
  if (lead_.away([this] { run_batch_calls(); })) mailbox->run();
}

// One by one: another thread continues with the rest when one takes its time.
void EventLoop::run_batch_calls() {
  Batch& batch = *state.options.batch;
  batch.enter();
  while (std::optional<FairQueue::Taken> call = state.batch_calls.take()) {
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
  const std::int64_t late = deadlines.empty() ? never : deadlines.begin()->first;
  const std::int64_t due = std::min({idle.first_due(), heads.first_due(), leaving.first_due(), quiet.first_due(),
                                     bodies.first_due(), late, next_drain_});
  if (due >= timer_due_) return;
  timer_due_ = never;  // until the wait has begun: there may be no memory for it
  timer_.expires_after(std::chrono::milliseconds(std::max<std::int64_t>(due - now, 0) + 5));
  timer_.async_wait([this](asio::error_code error) {
    if (!error) on_timer();
  });
  timer_due_ = due;
}

void EventLoop::on_timer() {
  refresh_clock();
  timer_due_ = never;
  while (heads.first_due() <= now) heads.first()->on_timeout(Connection::Timeout::head);
  while (leaving.first_due() <= now) leaving.first()->on_timeout(Connection::Timeout::leaving);
  while (!deadlines.empty() && deadlines.begin()->first <= now) {
    const auto [port, id] = deadlines.begin()->second;
    port->on_deadline(id);
  }
  while (quiet.first_due() <= now) quiet.first()->on_timeout(Connection::Timeout::quiet);
  while (bodies.first_due() <= now) bodies.first()->on_timeout(Connection::Timeout::body);
  while (idle.first_due() <= now) idle.first()->on_timeout(Connection::Timeout::idle);
  if (next_drain_ <= now) drain_connections();
  arm_timer();
}

}  // namespace framecall
