#include "server/worker_threads.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/serving.hpp"

namespace framecall::worker_threads_test {
namespace {

const WorkOrigin one{1, "192.0.2.1"}, other{2, "192.0.2.2"};

void ignore(const char*) {}

TEST(WorkerThreads, all_that_was_posted_has_run_when_they_end) {
  std::atomic<int> ran{0};
  {
    WorkerThreads threads(3, 3, ignore);
    for (int i = 0; i < 1000; ++i) threads.post(i % 2 == 0 ? one : other, Task([&] { ++ran; }));
  }
  EXPECT_EQ(ran, 1000);
}

TEST(WorkerThreads, an_exception_is_reported_and_the_thread_goes_on) {
  std::string reported;
  std::atomic<bool> ran{false};
  {
    WorkerThreads threads(1, 1, [&](const char* what) { reported = what; });
    threads.post(one, Task([] { throw std::runtime_error("the disk is on fire"); }));
    threads.post(one, Task([&] { ran = true; }));
  }
  EXPECT_EQ(reported, "the disk is on fire");
  EXPECT_TRUE(ran);
}

TEST(WorkerThreads, run_as_many_at_a_time_as_there_are) {
  Gate first, second;
  std::atomic<bool> met{true};
  WorkerThreads threads(2, 2, ignore);
  threads.post(one, Task([&] {
                 first.open();
                 met = met && second.pass();
               }));
  threads.post(one, Task([&] {
                 second.open();
                 met = met && first.pass();
               }));
  EXPECT_TRUE(first.pass());
  EXPECT_TRUE(second.pass());
}

TEST(WorkerThreads, one_connection_leaves_threads_for_the_others) {
  Gate blocked, passed;
  WorkerThreads threads(2, 1, ignore);
  for (int i = 0; i < 5; ++i) threads.post(one, Task([&] { EXPECT_TRUE(blocked.pass()); }));
  threads.post(other, Task([&] { passed.open(); }));
  EXPECT_TRUE(passed.pass());
  blocked.open();
}

TEST(WorkerThreads, held_work_starts_when_it_is_released) {
  Gate ran, others;
  std::atomic<bool> held{false};
  WorkerThreads threads(1, 1, ignore);
  Gate busy;
  threads.post(one, Task([&] { EXPECT_TRUE(busy.pass()); }));
  threads.post(one, Task([&] {
                 EXPECT_FALSE(held);
                 ran.open();
               }));
  held = true;
  threads.hold(one.connection, true);
  busy.open();
  threads.post(other, Task([&] { others.open(); }));
  EXPECT_TRUE(others.pass()) << "what is held is passed by";
  held = false;
  threads.hold(one.connection, false);
  EXPECT_TRUE(ran.pass());
}

TEST(WorkerThreads, the_work_of_a_closed_connection_is_freed_unless_it_is_to_run_all_the_same) {
  const auto held = std::make_shared<int>(1);
  Gate busy, entered, ran;
  WorkerThreads threads(1, 1, ignore);
  threads.post(other, Task([&] {
                 entered.open();
                 EXPECT_TRUE(busy.pass());
               }));
  ASSERT_TRUE(entered.pass());
  threads.post(one, Task([held] { ADD_FAILURE() << "its connection is closed"; }));
  threads.post(one, Task([&] { ran.open(); }), FairQueue::OnClose::run);
  threads.hold(one.connection, true);
  EXPECT_EQ(held.use_count(), 2);
  threads.drop(one.connection);
  EXPECT_EQ(held.use_count(), 1);
  busy.open();
  EXPECT_TRUE(ran.pass()) << "though it was held";
}

}  // namespace
}  // namespace framecall::worker_threads_test
