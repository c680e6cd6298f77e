// The calls of one connection that have no answer yet.
#include "server/sessions/pending_calls.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace framecall::pending_calls_test {
namespace {

const CallError gone(ErrorCode::cancelled, "gone");

class PendingCallsTest : public testing::Test {
 protected:
  PendingCalls::Call add(const std::string& id) {
    CallHead head;
    head.id = id;
    head.method = "method";
    Request request(head, "body", "peer");
    return calls_.add(id, request, budget_);
  }
  PendingCalls::Call add_stream(const std::string& id) {
    const PendingCalls::Call call = add(id);
    calls_.begin_stream(*call, std::make_shared<int>());
    call->stream = std::make_shared<Stream>(true, 1 << 20, [](Part) {}, [] {});
    calls_.open_input(*call);
    return call;
  }

  std::shared_ptr<MemoryBudget> budget_ = std::make_shared<MemoryBudget>(1 << 20);
  PendingCalls calls_;
};

TEST_F(PendingCallsTest, are_found_by_their_ids_until_they_are_answered) {
  const PendingCalls::Call call = add("1"), notification = add("");
  EXPECT_EQ(calls_.find("1"), call);
  EXPECT_EQ(calls_.find(""), nullptr);
  EXPECT_EQ(calls_.find("2"), nullptr);
  EXPECT_EQ(calls_.running(), 2u);
  calls_.remove(*call, gone);
  EXPECT_TRUE(call->answered);
  EXPECT_EQ(calls_.find("1"), nullptr);
  EXPECT_EQ(calls_.running(), 2u) << "its handler still runs";
  EXPECT_EQ(call->on_close(), FairQueue::OnClose::drop);
  EXPECT_EQ(notification->on_close(), FairQueue::OnClose::run);
}

TEST_F(PendingCallsTest, keep_their_owner_and_their_memory_until_their_handlers_are_done) {
  const PendingCalls::Call first = add("1"), second = add("2");
  const auto owner = std::make_shared<int>();
  calls_.keep_alive(owner);
  EXPECT_EQ(calls_.memory(), budget_->used());
  EXPECT_GT(calls_.memory(), 0u);
  calls_.release(*first);
  calls_.release(*first);
  EXPECT_EQ(calls_.running(), 1u) << "released once";
  EXPECT_EQ(owner.use_count(), 2);
  calls_.release(*second);
  EXPECT_EQ(owner.use_count(), 1);
  EXPECT_EQ(calls_.memory(), 0u);
}

TEST_F(PendingCallsTest, drop_their_deadline_once) {
  const PendingCalls::Call call = add("1");
  int dropped = 0;
  call->drop_deadline = [&] { ++dropped; };
  calls_.remove(*call, gone);
  calls_.cancel_all();
  EXPECT_EQ(dropped, 1);
}

TEST_F(PendingCallsTest, that_stream_are_counted_apart) {
  const PendingCalls::Call stream = add_stream("1");
  add("2");
  EXPECT_EQ(calls_.streams(), std::vector{stream});
  EXPECT_EQ(calls_.stream_count(), 1u);
  EXPECT_EQ(calls_.open_inputs(), 1u);
  EXPECT_EQ(calls_.filling(), 1u) << "the connection reads on for the parts of the stream";
  calls_.hold(*stream);
  calls_.hold(*stream);
  EXPECT_EQ(calls_.held(), 1u);
  calls_.resume(*stream);
  EXPECT_EQ(calls_.held(), 0u);
  calls_.close_input(*stream);
  EXPECT_EQ(calls_.filling(), 2u);
  calls_.release(*stream);
  EXPECT_EQ(calls_.stream_count(), 0u);
  EXPECT_EQ(stream->place, nullptr);
}

TEST_F(PendingCallsTest, that_are_answered_hold_nothing_back) {
  const PendingCalls::Call stream = add_stream("1");
  calls_.hold(*stream);
  calls_.remove(*stream, gone);
  EXPECT_EQ(calls_.held(), 0u);
  EXPECT_EQ(calls_.open_inputs(), 0u);
  Part late;
  EXPECT_THROW(stream->stream->try_write(late, [] {}), CallError) << "its stream has failed";
}

TEST_F(PendingCallsTest, are_all_asked_to_stop_when_the_connection_is_closed) {
  const PendingCalls::Call call = add("1"), stream = add_stream("2");
  const auto owner = std::make_shared<int>();
  calls_.keep_alive(owner);
  calls_.cancel_all();
  for (const PendingCalls::Call& one : {call, stream}) {
    EXPECT_TRUE(one->stop.stop_requested());
    EXPECT_TRUE(one->answered);
  }
  EXPECT_EQ(calls_.running(), 0u);
  EXPECT_EQ(owner.use_count(), 1);
  calls_.release(*call);
  EXPECT_EQ(calls_.running(), 0u) << "a handler that ends later changes nothing";
}

}  // namespace
}  // namespace framecall::pending_calls_test
