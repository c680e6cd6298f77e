#include "server/server_state.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <new>
#include <string>
#include <utility>

#include "framecall/wire/json.hpp"
#include "support/temporary_folder.hpp"

namespace framecall::server_state_test {
namespace {

ServerOptions plain() {
  ServerOptions options;
  options.router = std::make_shared<Router>();
  return options;
}

TEST(ServerState, a_share_is_a_percentage_and_one_at_least) {
  ServerOptions options = plain();
  options.peer_share = 30;
  const ServerState state(options);
  EXPECT_EQ(state.share_of(64), 19u);
  EXPECT_EQ(state.share_of(1), 1u);
  EXPECT_EQ(state.share_of(0), 1u);
  EXPECT_EQ(state.streams->share(), 300u);
  EXPECT_EQ(state.streams_on_threads->share(), 19u);
}

TEST(ServerState, only_threads_that_the_options_need_are_started) {
  ServerState state(plain());
  state.start_threads();
  EXPECT_FALSE(state.workers || state.pool || state.stream_threads || state.logins || state.commands);

  const TemporaryFolder folder;
  ServerOptions options;
  auto router = std::make_shared<Router>();
  router->on_pool("wait", [] { return 1; });
  options.router = router;
  options.files = std::make_shared<FileStore>(folder.path(), Durability::none);
  options.commands = std::make_shared<CommandTable>();
  options.pool_threads = 2;
  ServerState all(options);
  all.start_threads();
  EXPECT_TRUE(all.workers && all.pool && all.commands);
  EXPECT_FALSE(all.stream_threads || all.logins);

  ServerOptions with_login = plain();
  with_login.dialect.login = Dialect::Login::frame;
  ServerState logins(with_login);
  logins.start_threads();
  EXPECT_TRUE(logins.workers && logins.logins) << "a password is checked on a thread";
}

TEST(ServerState, a_log_that_fails_ends_nothing) {
  ServerOptions options = plain();
  std::string line;
  options.log = [&](LogLevel level, std::string_view text) {
    line = text;
    if (level == LogLevel::error) throw std::bad_alloc();
  };
  ServerState state(options);
  state.log(LogLevel::info, "an event");
  EXPECT_EQ(line, "an event");
  state.report("worker thread", "broken");
  EXPECT_EQ(line, "worker thread: broken");
  ServerState silent(plain());
  silent.log(LogLevel::info, "nobody listens");
}

TEST(ServerState, work_that_is_held_or_dropped_is_so_in_every_queue) {
  ServerState state(plain());
  const auto report = [](const char*) {};
  state.workers.emplace(1, 1, report);
  state.pool.emplace(1, 1, report);
  state.stream_threads.emplace(1, 1, report);
  const auto held = std::make_shared<int>(1);
  const auto post = [&](auto& queue) {
    const WorkOrigin origin{7, "192.0.2.1"};
    queue.push(origin, Task([held] {}));
  };
  post(state.batch_calls);
  // A connection can be held only once something of it is queued: block each thread with its first piece of work.
  std::mutex gate;
  std::unique_lock closed(gate);
  for (WorkerThreads* threads : {&*state.workers, &*state.pool, &*state.stream_threads}) {
    for (int i = 0; i < 2; ++i) {
      threads->post({7, "192.0.2.1"}, Task([held, &gate] { const std::lock_guard wait(gate); }));
    }
  }
  state.hold_work(7, true);
  EXPECT_FALSE(state.batch_calls.ready());
  state.hold_work(7, false);
  EXPECT_TRUE(state.batch_calls.ready());
  state.drop_work(7);
  EXPECT_FALSE(state.batch_calls.ready());
  closed.unlock();
  state.workers.reset();
  state.pool.reset();
  state.stream_threads.reset();
  EXPECT_EQ(held.use_count(), 1);
}

TEST(ServerState, its_statistics_are_json) {
  ServerState state(plain());
  state.calls = 5;
  state.failed_calls = 2;
  state.bytes.received = 100;
  state.bytes.sent = 200;
  const ConnectionPlace place(state);
  Json stats = parse_json(state.stats());
  EXPECT_GE(stats.at("uptime_seconds").get<double>(), 0);
  stats.erase("uptime_seconds");
  EXPECT_EQ(dump_json(stats),
            R"({"connections_open": 1, "connections": 0, "calls": 5, "failed_calls": 2, "uploads": 0, )"
            R"("bytes_received": 100, "bytes_sent": 200})");
}

TEST(ServerState, a_connection_counts_once_until_it_is_gone) {
  ServerState state(plain());
  {
    ConnectionPlace first(state);
    ConnectionPlace second(state);
    EXPECT_EQ(second.number(), 2u);
    const ConnectionPlace moved(std::move(first));
    EXPECT_EQ(moved.number(), 1u);
    EXPECT_EQ(state.connection_count, 2u);
    second.release();
    second.release();
    EXPECT_EQ(state.connection_count, 1u);
  }
  EXPECT_EQ(state.connection_count, 0u);
}

}  // namespace
}  // namespace framecall::server_state_test
