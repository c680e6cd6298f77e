#include "server/sessions/session_port.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "framecall/error.hpp"
#include "support/peer.hpp"

namespace framecall::session_port_test {
namespace {

using Life = SessionPort::Life;

// A port of a connection that is none.
class Port final : public SessionPort {
 public:
  explicit Port(LoopResources& loop, std::string peer = "192.0.2.1:5000") : SessionPort(loop, std::move(peer)) {}
  void begin_to_leave() override { life_ = Life::leaving; }
  void close() noexcept override {
    life_ = Life::closed;
    paused_.reset();
  }
  void note_progress() override { ++progress; }
  void host(std::unique_ptr<Session>) override {}
  void message_begins() override {}
  bool turn_is_over() override { return false; }
  void account() override {}
  void on_own_thread(const std::function<void()>& work) override {
    if (!open()) return;
    thread = std::this_thread::get_id();
    try {
      work();
    } catch (const CallError& error) {
      refusal = std::to_string(static_cast<int>(error.code())) + " " + error.what();
    }
  }
  void on_deadline(const std::string&) override {}

  int progress = 0;
  std::string refusal;
  std::thread::id thread;
};

// A loop with one thread for work, and this one as its own.
class Loop {
 public:
  Loop() {
    state.workers.emplace(1, 1, [](const char*) {});
  }
  // Runs what is posted until something was.
  void turn() {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, patience, [this] { return woken_; }));
    woken_ = false;
    lock.unlock();
    mailbox->run();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;

