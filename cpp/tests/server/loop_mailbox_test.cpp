#include "server/loop_mailbox.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace framecall::loop_mailbox_test {
namespace {

// A mailbox that runs what it delivers, and counts how often it wakes its loop.
struct Loop {
  void post(char name) {
    mailbox->post(Task([this, name] { ran += name; }));
  }
  int woken = 0, failures = 0;
  std::string ran;
  std::shared_ptr<LoopMailbox> mailbox = std::make_shared<LoopMailbox>(
      [this] {
        if (failures-- > 0) throw std::bad_alloc();
        ++woken;
      },
      [](std::vector<Task>& posted) {
        for (Task& work : posted) work();
      });
};

TEST(LoopMailbox, wakes_its_loop_once_for_all_that_was_posted) {
  Loop loop;
  for (const char name : {'a', 'b', 'c'}) loop.post(name);
  EXPECT_EQ(loop.woken, 1);
  EXPECT_EQ(loop.ran, "") << "it runs on the thread of the loop";
  loop.mailbox->run();
  EXPECT_EQ(loop.ran, "abc");
  loop.post('d');
  EXPECT_EQ(loop.woken, 2);
}

TEST(LoopMailbox, what_is_posted_while_it_delivers_comes_with_the_next_run) {
  Loop loop;
  loop.mailbox->post(Task([&] { loop.post('b'); }));
  loop.mailbox->run();
  EXPECT_EQ(loop.ran, "");
  EXPECT_EQ(loop.woken, 2);
  loop.mailbox->run();
  EXPECT_EQ(loop.ran, "b");
}

TEST(LoopMailbox, work_that_is_collected_wakes_nobody_before_the_release) {
  Loop loop;
  loop.mailbox->collect();
  loop.mailbox->release();
  EXPECT_EQ(loop.woken, 0) << "there was nothing";
  loop.mailbox->collect();
  loop.post('a');
  EXPECT_EQ(loop.woken, 0);
  loop.mailbox->release();
  EXPECT_EQ(loop.woken, 1);
  loop.mailbox->run();
  loop.mailbox->collect();
  loop.mailbox->run();  // ends the collecting, too
  loop.post('b');
  EXPECT_EQ(loop.woken, 2);
}

TEST(LoopMailbox, a_loop_that_is_gone_frees_what_was_posted_and_takes_no_more) {
  Loop loop;
  // Freeing the last owner of a connection may post again: it must not happen under the lock.
  struct PostsAgain {
    ~PostsAgain() {
      if (mailbox) mailbox->post(Task([] {}));
    }
    std::shared_ptr<LoopMailbox> mailbox;
  };
  const auto held = std::make_shared<int>(1);
  const auto work = [&] { return Task([held, again = std::make_unique<PostsAgain>(PostsAgain{loop.mailbox})] {}); };
  loop.mailbox->post(work());
  EXPECT_EQ(held.use_count(), 2);
  loop.mailbox->retire();
  EXPECT_EQ(held.use_count(), 1);
  loop.mailbox->post(work());
  EXPECT_EQ(held.use_count(), 1);
  loop.mailbox->run();
  loop.mailbox->release();
  EXPECT_EQ(loop.woken, 1);
}

TEST(LoopMailbox, waits_until_there_is_memory_to_wake_the_loop) {
  Loop loop;
  loop.failures = 1;
  loop.post('a');
  EXPECT_EQ(loop.woken, 1);
}

TEST(LoopMailbox, takes_work_from_many_threads) {
  Loop loop;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 100; ++n) loop.post('x');
    });
  }
  for (std::thread& thread : threads) thread.join();
  loop.mailbox->run();
  EXPECT_EQ(loop.ran, std::string(400, 'x'));
  EXPECT_EQ(loop.woken, 1);
}

}  // namespace
}  // namespace framecall::loop_mailbox_test
