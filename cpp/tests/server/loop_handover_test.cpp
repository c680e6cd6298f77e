// Who leads an event loop when its thread is away, and servers whose methods need the lock of a Batch.
#include "server/loop_handover.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "framecall/client.hpp"
#include "framecall/server_options.hpp"
#include "support/serving.hpp"

namespace framecall::lead_test {
namespace {

using namespace std::chrono_literals;

// Calls of `wait` stay until release(); everything else is answered at once.
class Queue : public Batch {
 public:
  void enter() override { ++entered_; }
  void leave() override { --entered_; }
  void answer(const Request& request, const Responder& reply) {
    EXPECT_GT(entered_, 0);
    if (request.method() == "wait") {
      std::unique_lock lock(mutex_);
      most_ = std::max(most_, ++inside_);
      changed_.notify_all();
      changed_.wait(lock, [this] { return released_; });
      --inside_;
    }
    reply(Response(Json(std::string(request.method()))));
  }
  void await(std::size_t inside) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return inside_ >= inside; });
  }
  void release() {
    const std::lock_guard lock(mutex_);
    released_ = true;
    changed_.notify_all();
  }
  std::size_t most() const {
    const std::lock_guard lock(mutex_);
    return most_;
  }

 private:
  std::atomic<int> entered_{0};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t inside_ = 0, most_ = 0;
  bool released_ = false;
};

struct Batched {
  std::shared_ptr<Queue> queue = std::make_shared<Queue>();
  ServerOptions options;

  explicit Batched(std::size_t threads) {
    auto router = std::make_shared<Router>();
    for (const char* name : {"wait", "quick"}) {
      router->on_batch(name,
                       [queue = queue.get()](Request request, Responder reply) { queue->answer(request, reply); });
    }
    options.router = router;
    options.batch = queue;
    options.batch_threads = threads;
    options.peer_share = 100;  // all callers are of one address
    options.threads = 1;
    options.drain_timeout = 200ms;
  }
};

TEST(LoopHandover, goes_to_another_thread_when_the_leader_stays_away) {
  LoopHandover lead;
  std::mutex mutex;
  std::condition_variable changed;
  bool back = false;
  std::atomic<int> led{0};
  const auto body = [&] {
    if (lead.begin()) {
      if (++led == 1) {  // the first one goes away until another one leads
        lead.away([&] {
          std::unique_lock lock(mutex);
          changed.wait(lock, [&] { return back; });
        });
      } else {
        const std::lock_guard lock(mutex);
        back = true;
        changed.notify_all();
        lead.end();
      }
    }
    lead.leave();
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back(body);
  EXPECT_TRUE(lead.wait(3, 20s));
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(led, 2);
}

TEST(LoopHandover, stays_where_it_is_when_nobody_is_slow) {
  LoopHandover lead;
  ASSERT_TRUE(lead.begin());
  EXPECT_FALSE(lead.has_standby());
  int done = 0;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(lead.away([&] { ++done; }));
  EXPECT_EQ(done, 1000);
  lead.end();
  lead.leave();
  EXPECT_TRUE(lead.wait(1, 20s));
}

TEST(Batch, many_calls_of_many_callers_are_all_answered) {
  Batched batched(4);
  Running server(batched.options);
  std::vector<std::thread> callers;
  std::atomic<int> right{0};
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] {
      Client client(server.tcp);
      for (int n = 0; n < 20; ++n) {
        Pipeline pipeline = client.pipeline();
        for (int k = 0; k < 50; ++k) pipeline.add("quick");
        for (auto& outcome : pipeline.run()) right += outcome.get().result == "\"quick\"";
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(right, 8 * 20 * 50);
}

TEST(Batch, slow_calls_hold_up_neither_others_nor_the_server) {
  Batched batched(3);
  Running server(batched.options);
  std::vector<std::thread> callers;
  std::atomic<int> answered{0};
  for (int i = 0; i < 2; ++i) {
    callers.emplace_back([&] { answered += Client(server.tcp).call("wait") == "wait"; });
  }
  batched.queue->await(2);
  Client client(server.tcp);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(client.call("quick"), "quick");
    EXPECT_EQ(client.call("rpc.ping"), "pong");
  }
  batched.queue->release();
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(answered, 2);
}

TEST(Batch, more_slow_calls_than_threads_wait_their_turn_and_pings_do_not) {
  Batched batched(2);
  Running server(batched.options);
  std::vector<std::thread> callers;
  std::atomic<int> answered{0};
  for (int i = 0; i < 6; ++i) {
    callers.emplace_back([&] { answered += Client(server.tcp).call("wait") == "wait"; });
  }
  batched.queue->await(2);
  Client client(server.tcp);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(client.call("rpc.ping"), "pong");
  batched.queue->release();
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(answered, 6);
  EXPECT_EQ(batched.queue->most(), 2u);
}

TEST(Batch, a_server_ends_although_a_call_does_not) {
  Batched batched(2);
  std::thread caller;
  std::atomic<bool> lost{false};
  const auto queue = batched.queue;
  {
    Running server(batched.options);
    caller = std::thread([&lost, endpoint = server.tcp] {
      try {
        Client(endpoint).call("wait");
      } catch (const UnavailableError&) {
        lost = true;
      }
    });
    queue->await(1);
  }
  caller.join();
  EXPECT_TRUE(lost);
  queue->release();  // it comes back to a server that is gone
}

}  // namespace
}  // namespace framecall::lead_test
