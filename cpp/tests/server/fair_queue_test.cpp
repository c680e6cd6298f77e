// Turns and shares of work for many connections.
#include "server/fair_queue.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace framecall::fair_queue_test {
namespace {

// What ran, in order.
struct Record {
  std::string text;
  void push(FairQueue& queue, std::uint64_t connection, const char* address, char name,
            FairQueue::OnClose on_close = FairQueue::OnClose::drop) {
    queue.push({connection, address}, Task([this, name] { text += name; }), on_close);
  }
  // Takes at most `count`, and does not end them.
  std::vector<std::uint64_t> take(FairQueue& queue, std::size_t count) {
    std::vector<std::uint64_t> running;
    for (std::size_t i = 0; i < count; ++i) {
      auto task = queue.take();
      if (!task) break;
      task->work();
      running.push_back(task->connection);
    }
    return running;
  }
  void run_all(FairQueue& queue) {
    while (auto task = queue.take()) {
      task->work();
      queue.done(task->connection);
    }
  }
};

TEST(FairQueue, addresses_take_turns_and_so_do_their_connections) {
  FairQueue queue(8);
  Record record;
  for (const char name : {'a', 'b', 'c'}) record.push(queue, 1, "one", name);
  for (const char name : {'d', 'e'}) record.push(queue, 2, "one", name);
  for (const char name : {'x', 'y'}) record.push(queue, 3, "two", name);
  record.run_all(queue);
  EXPECT_EQ(record.text, "axdybec");
  EXPECT_FALSE(queue.ready());
}

TEST(FairQueue, one_connection_and_one_address_have_a_share_at_a_time) {
  FairQueue queue(2);
  Record record;
  for (const char name : {'a', 'b', 'c'}) record.push(queue, 1, "one", name);
  for (const char name : {'d', 'e'}) record.push(queue, 2, "one", name);
  auto running = record.take(queue, 10);
  EXPECT_EQ(record.text, "ad");  // two of the address, in turns
  EXPECT_FALSE(queue.ready());
  record.push(queue, 3, "two", 'x');
  EXPECT_TRUE(queue.ready());
  record.take(queue, 10);
  EXPECT_EQ(record.text, "adx");
  queue.done(running[0]);
  EXPECT_TRUE(queue.ready());
  record.take(queue, 10);
  EXPECT_EQ(record.text, "adxb");
}

TEST(FairQueue, without_an_address_only_the_share_of_a_connection_counts) {
  FairQueue queue(1);
  Record record;
  for (std::uint64_t connection : {1, 2, 3}) {
    record.push(queue, connection, "", 'a');
    record.push(queue, connection, "", 'b');
  }
  record.take(queue, 10);
  EXPECT_EQ(record.text, "aaa");
}

TEST(FairQueue, held_work_waits) {
  FairQueue queue(4);
  Record record;
  record.push(queue, 1, "one", 'a');
  record.push(queue, 2, "one", 'b');
  queue.hold(1, true);
  record.run_all(queue);
  EXPECT_EQ(record.text, "b");
  record.push(queue, 1, "one", 'c');
  EXPECT_FALSE(queue.ready());
  queue.hold(1, false);
  record.run_all(queue);
  EXPECT_EQ(record.text, "bac");
}

TEST(FairQueue, a_closed_connection_leaves_only_what_is_to_run_all_the_same) {
  FairQueue queue(4);
  Record record;
  const auto body = std::make_shared<int>(0);
  queue.push({1, "one"}, Task([body] {}));
  record.push(queue, 1, "one", 'k', FairQueue::OnClose::run);
  record.push(queue, 1, "one", 'd');
  queue.hold(1, true);
  EXPECT_EQ(body.use_count(), 2);
  queue.drop(1);
  EXPECT_EQ(body.use_count(), 1);  // at once
  record.run_all(queue);
  EXPECT_EQ(record.text, "k");
  queue.drop(1);  // unknown by now
  queue.hold(7, true);
}

TEST(FairQueue, work_under_way_may_outlive_its_connection) {
  FairQueue queue(1);
  Record record;
  record.push(queue, 1, "one", 'a');
  const auto task = queue.take();
  ASSERT_TRUE(task);
  queue.drop(1);
  record.push(queue, 2, "one", 'b');
  EXPECT_FALSE(queue.ready());  // it still counts for its address
  queue.done(task->connection);
  record.run_all(queue);
  EXPECT_EQ(record.text, "b");
}

TEST(FairQueue, what_comes_once_is_forgotten_behind_it) {
  FairQueue queue(1);
  Record record;
  for (std::uint64_t i = 0; i < 3; ++i) queue.push({i, "one", true}, Task([&] { record.text += 'u'; }));
  record.run_all(queue);
  EXPECT_EQ(record.text, "uuu");
}

}  // namespace
}  // namespace framecall::fair_queue_test
