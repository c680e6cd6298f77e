#include "net/task.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

namespace framecall::task_test {
namespace {

TEST(Task, runs_a_function_that_cannot_be_copied) {
  int result = 0;
  Task work([number = std::make_unique<int>(7), &result]() mutable { result = (*number)++; });
  Task moved = std::move(work);
  moved();
  EXPECT_EQ(result, 7);
}

TEST(Task, that_never_runs_frees_what_it_holds) {
  const auto held = std::make_shared<int>(1);
  {
    Task work([held] {});
    EXPECT_EQ(held.use_count(), 2);
    work = Task([] {});
    EXPECT_EQ(held.use_count(), 1);
  }
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace framecall::task_test
