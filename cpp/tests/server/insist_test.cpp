#include "server/insist.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace framecall::insist_test {
namespace {

TEST(Insist, calls_again_while_there_is_no_memory) {
  int calls = 0;
  insist([&] {
    if (++calls < 3) throw std::bad_alloc();
  });
  EXPECT_EQ(calls, 3);
}

TEST(Insist, passes_other_errors_on) {
  int calls = 0;
  const auto fail = [&] {
    ++calls;
    throw std::runtime_error("no");
  };
  EXPECT_THROW(insist(fail), std::runtime_error);
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace framecall::insist_test
