// The asynchronous client, and handlers that are coroutines. Arguments are named: see the note about g++ 12 in the header.
#include "framecall/async_client.hpp"

#include <gtest/gtest.h>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "framecall/awaitable.hpp"
#include "support/script.hpp"
#include "support/serving.hpp"

namespace framecall::async_client_test {
namespace {

using namespace std::chrono_literals;

std::atomic<int> asleep{0};  // handlers that have begun
std::atomic<int> told{0};    // and those that learned that nobody waits for them

asio::awaitable<Response> sleep_for(Request request) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  timer.expires_after(std::chrono::milliseconds(request.params().at(0).get<int>()));
  ++asleep;
  try {
    co_await timer.async_wait(asio::use_awaitable);
  } catch (const std::system_error&) {
    ++told;
    throw;
  }
  co_return Response(Json("slept"));
}

asio::awaitable<Response> echo_parts(Request, std::shared_ptr<Stream> stream) {
  for (;;) {
    auto reading = read_part(stream);
    std::optional<Part> part = co_await std::move(reading);
    if (!part) break;
    auto sending = send_part(stream, std::move(*part));
    co_await std::move(sending);
  }
  co_return Response(Json("end"));
}

asio::awaitable<Response> fail(Request) {
  throw CallError(ErrorCode::aborted, "from a coroutine");
  co_return Response();
}

// A server whose coroutines run in a thread of their own.
class Coroutines {
 public:
  Coroutines() : thread_([this] { io.run(); }) {}
  ~Coroutines() {
    work_.reset();
    io.stop();
    thread_.join();
  }
  asio::io_context io{1};

