#include "server/memory_budget.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <utility>

namespace framecall::memory_budget_test {
namespace {

TEST(MemoryBudget, a_charge_counts_while_it_lives_and_only_once) {
  const auto budget = std::make_shared<MemoryBudget>(1000);
  {
    MemoryCharge charge(budget, 100);
    EXPECT_EQ(budget->used(), 100u);
    charge.set(250);
    EXPECT_EQ(budget->used(), 250u);
    charge.set(50);
    EXPECT_EQ(budget->used(), 50u);
    MemoryCharge moved(std::move(charge));
    EXPECT_EQ(moved.bytes(), 50u);
    EXPECT_EQ(budget->used(), 50u);
    MemoryCharge other(budget, 7);
    other = std::move(moved);
    EXPECT_EQ(other.bytes(), 50u);
    other = MemoryCharge();
    EXPECT_EQ(other.bytes(), 0u);
  }
  EXPECT_EQ(budget->used(), 0u);
}

TEST(MemoryBudget, nothing_is_left_of_an_overdrawn_one) {
  MemoryBudget budget(1000);
  budget.add(400);
  EXPECT_EQ(budget.left(), 600u);
  budget.add(4000);
  EXPECT_EQ(budget.left(), 0u);
  budget.subtract(4000);
  EXPECT_EQ(budget.left(), 600u);
}

TEST(MemoryBudget, a_charge_may_outlive_its_server) {
  auto budget = std::make_shared<MemoryBudget>(1000);
  const std::weak_ptr<MemoryBudget> watched = budget;
  {
    const MemoryCharge charge(budget, 100);
    budget.reset();
    EXPECT_FALSE(watched.expired());
  }
  EXPECT_TRUE(watched.expired());
}

TEST(MemoryBudget, by_default_it_is_a_quarter_of_the_memory_at_most) {
  const auto machine =
      static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  EXPECT_GT(default_max_memory(), 0u);
  EXPECT_LE(default_max_memory(), machine / 4);
}

}  // namespace
}  // namespace framecall::memory_budget_test
