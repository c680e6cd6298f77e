// What one connection may hold and occupy, and that others do not notice.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <thread>

#include "support/serving.hpp"

namespace framecall::isolation_test {
namespace {

using namespace std::chrono_literals;

std::string call(int id, const std::string& method, std::string_view body = {}) {
  std::string header = R"({"id": )" + std::to_string(id) + R"(, "method": ")" + method + '"';
  if (!body.empty()) header += R"(, "body_size": )" + std::to_string(body.size());
  return request(header + "}", body);
}

std::shared_ptr<Router> waiting_router(Gate& gate) {
  auto router = std::make_shared<Router>();
  router->on_pool("wait", [&gate](Request&) { gate.pass(); });
  return router;
}

TEST(Isolation, an_error_that_no_frame_has_room_for_ends_its_connection_at_most) {
  auto router = std::make_shared<Router>();
  std::atomic<int> begun{0};
  std::optional<Responder> kept;
  router->on_later("never", [&](Request, Responder reply) {
    kept.emplace(std::move(reply));
    ++begun;
  });
  ServerOptions options;
  options.max_header = 8 << 20;
  ServingMethods server(router, std::move(options));
  Peer peer(server.tcp);
  // Each character of the id takes six in the answer: more than a header may have.
  const std::string id(3 << 20, '\x7f');
  peer.send(request(R"({"id": ")" + id + R"(", "method": "never", "timeout_ms": 20})"));
  peer.receive(4);  // an answer that fits, or the end
  EXPECT_EQ(begun, 1);
  EXPECT_EQ(server.talk(call(1, "rpc.ping")), result("1", "\"pong\""));
  kept.reset();
}

TEST(Isolation, requests_under_way_are_read_up_to_the_memory_of_a_connection) {
  Gate gate;
  ServerOptions options;
  options.max_body = 1 << 20;
  options.max_connection_memory = 4 << 20;
  options.pool_threads = 2;
  ServingMethods server(waiting_router(gate), std::move(options));
  Peer peer(server.tcp);
  const std::string body(1 << 20, 'b');
  std::string all, answers;
  for (int id = 1; id <= 64; ++id) {
    all += call(id, "wait", body);
    answers += result(std::to_string(id), "null");
  }
  const std::size_t sent = peer.send_until_stuck(all, 300ms);
  EXPECT_LT(sent, all.size() / 2);  // what the server has, and the buffers of the system
  gate.open();
  std::string received;
  std::thread reader([&] { received = peer.receive(answers.size()); });
  peer.send(std::string_view(all).substr(sent));
  reader.join();
  EXPECT_EQ(received.size(), answers.size());
}

TEST(Isolation, a_server_without_memory_refuses_and_serves_on) {
  Gate gate;
  ServerOptions options;
  options.threads = 1;  // which has the first call before it reads the second one
  options.max_body = 2 << 20;
  options.max_memory = 4 << 20;
  auto router = std::make_shared<Router>();
  Gate called;
  router->on_pool("wait", [&](Request&) {
    called.open();
    gate.pass();
  });
  ServingMethods server(router, std::move(options));
  Peer greedy(server.tcp), other(server.tcp);
  const std::string body(2000 << 10, 'b');
  greedy.send(call(1, "wait", body));
  EXPECT_TRUE(called.pass());
  other.send(call(1, "wait", body) + call(2, "rpc.ping"));
  const std::string refusal = other.receive(200);
  EXPECT_NE(refusal.find("-32048"), std::string::npos) << refusal;
  EXPECT_NE(refusal.find("max_memory is 4194304"), std::string::npos) << refusal;
  gate.open();
  EXPECT_EQ(greedy.receive(result("1", "null").size()), result("1", "null"));
  EXPECT_EQ(server.talk(call(3, "rpc.ping")), result("3", "\"pong\""));
}

TEST(Isolation, calls_of_a_connection_that_is_gone_are_dropped) {
  Gate gate;
  std::atomic<int> ran{0};
  auto router = std::make_shared<Router>();
  router->on_pool("wait", [&](Request&) {
    ++ran;
    gate.pass();
  });
  ServerOptions options;
  options.pool_threads = 2;
  options.max_body = 1 << 20;
  options.max_memory = 8 << 20;
  ServingMethods server(router, std::move(options));
  const std::string body(1000 << 10, 'b');
  for (int round = 0; round < 20; ++round) {  // more than max_memory together
    Peer peer(server.tcp);
    peer.send(call(1, "wait", body) + call(2, "wait", body) + call(3, "rpc.ping"));
    EXPECT_EQ(peer.receive(result("3", "\"pong\"").size()), result("3", "\"pong\"")) << round;
    peer.reset();
  }
  gate.open();
  EXPECT_EQ(server.talk(call(9, "wait", body)), result("9", "null"));
  EXPECT_LE(ran, 6);
}

TEST(Isolation, one_connection_has_half_of_the_threads) {
  Gate gate;
  std::atomic<int> inside{0};
  auto router = std::make_shared<Router>();
  router->on_pool("wait", [&](Request&) {
    ++inside;
    gate.pass();
  });
  router->on_pool("quick", [](Request&) {});
  ServerOptions options;
  options.pool_threads = 4;
  ServingMethods server(router, std::move(options));
  Peer greedy(server.tcp);
  for (int id = 1; id <= 50; ++id) greedy.send(call(id, "wait"));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(server.talk(call(1, "quick")), result("1", "null"));
  EXPECT_LE(inside, 2);
  gate.open();
}

TEST(Isolation, replies_that_nobody_reads_hold_up_the_next_ones_and_no_longer) {
  std::atomic<int> made{0};
  auto router = std::make_shared<Router>();
  router->on_pool("large", [&](Request&) {
    ++made;
    Response response;
    response.body.append(std::string(8 << 20, 'r'));
    return response;
  });
  ServerOptions options;
  options.pool_threads = 2;
  ServingMethods server(router, std::move(options));
  Peer peer(server.tcp);
  for (int id = 1; id <= 40; ++id) peer.send(call(id, "large"));
  EXPECT_EQ(server.talk(call(1, "rpc.ping")), result("1", "\"pong\""));
  const std::string one = result("1", "null", std::string(8 << 20, 'r'));
  std::size_t size = 9 * one.size() + 31 * (one.size() + 1);
  EXPECT_LE(made, 10);
  EXPECT_EQ(peer.receive(size).size(), size);
  EXPECT_EQ(made, 40);
}

TEST(Isolation, a_slow_body_is_closed_and_a_slow_peer_is_not) {
  ServerOptions options;
  options.min_body_rate = 1000;
  options.body_window = 200ms;
  ServingMethods server(std::make_shared<Router>(), std::move(options));
  Peer slow(server.tcp), idle(server.tcp);
  slow.send(request(R"({"id": 1, "method": "echo", "body_size": 100000})", "ten bytes."));
  idle.send(call(1, "echo", std::string(100000, 'b')));
  const std::string answer = result("1", "null", std::string(100000, 'b'));
  EXPECT_EQ(idle.receive(answer.size()), answer);
  EXPECT_EQ(slow.receive_all(), "");
  idle.send(call(2, "rpc.ping"));  // its body came long ago
  EXPECT_EQ(idle.receive(result("2", "\"pong\"").size()), result("2", "\"pong\""));
}

TEST(Isolation, the_most_silent_connection_gives_way) {
  ServerOptions options;
  options.max_connections = 2;
  options.threads = 1;
  ServingMethods server(std::make_shared<Router>(), std::move(options));
  Peer silent(server.tcp), busy(server.tcp);
  const auto ping = [](Peer& peer) {
    peer.send(call(1, "rpc.ping"));
    return peer.receive(result("1", "\"pong\"").size());
  };
  EXPECT_EQ(ping(silent), result("1", "\"pong\""));
  const auto until = std::chrono::steady_clock::now() + 1500ms;
  while (std::chrono::steady_clock::now() < until) EXPECT_EQ(ping(busy), result("1", "\"pong\""));
  Peer next(server.tcp);
  EXPECT_EQ(ping(next), result("1", "\"pong\""));
  EXPECT_EQ(silent.receive_all(), "");
  EXPECT_EQ(ping(busy), result("1", "\"pong\""));
}

}  // namespace
}  // namespace framecall::isolation_test