 private:
  asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(io);
  Background thread_;
};

std::shared_ptr<Router> make_router(Coroutines& coroutines) {
  const auto executor = coroutines.io.get_executor();
  auto router = std::make_shared<Router>();
  router->on("add", {"a", "b"}, [](int a, int b) { return a + b; });
  router->on_later("sleep", awaitable(executor, sleep_for));
  router->on_later("fail", awaitable(executor, fail));
  router->on_stream_later("echo_parts", awaitable_stream(executor, echo_parts));
  router->on_stream("produce", [](Request& request, Stream& stream) {
    for (int i = 0; i < request.params().at(0).get<int>(); ++i) {
      Part part;
      part.value = std::to_string(i);
      part.body.append(std::string(100000, 'p'));
      stream.write(std::move(part));
    }
    return Response();
  });
  return router;
}

struct Serving : Coroutines, ServingMethods {
  explicit Serving(ServerOptions options = {})
      : ServingMethods(make_router(static_cast<Coroutines&>(*this)), std::move(options)) {}
};

// Runs a coroutine to its end, with a client that is closed behind it. What it throws fails the test.
void run(const Endpoint& endpoint, asio::awaitable<void> (*work)(AsyncClient&),
         ClientOptions options = ClientOptions()) {
  asio::io_context io{1};
  {
    AsyncClient client(io.get_executor(), endpoint, std::move(options));
    std::exception_ptr problem;
    bool over = false;
    auto working = work(client);
    asio::co_spawn(io, std::move(working), [&](std::exception_ptr error) {
      problem = error;
      over = true;
      client.close();
    });
    io.run_for(patience);
    EXPECT_TRUE(over);
    try {
      if (problem) std::rethrow_exception(problem);
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  }
  io.poll();
}

std::string text_of(const std::exception_ptr& problem) {
  try {
    if (problem) std::rethrow_exception(problem);
  } catch (const UnavailableError& error) {
    return std::string("unavailable: ").append(error.what());
  } catch (const RemoteError& error) {
    return std::string("remote: ").append(error.what());
  } catch (const std::system_error& error) {
    return std::string("system: ").append(error.what());
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

asio::awaitable<std::string> problem_of(AsyncClient& client, std::string method, Json params,
                                        CallOptions options = CallOptions()) {
  std::exception_ptr problem;
  try {
    auto calling = client.call(method, params, options);
    co_await std::move(calling);
  } catch (...) {
    problem = std::current_exception();
  }
  co_return text_of(problem);
}

asio::awaitable<std::string> problem_of_write(AsyncStream& stream, Part part) {
  std::exception_ptr problem;
  try {
    auto writing = stream.write(std::move(part));
    co_await std::move(writing);
  } catch (...) {
    problem = std::current_exception();
  }
  co_return text_of(problem);
}

asio::awaitable<void> use_everything(AsyncClient& client) {
  std::string method = "add";
  Json params = {2, 3};
  auto adding = client.call(method, params);
  const Json sum = co_await std::move(adding);
  EXPECT_EQ(sum, 5);
  Buffer body;
  body.append(std::string(5000000, 'b'));
  method = "upper";
  auto asking = client.request(method, nullptr, std::move(body));
  const Response upper = co_await std::move(asking);
  EXPECT_TRUE(upper.body.view() == std::string(5000000, 'B'));
  auto telling = client.notify(method, nullptr);
  co_await std::move(telling);
  params = {"x"};
  method = "add";
  auto wrong = problem_of(client, method, params);
  const std::string refused = co_await std::move(wrong);
  EXPECT_EQ(refused, "remote: parameter 2 (b) is missing");
  params = Json(5);
  auto unfit = problem_of(client, method, params);
  const std::string unsendable = co_await std::move(unfit);
  EXPECT_EQ(unsendable, "params are neither an array nor an object: 5");
  method = "fail";
  auto failing = problem_of(client, method, nullptr);
  const std::string failure = co_await std::move(failing);
  EXPECT_EQ(failure, "remote: from a coroutine");
  EXPECT_EQ(client.in_flight(), 0u);
  client.close();
  auto closed = problem_of(client, method, nullptr);
  const std::string after = co_await std::move(closed);
  EXPECT_EQ(after, "the client is closed");
}

TEST(AsyncClient, calls_methods) {
  Serving server;
  run(server.tcp, use_everything);
  run(server.unix_socket, use_everything);
  Endpoint named = server.tcp;
  named.host = "localhost";
  run(named, use_everything);
}

int right = 0;

asio::awaitable<void> add_and_sleep(AsyncClient& client, int number) {
  const std::string method = number % 10 == 0 ? "sleep" : "add";
  const Json params = number % 10 == 0 ? Json{number % 7} : Json{number, 1};
  auto calling = client.call(method, params);
  const Json reply = co_await std::move(calling);
  right += reply == (number % 10 == 0 ? Json("slept") : Json(number + 1)) ? 1 : 0;
}

asio::awaitable<void> call_a_thousand_at_once(AsyncClient& client) {
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer all_done(executor, std::chrono::steady_clock::time_point::max());
  right = 0;
  int left = 1000;
  for (int i = 0; i < 1000; ++i) {
    auto calling = add_and_sleep(client, i);
    asio::co_spawn(executor, std::move(calling), [&](std::exception_ptr error) {
      EXPECT_EQ(text_of(error), "");
      if (--left == 0) all_done.cancel();
    });
  }
  asio::error_code ignored;
  auto token = asio::redirect_error(asio::use_awaitable, ignored);
  co_await all_done.async_wait(token);
  EXPECT_EQ(right, 1000);
}

TEST(AsyncClient, has_a_thousand_calls_in_flight) {
  Serving server;
  run(server.tcp, call_a_thousand_at_once);
}

asio::awaitable<void> stream_everything(AsyncClient& client) {
  CallOptions options;
  options.more = true;
  std::string method = "echo_parts";
  auto opening = client.stream(method, nullptr, Buffer(), options);
  AsyncStream stream = co_await std::move(opening);
  for (int i = 0; i < 300; ++i) {
    Part part;
    part.value = std::to_string(i);
    part.body.append(std::string(static_cast<std::size_t>(i) * 300, 'x'));
    auto writing = stream.write(std::move(part));
    co_await std::move(writing);
    auto reading = stream.read();
    const std::optional<Part> back = co_await std::move(reading);
    if (!back) {
      ADD_FAILURE() << i;
      co_return;
    }
    EXPECT_EQ(back->value, std::to_string(i));
    EXPECT_EQ(back->body.size(), static_cast<std::size_t>(i) * 300);
  }
  auto finishing = stream.finish_writing();
  co_await std::move(finishing);
  auto last = stream.read();
  const std::optional<Part> end = co_await std::move(last);
  EXPECT_TRUE(end && end->value == "\"end\"");
  auto behind = stream.read();
  const std::optional<Part> nothing = co_await std::move(behind);
  EXPECT_FALSE(nothing.has_value());

  method = "produce";  // 100 MB, which no side keeps
  Json params = {1000};
  auto asking = client.stream(method, params);
  AsyncStream produced = co_await std::move(asking);
  int count = 0;
  for (;; ++count) {
    auto reading = produced.read();
    const std::optional<Part> part = co_await std::move(reading);
    if (!part) break;
  }
  EXPECT_EQ(count, 1000);
  {
    auto again = client.stream(method, params);
    AsyncStream given_up = co_await std::move(again);
    auto reading = given_up.read();
    co_await std::move(reading);
  }
  method = "echo_parts";
  auto cancelling = client.stream(method, nullptr, Buffer(), options);
  AsyncStream cancelled = co_await std::move(cancelling);
  cancelled.cancel();
  std::string problem;
  try {
    auto reading = cancelled.read();
    co_await std::move(reading);
  } catch (...) {
    problem = text_of(std::current_exception());
  }
  EXPECT_TRUE(problem.starts_with("remote: cancelled")) << problem;
  method = "add";
  params = {20, 22};
  auto adding = client.call(method, params);
  const Json sum = co_await std::move(adding);
  EXPECT_EQ(sum, 42) << "the connection goes on";
}

TEST(AsyncClient, streams_both_ways) {
  Serving server;
  run(server.tcp, stream_everything);
  EXPECT_EQ(server.log.count("closed"), 0u);
}

asio::awaitable<void> be_late_and_cancel(AsyncClient& client) {
  const auto executor = co_await asio::this_coro::executor;
  CallOptions options;
  options.timeout = 30ms;
  std::string method = "sleep";
  Json params = {60000};
  auto late = problem_of(client, method, params, options);
  const std::string problem = co_await std::move(late);
  EXPECT_TRUE(problem.ends_with("no reply to \"sleep\": Connection timed out") ||
              problem == "remote: timeout_ms has passed")
      << problem;
  const int before = asleep;
  asio::cancellation_signal signal;
  auto cancelled = client.call(method, params);
  std::string what;
  asio::steady_timer over(executor, std::chrono::steady_clock::time_point::max());
  asio::co_spawn(executor, std::move(cancelled),
                 asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr error, const Json&) {
                   what = text_of(error);
                   over.cancel();
                 }));
  while (asleep == before) {
    asio::steady_timer turn(executor, 1ms);
    co_await turn.async_wait(asio::use_awaitable);
  }
  signal.emit(asio::cancellation_type::terminal);
  asio::error_code ignored;
  auto token = asio::redirect_error(asio::use_awaitable, ignored);
  co_await over.async_wait(token);
  EXPECT_EQ(what, "system: \"sleep\": Operation canceled");
  EXPECT_EQ(client.in_flight(), 0u);
}

asio::awaitable<void> send_what_cannot_be_sent(AsyncClient& client) {
  const Json large = {std::string(1 << 20, 'x')};
  auto calling = problem_of(client, "add", large);
  std::string problem = co_await std::move(calling);
  EXPECT_EQ(
      problem,
      R"(call of "add": 1048580 bytes of params make a header of 1048636 bytes: max_header is 1048576; send it as the body)");
  CallOptions options;
  options.more = true;
  auto opening = client.stream("echo_parts", nullptr, Buffer(), options);
  AsyncStream stream = co_await std::move(opening);
  Part part;
  part.value = dump_json(large);
  auto writing = problem_of_write(stream, std::move(part));
  problem = co_await std::move(writing);
  EXPECT_EQ(problem,
            "1048580 bytes of item make a header of 1048631 bytes: max_header is 1048576; send it as the body");
  Part junk;
  junk.value = "junk";
  auto writing_junk = problem_of_write(stream, std::move(junk));
  problem = co_await std::move(writing_junk);
  EXPECT_EQ(problem, "value is not JSON: expecting a value at byte 0: junk; dump_json() makes JSON of a value");
  Part fine;
  fine.value = "1";
  auto writing_fine = problem_of_write(stream, std::move(fine));
  problem = co_await std::move(writing_fine);
  EXPECT_EQ(problem, "");
  auto reading = stream.read();
  const std::optional<Part> back = co_await std::move(reading);
  EXPECT_EQ(back ? back->value : "nothing", "1");
}

TEST(AsyncClient, refuses_what_is_too_large_for_a_header_or_not_json_before_it_is_sent) {
  Serving server;
  run(server.tcp, send_what_cannot_be_sent);
}

TEST(AsyncClient, writes_lengths_as_its_dialect_does) {
  Serving server(Running::in_dialect("big-endian"));
  ClientOptions options;
  options.dialect = std::make_shared<const Dialect>(find_dialect("big-endian"));
  run(server.tcp, use_everything, options);
  run(server.tcp, stream_everything, options);
  server.end();
  EXPECT_EQ(server.log.count("refused"), 0u);
}

TEST(AsyncClient, cancels_and_is_late_and_the_handlers_are_told) {
  Serving server;
  told = 0;
  run(server.tcp, be_late_and_cancel);
  const auto end = std::chrono::steady_clock::now() + patience;
  while (told < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  EXPECT_EQ(told, 2);
}

asio::awaitable<void> expect_nobody(AsyncClient& client) {
  auto calling = problem_of(client, "x", nullptr);
  const std::string problem = co_await std::move(calling);
  EXPECT_TRUE(problem.starts_with("system: cannot connect to 127.0.0.1:")) << problem;
  EXPECT_TRUE(problem.ends_with(" (3 attempts): Connection refused")) << problem;
}

asio::awaitable<void> expect_loss(AsyncClient& client) {
  auto calling = problem_of(client, "x", nullptr);
  const std::string problem = co_await std::move(calling);
  EXPECT_TRUE(problem.starts_with("unavailable: UNAVAILABLE: 127.0.0.1:")) << problem;
  EXPECT_NE(problem.find("with 1 call under way"), std::string::npos) << problem;
}

asio::awaitable<void> expect_refusal(AsyncClient& client) {
  auto calling = problem_of(client, "x", nullptr);
  const std::string problem = co_await std::move(calling);
  EXPECT_EQ(problem, "remote: too many");
}

asio::awaitable<void> expect_answer(AsyncClient& client) {
  CallOptions options;
  options.idempotent = true;
  auto calling = client.call("x", nullptr, options);
  const Json reply = co_await std::move(calling);
  EXPECT_EQ(reply, "well");
}

TEST(AsyncClient, tells_how_a_connection_ended) {
  Endpoint nobody;
  {
    PeerListener listener;
    nobody = listener.endpoint();
  }
  ClientOptions options;
  options.backoff = 1ms;
  run(nobody, expect_nobody, options);
  {
    Script script([](Peer& peer) { peer.receive(20); });
    run(script.endpoint(), expect_loss);
  }
  Script script([](Peer& peer) {
    peer.receive(20);
    peer.send(error("null", -32048, "too many"));
  });
  run(script.endpoint(), expect_refusal);
}

TEST(AsyncClient, sends_idempotent_calls_again) {
  PeerListener listener;
  Background peers([&] {
    {
      Peer lost = listener.accept();
      lost.receive(20);
    }
    Peer answering = listener.accept();
    answering.receive(20);
    answering.send(result("1", "\"well\""));
    answering.receive_all();
  });
  run(listener.endpoint(), expect_answer);
  peers.join();
}

asio::awaitable<void> expect_unavailable(AsyncClient& client) {
  CallOptions options;
  options.idempotent = true;
  auto calling = client.call("x", nullptr, options);
  std::string problem;
  try {
    co_await std::move(calling);
  } catch (const UnavailableError& error) {
    problem = error.what();
  }
  EXPECT_TRUE(problem.starts_with("UNAVAILABLE")) << problem;
}

// It may be what has ended the server.
TEST(AsyncClient, sends_an_idempotent_call_twice_at_most_and_pauses_in_between) {
  const LosingServers servers(1);
  ClientOptions options;
  options.backoff = 100ms;
  options.attempts = 10;
  const auto start = std::chrono::steady_clock::now();
  run(servers.endpoints()[0], expect_unavailable, options);
  EXPECT_EQ(servers.requests(), 2);
  EXPECT_GE(std::chrono::steady_clock::now() - start, 50ms);
}

// A listener with no room for another connection until accept_all().
struct FullListener {
  void accept_all() {
    listener.accept();
    filling.close();
    peer = Background([this] {
      Peer client = listener.accept();
      first_header = receive_header(client);
      client.send(result("2", "\"well\""));
      client.receive_all();
    });
  }
  PeerListener listener{0, 0};
  Peer filling{listener.endpoint()};
  std::string first_header;
  Background peer;
};
FullListener* full = nullptr;

asio::awaitable<void> be_late_then_call(AsyncClient& client) {
  CallOptions options;
  options.timeout = 100ms;
  auto late = problem_of(client, "late", nullptr, options);
  const std::string problem = co_await std::move(late);
  EXPECT_NE(problem.find("no reply to \"late\""), std::string::npos) << problem;
  auto telling = client.notify("late", nullptr, Buffer(), options);
  co_await std::move(telling);
  asio::steady_timer timer(co_await asio::this_coro::executor, 150ms);
  auto waiting = timer.async_wait(asio::use_awaitable);
  co_await std::move(waiting);
  full->accept_all();
  auto calling = client.call("in time");
  const Json reply = co_await std::move(calling);
  EXPECT_EQ(reply, "well");
}

TEST(AsyncClient, sends_nothing_that_was_late_before_it_was_connected) {
  FullListener listener;
  full = &listener;
  run(listener.listener.endpoint(), be_late_then_call);
  listener.peer.join();
  EXPECT_NE(listener.first_header.find("\"in time\""), std::string::npos) << listener.first_header;
}

asio::awaitable<void> call_twice(AsyncClient& client) {
  for (int i = 0; i < 2; ++i) {
    auto calling = client.call("x");
    const Json reply = co_await std::move(calling);
    EXPECT_EQ(reply, i);
  }
}

TEST(AsyncClient, goes_elsewhere_when_it_is_told_to) {
  PeerListener listener;
  Background peers([&] {
    for (int i = 0; i < 2; ++i) {
      Peer peer = listener.accept();
      peer.receive(20);
      std::string header;
      write_reply(header, "1", Response(Json(i)), true);
      peer.send(encode_head(header));
      while (!peer.receive_some().empty()) {
      }
    }
  });
  run(listener.endpoint(), call_twice);
  peers.join();
}

TEST(AsyncClient, may_die_with_calls_under_way) {
  Serving server;
  asio::io_context io{1};
  std::string what;
  {
    AsyncClient client(io.get_executor(), server.tcp);
    const std::string method = "sleep";
    const Json params = {60000};
    auto calling = client.call(method, params);
    asio::co_spawn(io, std::move(calling), [&](std::exception_ptr error, const Json&) { what = text_of(error); });
    while (client.in_flight() == 0) io.run_one();
  }
  io.run_for(patience);
  EXPECT_TRUE(what.ends_with("the client was closed: Operation canceled")) << what;
}

}  // namespace
}  // namespace framecall::async_client_test
