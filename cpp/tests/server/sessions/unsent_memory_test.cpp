// The memory of unsent replies and parts.
#include "server/sessions/unsent_memory.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "framecall/error.hpp"

namespace framecall::unsent_memory_test {
namespace {

std::string refusal(const std::function<void()>& work) {
  try {
    work();
    return "none";
  } catch (const CallError& error) {
    EXPECT_EQ(error.code(), ErrorCode::resource_exhausted);
    return error.what();
  }
}

TEST(UnsentMemory, a_first_reply_always_has_room) {
  EXPECT_EQ(refusal([] { check_unsent(0, 10, 1000, "unsent replies"); }), "none");
  EXPECT_EQ(refusal([] { check_unsent(4, 10, 6, "unsent replies"); }), "none");
  EXPECT_EQ(refusal([] { check_unsent(4, 10, 7, "unsent replies"); }),
            "11 bytes of unsent replies: max_connection_memory is 10");
}

TEST(UnsentMemory, a_part_on_its_way_counts_for_the_connection_and_the_server) {
  const auto budget = std::make_shared<MemoryBudget>(1000);
  const auto room = std::make_shared<PartRoom>(budget, 100);
  PartCharge first(room, 80);
  PartCharge moved = std::move(first);
  EXPECT_FALSE(first.counted());
  EXPECT_TRUE(moved.counted());
  EXPECT_EQ(room->under_way, 80u);
  EXPECT_EQ(budget->used(), 80u);
  EXPECT_EQ(refusal([&] { PartCharge(room, 30); }),
            "110 bytes of unsent replies and parts: max_connection_memory is 100");
  EXPECT_EQ(budget->used(), 80u) << "the refused part is not counted";
  moved.end();
  EXPECT_EQ(room->under_way, 0u);
  EXPECT_EQ(budget->used(), 0u);
  room->unsent = 90;
  EXPECT_NE(refusal([&] { PartCharge(room, 30); }), "none") << "unsent bytes count, too";
}

TEST(UnsentMemory, a_part_is_refused_if_the_server_has_no_memory) {
  const auto budget = std::make_shared<MemoryBudget>(1000);
  budget->add(900);
  const auto room = std::make_shared<PartRoom>(budget, 1 << 20);
  EXPECT_TRUE(refusal([&] { PartCharge(room, 200); }).starts_with("no memory for 200 more bytes"));
  EXPECT_EQ(room->under_way, 0u);
}

}  // namespace
}  // namespace framecall::unsent_memory_test
