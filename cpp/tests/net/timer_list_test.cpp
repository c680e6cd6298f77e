#include "net/timer_list.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace framecall::timer_list_test {
namespace {

struct Timer {
  TimerHook<Timer> hook{this};
};

struct Timers {
  explicit Timers(int milliseconds = 100) { list.set_duration(std::chrono::milliseconds(milliseconds)); }
  TimerList<Timer> list;
  Timer a, b, c;
};

TEST(TimerList, the_first_to_be_set_is_the_first_to_be_due) {
  Timers timers;
  EXPECT_TRUE(timers.list.empty());
  EXPECT_EQ(timers.list.first_due(), never);
  timers.list.touch(timers.b.hook, 10);
  timers.list.touch(timers.a.hook, 20);
  timers.list.touch(timers.c.hook, 30);
  EXPECT_EQ(timers.list.first_due(), 110);
  EXPECT_EQ(timers.list.first(), &timers.b);
  EXPECT_EQ(timers.list.owners(), (std::vector<Timer*>{&timers.b, &timers.a, &timers.c}));
  EXPECT_EQ(timers.list.oldest(2), (std::vector<Timer*>{&timers.b, &timers.a}));
}

TEST(TimerList, setting_a_timer_again_restarts_it) {
  Timers timers;
  timers.list.touch(timers.a.hook, 10);
  timers.list.touch(timers.b.hook, 20);
  timers.list.touch(timers.a.hook, 30);
  EXPECT_EQ(timers.list.owners(), (std::vector<Timer*>{&timers.b, &timers.a}));
  EXPECT_EQ(timers.a.hook.since(), 30);
  timers.b.hook.unlink();
  EXPECT_EQ(timers.list.first_due(), 130);
  timers.b.hook.unlink();
  EXPECT_FALSE(timers.b.hook.linked());
}

TEST(TimerList, without_a_duration_nothing_is_due) {
  Timers timers(0);
  timers.list.touch(timers.a.hook, 10);
  EXPECT_FALSE(timers.list.empty());
  EXPECT_EQ(timers.list.first_due(), never);
}

TEST(TimerList, a_timer_that_is_destroyed_leaves_its_list) {
  Timers timers;
  {
    Timer gone;
    timers.list.touch(gone.hook, 10);
    timers.list.touch(timers.a.hook, 20);
  }
  EXPECT_EQ(timers.list.owners(), std::vector<Timer*>{&timers.a});
}

TEST(TimerList, a_list_that_is_destroyed_lets_go_of_its_timers) {
  Timer a, b;
  {
    TimerList<Timer> list;
    list.touch(a.hook, 10);
    list.touch(b.hook, 20);
  }
  EXPECT_FALSE(a.hook.linked());
  EXPECT_FALSE(b.hook.linked());
}

}  // namespace
}  // namespace framecall::timer_list_test
