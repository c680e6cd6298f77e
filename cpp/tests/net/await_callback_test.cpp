#include "net/await_callback.hpp"

#include <gtest/gtest.h>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

namespace framecall::await_callback_test {
namespace {

// A coroutine that waits for a callback, and how it went on.
struct Waiting {
  asio::awaitable<void> wait() {
    auto suspended = suspend([this](const Complete& given, const OnCancel& on_cancel) {
      complete = given;
      on_cancel([this] { cancelled = true; });
    });
    try {
      co_await std::move(suspended);
      outcome = "completed";
    } catch (const std::exception& error) {
      outcome = error.what();
    }
    resumed_on = std::this_thread::get_id();
  }
  Waiting() {
    auto waiting = wait();
    asio::co_spawn(io, std::move(waiting),
                   asio::bind_cancellation_slot(cancellation.slot(), [](std::exception_ptr) {}));
    io.poll();
    io.restart();
  }
  asio::io_context io;
  asio::cancellation_signal cancellation;
  Complete complete;
  bool cancelled = false;
  std::string outcome;
  std::thread::id resumed_on;
};

TEST(AwaitCallback, a_coroutine_resumes_on_its_own_executor_whoever_calls_back) {
  Waiting waiting;
  ASSERT_TRUE(waiting.complete);
  std::thread([&] { waiting.complete(nullptr); }).join();
  EXPECT_EQ(waiting.outcome, "") << "it must not run on the thread of the callback";
  waiting.io.poll();
  EXPECT_EQ(waiting.outcome, "completed");
  EXPECT_EQ(waiting.resumed_on, std::this_thread::get_id());
}

TEST(AwaitCallback, the_callback_can_make_the_coroutine_throw) {
  Waiting waiting;
  waiting.complete(std::make_exception_ptr(std::runtime_error("lost")));
  waiting.io.poll();
  EXPECT_EQ(waiting.outcome, "lost");
}

TEST(AwaitCallback, a_cancelled_coroutine_waits_until_the_callback_was_called) {
  Waiting waiting;
  waiting.cancellation.emit(asio::cancellation_type::terminal);
  waiting.io.poll();
  EXPECT_TRUE(waiting.cancelled);
  EXPECT_EQ(waiting.outcome, "");
  waiting.complete(std::make_exception_ptr(std::runtime_error("cancelled")));
  waiting.io.restart();
  waiting.io.poll();
  EXPECT_EQ(waiting.outcome, "cancelled");
}

TEST(AwaitCallback, a_coroutine_that_has_resumed_is_not_cancelled_any_more) {
  Waiting waiting;
  waiting.complete(nullptr);
  waiting.io.poll();
  waiting.cancellation.emit(asio::cancellation_type::terminal);
  EXPECT_FALSE(waiting.cancelled);
}

}  // namespace
}  // namespace framecall::await_callback_test
