#include "server/login_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/peer.hpp"
#include "support/serving.hpp"

namespace framecall::login_queue_test {
namespace {

// What a queue did, in order.
class Record {
 public:
  void add(const std::string& what) {
    const std::lock_guard lock(mutex_);
    all_.push_back(what);
    changed_.notify_all();
  }
  std::vector<std::string> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, patience, [&] { return all_.size() >= count; });
    return all_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> all_;
};

struct Queue {
  explicit Queue(std::chrono::milliseconds max_delay = std::chrono::milliseconds(0)) : queue(max_delay) {}
  void submit(const std::string& address, const std::string& name, bool good) {
    queue.submit(
        address, wanted,
        [this, name, good] {
          checked.add(name);
          return good;
        },
        [this, name](bool result) { answered.add(name + (result ? " good" : " bad")); });
  }
  // Keeps `threads` more threads busy until `gate` opens.
  void occupy(Gate& gate, std::size_t threads = LoginQueue::threads) {
    occupying += threads;
    for (std::size_t i = 0; i < threads; ++i) {
      queue.submit(
          "nobody", wanted,
          [this, &gate] {
            occupied.add("");
            return gate.pass();
          },
          [](bool) {});
    }
    occupied.wait_for(occupying);
  }
  std::shared_ptr<int> wanted = std::make_shared<int>();
  Record checked, answered, occupied;
  std::size_t occupying = 0;
  LoginQueue queue;
};

TEST(LoginQueue, answers_good_and_bad_ones) {
  Queue logins;
  logins.submit("a", "1", true);
  EXPECT_EQ(logins.answered.wait_for(1), std::vector<std::string>{"1 good"});
  EXPECT_EQ(logins.queue.addresses(), 0u) << "nothing is kept of it";
  logins.submit("a", "2", false);
  EXPECT_EQ(logins.answered.wait_for(2).back(), "2 bad");
  EXPECT_EQ(logins.queue.addresses(), 1u);
}

TEST(LoginQueue, takes_the_newest_first_and_addresses_with_failures_last) {
  Queue logins;
  logins.submit("guesser", "failure", false);
  logins.answered.wait_for(1);
  // One of the two threads stays busy, so that the other one checks one login after another.
  Gate free, busy;
  logins.occupy(free, 1);
  logins.occupy(busy, LoginQueue::threads - 1);
  logins.submit("guesser", "g1", false);
  logins.submit("user", "u1", true);
  logins.submit("guesser", "g2", false);
  logins.submit("user", "u2", true);
  free.open();
  const std::vector<std::string> order = logins.checked.wait_for(5);
  busy.open();
  EXPECT_EQ(order, (std::vector<std::string>{"failure", "u2", "u1", "g2", "g1"}));
}

TEST(LoginQueue, drops_what_nobody_waits_for) {
  Queue logins;
  Gate gate;
  logins.occupy(gate);
  logins.submit("a", "1", true);
  logins.wanted.reset();
  logins.wanted = std::make_shared<int>();
  logins.submit("b", "2", true);
  gate.open();
  logins.answered.wait_for(1);
  logins.submit("c", "3", true);
  EXPECT_EQ(logins.answered.wait_for(2), (std::vector<std::string>{"2 good", "3 good"}));
}

TEST(LoginQueue, answers_failures_later_and_later_and_good_ones_at_once) {
  Queue logins(std::chrono::hours(1));
  constexpr std::size_t many = 40;
  for (std::size_t i = 0; i < many; ++i) logins.submit("guesser", "g", false);
  logins.checked.wait_for(many);
  logins.submit("guesser", "u", true);
  const std::vector<std::string> answered = logins.answered.wait_for(LoginQueue::free_failures + 1);
  EXPECT_EQ(std::count(answered.begin(), answered.end(), "u good"), 1);
  EXPECT_LT(answered.size(), many / 2);
}

TEST(LoginQueue, a_check_that_fails_lets_nobody_in_and_ends_nothing) {
  Queue logins;
  logins.queue.submit(
      "a", logins.wanted, []() -> bool { throw std::runtime_error("scrypt: refused"); },
      [&](bool good) { logins.answered.add(good ? "good" : "bad"); });
  int calls = 0;
  logins.queue.submit(
      "b", logins.wanted, [] { return true; },
      [&](bool good) {
        if (++calls == 1) throw std::bad_alloc();
        logins.answered.add(good ? "good" : "bad");
      });
  std::vector<std::string> answered = logins.answered.wait_for(2);
  std::sort(answered.begin(), answered.end());
  EXPECT_EQ(answered, (std::vector<std::string>{"bad", "good"}));
}

TEST(LoginQueue, remembers_a_bounded_number_of_addresses) {
  Queue logins;
  const std::size_t many = LoginQueue::max_addresses + 100;
  for (std::size_t i = 0; i < many; ++i) logins.submit(std::to_string(i), "", false);
  logins.answered.wait_for(many);
  EXPECT_EQ(logins.queue.addresses(), LoginQueue::max_addresses);
}

}  // namespace
}  // namespace framecall::login_queue_test
