// Handlers that are coroutines, without a server; async_client_test.cpp calls them through one.
#include "framecall/awaitable.hpp"

#include <gtest/gtest.h>

#include <asio/error.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "framecall/error.hpp"

namespace framecall::awaitable_test {
namespace {

// The answers of one call, results and errors.
struct Answers {
  Responder responder() {
    return Responder([this](Response* response, const Failure* failure) {
      all.push_back(response != nullptr ? response->result : std::to_string(failure->code) + " " + failure->message);
    });
  }
  Request request() const { return {head, std::string_view(), "peer"}; }
  CallHead head;
  std::vector<std::string> all;
};

std::string answer_of(asio::awaitable<Response> (*handler)(Request)) {
  asio::io_context io;
  Answers answers;
  awaitable(io.get_executor(), handler)(answers.request(), answers.responder());
  EXPECT_TRUE(answers.all.empty()) << "it runs on its executor, not on the event loop of the server";
  io.run();
  EXPECT_EQ(answers.all.size(), 1u);
  return answers.all.empty() ? "" : answers.all[0];
}

asio::awaitable<Response> succeed(Request) { co_return Response(Json(7)); }
asio::awaitable<Response> fail(Request) {
  throw CallError(ErrorCode::not_found, "no such row");
  co_return Response();
}

TEST(Awaitable, a_coroutine_is_answered_once_on_its_executor) {
  EXPECT_EQ(answer_of(succeed), "7");
  EXPECT_EQ(answer_of(fail), "-32045 no such row");
}

asio::awaitable<Response> wait_long(Request) {
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, std::chrono::hours(1));
  co_await timer.async_wait(asio::use_awaitable);
  co_return Response();
}

TEST(Awaitable, a_call_that_is_cancelled_from_another_thread_cancels_its_coroutine) {
  asio::io_context io;
  Answers answers;
  Request request = answers.request();
  std::stop_source stop = request.stop_source();
  awaitable(io.get_executor(), wait_long)(std::move(request), answers.responder());
  io.poll();
  EXPECT_TRUE(answers.all.empty());
  std::thread([&] { stop.request_stop(); }).join();
  EXPECT_TRUE(answers.all.empty());
  io.run();  // ends long before its timer
  ASSERT_EQ(answers.all.size(), 1u);
  EXPECT_NE(answers.all[0].find("aborted"), std::string::npos) << answers.all[0];
}

TEST(Awaitable, a_stop_after_the_answer_reaches_nobody) {
  asio::io_context io;
  Answers answers;
  Request request = answers.request();
  std::stop_source stop = request.stop_source();
  awaitable(io.get_executor(), succeed)(std::move(request), answers.responder());
  io.run();
  stop.request_stop();
  io.restart();
  io.run();
  EXPECT_EQ(answers.all, std::vector<std::string>{"7"});
}

// Sends back each part that comes.
asio::awaitable<Response> echo_parts(Request, std::shared_ptr<Stream> stream) {
  for (;;) {
    auto reading = read_part(stream);
    std::optional<Part> part = co_await std::move(reading);
    if (!part) break;
    auto writing = send_part(stream, std::move(*part));
    co_await std::move(writing);
  }
  co_return Response(Json("end"));
}

Part part_of(std::string value) {
  Part part;
  part.value = std::move(value);
  return part;
}

struct Streaming : Answers {
  explicit Streaming(std::size_t most = Stream::max_unread)
      : stream(std::make_shared<Stream>(true, most, [this](const Part& part) { sent += part.value; }, [] {})) {
    awaitable_stream(io.get_executor(), echo_parts)(request(), responder(), stream);
    turn();
  }
  void turn() {
    io.restart();
    io.poll();
  }
  std::string sent;
  asio::io_context io;
  std::shared_ptr<Stream> stream;
};

TEST(Awaitable, a_stream_is_read_as_its_parts_come) {
  Streaming streaming;
  EXPECT_TRUE(streaming.all.empty());
  streaming.stream->deliver(part_of("1"));
  streaming.turn();
  EXPECT_EQ(streaming.sent, "1");
  streaming.stream->deliver(part_of("2"));
  streaming.stream->deliver(part_of("3"));
  streaming.stream->end();
  streaming.turn();
  EXPECT_EQ(streaming.sent, "123");
  EXPECT_EQ(streaming.all, std::vector<std::string>{"\"end\""});
}

TEST(Awaitable, a_slow_caller_suspends_the_coroutine) {
  Streaming streaming(200);
  for (const char* value : {"1", "2", "3"}) streaming.stream->deliver(part_of(value));
  streaming.turn();
  EXPECT_EQ(streaming.sent, "12") << "what was sent fills the stream";
  streaming.stream->release(2 * part_of("1").weight());
  streaming.turn();
  EXPECT_EQ(streaming.sent, "123");
  streaming.stream->end();
  streaming.turn();
  EXPECT_EQ(streaming.all.size(), 1u);
}

TEST(Awaitable, a_coroutine_that_reads_learns_that_its_call_is_over) {
  Streaming streaming;
  streaming.stream->fail(CallError(ErrorCode::cancelled, "cancelled by the caller"));
  streaming.turn();
  EXPECT_EQ(streaming.all, std::vector<std::string>{"-32041 cancelled by the caller"});
}

}  // namespace
}  // namespace framecall::awaitable_test