 public:
  std::shared_ptr<LoopMailbox> mailbox = std::make_shared<LoopMailbox>(
      [this] {
        const std::lock_guard lock(mutex_);
        woken_ = true;
        changed_.notify_all();
      },
      [](std::vector<Task>& posted) {
        for (Task& work : posted) work();
      });
  std::vector<std::string> log;
  ServerState state{[this] {
    ServerOptions options;
    options.router = std::make_shared<Router>();
    options.log = [this](LogLevel, std::string_view line) { log.emplace_back(line); };
    return options;
  }()};
  LoopResources resources{state, mailbox};
};

TEST(SessionPort, work_that_waits_runs_elsewhere_and_its_end_on_the_own_thread) {
  Loop loop;
  const auto port = std::make_shared<Port>(loop.resources);
  std::thread::id worker;
  bool done = false;
  port->wait_for([&] { worker = std::this_thread::get_id(); }, [&] { done = true; });
  EXPECT_FALSE(port->may_read()) << "what comes next has to wait";
  loop.turn();
  EXPECT_TRUE(done);
  EXPECT_TRUE(port->may_read());
  EXPECT_NE(worker, std::this_thread::get_id());
  EXPECT_EQ(port->thread, std::this_thread::get_id());
  EXPECT_EQ(port->progress, 1) << "a connection that waits for the disk is not silent";
}

TEST(SessionPort, work_that_fails_is_a_refusal) {
  Loop loop;
  const auto port = std::make_shared<Port>(loop.resources);
  port->wait_for([] { throw CallError(ErrorCode::not_found, "no such file"); }, [] { ADD_FAILURE(); });
  loop.turn();
  EXPECT_EQ(port->refusal, "-32045 no such file");
  port->wait_for([] { throw std::runtime_error("broken"); }, [] { ADD_FAILURE(); });
  loop.turn();
  EXPECT_EQ(port->refusal, "-32603 broken");
  EXPECT_TRUE(port->may_read());
}

TEST(SessionPort, nothing_continues_on_a_connection_that_was_closed_meanwhile) {
  Loop loop;
  const auto port = std::make_shared<Port>(loop.resources);
  port->wait_for([] {}, [] { ADD_FAILURE(); });
  const SessionPort::Resume resume = port->pause();
  port->close();
  loop.turn();
  resume([] { ADD_FAILURE(); });
  loop.turn();
  EXPECT_EQ(port->progress, 0);
}

TEST(SessionPort, a_pause_ends_when_any_thread_says_so) {
  Loop loop;
  const auto port = std::make_shared<Port>(loop.resources);
  const SessionPort::Resume resume = port->pause();
  EXPECT_FALSE(port->may_read());
  std::thread([&] { resume([&] { port->refusal = "continued"; }); }).join();
  EXPECT_EQ(port->refusal, "");
  loop.turn();
  EXPECT_EQ(port->refusal, "continued");
  EXPECT_TRUE(port->may_read());
}

TEST(SessionPort, lives_while_it_waits_and_no_longer) {
  Loop loop;
  auto port = std::make_shared<Port>(loop.resources);
  const std::weak_ptr<Port> watched = port;
  const SessionPort::Resume resume = port->pause();
  port.reset();
  ASSERT_FALSE(watched.expired());
  resume([] {});
  loop.turn();
  EXPECT_TRUE(watched.expired());

  port = std::make_shared<Port>(loop.resources);
  const std::weak_ptr<Port> closed = port;
  const SessionPort::Resume never_called = port->pause();
  port->close();
  port.reset();
  EXPECT_TRUE(closed.expired());
}

TEST(SessionPort, a_peer_that_reads_slowly_is_read_again_when_little_is_left_to_send) {
  Loop loop;
  const auto port = std::make_shared<Port>(loop.resources);
  const auto unsent = [&](std::size_t size) {
    port->out().clear();
    port->out().append(std::string(size, 'x'));
    return port->may_read();
  };
  EXPECT_TRUE(unsent(1 << 20));
  EXPECT_FALSE(unsent((1 << 20) + 1));
  EXPECT_FALSE(unsent((256 << 10) + 1)) << "not yet";
  EXPECT_TRUE(unsent(256 << 10));
  EXPECT_TRUE(unsent((256 << 10) + 1));
}

TEST(SessionPort, a_life_never_goes_back) {
  Loop loop;
  for (const auto& [from, to] : {std::pair(Life::open, Life::ending), std::pair(Life::leaving, Life::ending),
                                 std::pair(Life::closed, Life::closed)}) {
    const auto port = std::make_shared<Port>(loop.resources);
    if (from == Life::leaving) port->leave("too much");
    if (from == Life::closed) port->close();
    port->finish();
    EXPECT_EQ(port->life(), to);
    EXPECT_FALSE(port->may_read());
  }
  EXPECT_EQ(loop.log, std::vector<std::string>{"192.0.2.1:5000: refused: too much"});
}

TEST(SessionPort, a_share_belongs_to_an_address_but_not_to_this_machine) {
  Loop loop;
  for (const auto& [peer, address] :
       {std::pair("192.0.2.1:5000", "192.0.2.1"), std::pair("[2001:db8::1]:5000", "[2001:db8::]/64"),
        std::pair("127.0.0.1:5000", ""), std::pair("[::1]:5000", ""), std::pair("unix", "")}) {
    EXPECT_EQ(std::make_shared<Port>(loop.resources, peer)->work_origin().address, address) << peer;
  }
  const auto one = std::make_shared<Port>(loop.resources), two = std::make_shared<Port>(loop.resources);
  EXPECT_NE(one->work_origin().connection, two->work_origin().connection);
}

TEST(SessionPort, a_deadline_is_by_the_clock_of_the_loop_and_never_overflows) {
  Loop loop;
  loop.resources.now = 1000;
  const auto port = std::make_shared<Port>(loop.resources);
  const auto soon = port->add_deadline(50, "1");
  EXPECT_EQ(soon->first, 1050);
  EXPECT_EQ(soon->second, std::pair(static_cast<SessionPort*>(port.get()), std::string("1")));
  EXPECT_GT(port->add_deadline(UINT64_MAX, "2")->first, 1050);
  port->remove_deadline(soon);
  EXPECT_EQ(loop.resources.deadlines.size(), 1u);
}

}  // namespace
}  // namespace framecall::session_port_test
