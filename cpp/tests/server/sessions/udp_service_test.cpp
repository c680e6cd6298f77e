// The server's datagrams, against plain sockets: what is answered, what is not, and what a peer cannot do.
#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framecall/server.hpp"
#include "support/serving.hpp"

namespace framecall::udp_service_test {
namespace {

// A client's socket. Loopback keeps the order of datagrams, so an answer that is not there before the next one's never comes.
class Datagrams {
 public:
  explicit Datagrams(const Endpoint& server) : socket_(::socket(AF_INET, SOCK_DGRAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_.socket(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  void send(std::string_view bytes) {
    ASSERT_EQ(::send(socket_.socket(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }
  std::string receive() { return socket_.receive_some(); }
  std::string ask(std::string_view bytes) {
    send(bytes);
    return receive();
  }
  /// The answer, if there is one before that to a ping.
  std::optional<std::string> try_ask(std::string_view bytes) {
    send(bytes);
    std::string first = ask(request(R"({"id": "ping", "method": "rpc.ping"})"));
    if (first == result(R"("ping")", R"("pong")")) return std::nullopt;
    EXPECT_EQ(receive(), result(R"("ping")", R"("pong")"));
    return first;
  }
  bool has_one(std::chrono::milliseconds limit) { return socket_.wait_for(POLLIN, limit); }

 private:
  Peer socket_;
};

std::string padded(std::string_view header, std::size_t size) {
  return request(std::string(header) + std::string(size, ' '));
}

std::string ping(int id) { return request(R"({"id": )" + std::to_string(id) + R"(, "method": "rpc.ping"})"); }

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// With sizes no header can have: from 16,777,216 bytes on.
std::shared_ptr<Router> router_of_giants() {
  const std::string giant(20'000'000, 'x');
  auto router = std::make_shared<Router>();
  const auto result_of = [giant](const Request&) {
    Response response;
    response.result = '"' + giant + '"';
    return response;
  };
  router->on("result", [result_of](Request& request) { return result_of(request); });
  router->on_pool("result.pool", [result_of](Request& request) { return result_of(request); });
  router->on_later("result.later", [result_of](Request request, const Responder& reply) { reply(result_of(request)); });
  router->on("metadata", [giant](Request&) {
    Response response;
    response.metadata = R"({"x": ")" + giant + R"("})";
    return response;
  });
  router->on("body", [giant](Request&) {
    Response response;
    response.body.append(giant);
    return response;
  });
  router->on("message", [giant](Request&) -> Response { throw CallError(ErrorCode::aborted, giant); });
  router->on("data", [giant](Request&) -> Response {
    throw CallError(ErrorCode::aborted, "too late", R"({"x": ")" + giant + R"("})");
  });
  router->on_later("data.later",
                   [giant](Request, const Responder& reply) { reply.fail({-1, giant, '"' + giant + '"'}); });
  return router;
}

TEST(UdpService, a_reply_of_any_size_is_an_error_that_fits) {
  ServingMethods serving(router_of_giants());
  Datagrams client(serving.udp);
  for (const std::string method : {"result", "result.pool", "result.later", "metadata", "body"}) {
    const std::string reply = client.ask(padded(R"({"id": 1, "method": ")" + method + R"("})", 200));
    EXPECT_TRUE(has(reply, R"("code": -32048)") && has(reply, R"("got": 20000)")) << method << reply;
  }
  for (const std::string method : {"message", "data"}) {
    const std::string reply = client.ask(request(R"({"id": 1, "method": ")" + method + R"("})"));
    EXPECT_TRUE(has(reply, R"("code": -32050)")) << method << reply;
  }
  EXPECT_TRUE(has(client.ask(request(R"({"id": 1, "method": "data.later"})")), R"("code": -1,)"));
  EXPECT_EQ(client.ask(ping(7)), result("7", R"("pong")"));
}

TEST(UdpService, an_answer_that_is_not_json_is_an_error_that_says_so) {
  auto router = std::make_shared<Router>();
  const auto junk = [](Request&) {
    Response response;
    response.result = "junk";
    return response;
  };
  router->on("loop", junk);
  router->on_pool("pool", junk);
  router->on_later("later", [junk](Request request, const Responder& reply) { reply(junk(request)); });
  ServingMethods serving(router);
  Datagrams client(serving.udp);
  for (const std::string method : {"loop", "pool", "later"}) {
    const std::string why = "method \"" + method +
                            "\": result is not JSON: expecting a value at byte 0: junk; dump_json() makes JSON of "
                            "a value";
    EXPECT_EQ(client.ask(padded(R"({"id": 1, "method": ")" + method + R"("})", 200)), error("1", -32603, why));
    EXPECT_TRUE(serving.log.wait_for(why)) << method;
  }
}

TEST(UdpService, a_handler_that_throws_before_it_answers_is_answered_once) {
  auto router = std::make_shared<Router>();
  router->on_later("fails", [](Request, Responder) { throw std::runtime_error("no"); });
  ServingMethods serving(router);
  Datagrams client(serving.udp);
  EXPECT_TRUE(has(client.ask(request(R"({"id": 1, "method": "fails"})")), R"("message": "no")"));
  EXPECT_EQ(client.ask(ping(1)), result("1", R"("pong")"));
}

// All of this may be what another server sent, with the address of this one forged into its request.
TEST(UdpService, what_it_would_send_itself_is_not_answered) {
  Running server;
  Datagrams client(server.udp);
  EXPECT_EQ(client.ask("hello"), "HELLO");
  for (const std::string& own : {std::string("HELLO"), std::string(), std::string("1 2 3"), std::string("\xe4\xbd\xa0"),
                                 std::string(100, '\0'), result("1", R"("pong")"), result("1", "null", "body"),
                                 error("1", -32601, "method \"x\" not found"), error("null", -32600, "no frame")}) {
    EXPECT_EQ(client.try_ask(own), std::nullopt) << own;
  }
  EXPECT_EQ(client.try_ask("Hello"), "HELLO");
}

TEST(UdpService, a_fixed_reply_is_not_sent_to_those_who_send_it) {
  ServerOptions options;
  options.threads = 1;
  Server server(std::move(options));
  const Endpoint address = server.listen_udp(Endpoint::parse("127.0.0.1:0"), "Hello");
  server.start();
  Datagrams client(address);
  EXPECT_EQ(client.try_ask("hi"), "Hello");
  EXPECT_EQ(client.try_ask("Hello"), std::nullopt);
  EXPECT_EQ(client.try_ask("HELLO"), std::nullopt) << "what a server without a fixed reply makes of it";
  EXPECT_EQ(client.try_ask("x"), std::nullopt) << "its answer would be five times as large";
  EXPECT_EQ(client.try_ask(""), std::nullopt);
}

// One datagram that looks as if the other one had sent it.
TEST(UdpService, two_servers_do_not_answer_each_other_for_ever) {
  const std::optional<std::string> fixed[] = {std::nullopt, "one", "Two!", "three"};
  for (const auto& first : fixed) {
    for (const auto& second : fixed) {
      ServerOptions options;
      options.threads = 1;
      Server server(std::move(options));
      const Endpoint addresses[] = {server.listen_udp(Endpoint::parse("127.0.0.1:0"), first),
                                    server.listen_udp(Endpoint::parse("127.0.0.1:0"), second)};
      server.start();
      Datagrams clients[] = {Datagrams(addresses[0]), Datagrams(addresses[1])};
      std::optional<std::string> going = "hello";
      int answers = 0;
      while (going && answers < 200) going = clients[answers++ % 2].try_ask(*going);
      EXPECT_LT(answers, 100) << first.value_or("upper") << " and " << second.value_or("upper");
    }
  }
}

TEST(UdpService, an_answer_has_at_most_three_times_the_bytes_of_its_request) {
  Running server;
  Datagrams client(server.udp);
  const std::string small = request(R"({"id":1,"method":"rpc.discover"})");
  const std::string refused = client.ask(small);
  EXPECT_LE(refused.size(), 3 * small.size());
  EXPECT_TRUE(has(refused, R"("id": 1, "error": {"code": -32048, "message": "the reply has )")) << refused;
  const std::string told = client.ask(padded(R"({"id": 1, "method": "rpc.discover"})", 100));
  EXPECT_TRUE(has(told, "max_udp_ratio") && has(told, R"("status": "RESOURCE_EXHAUSTED", "limit": )")) << told;
  EXPECT_TRUE(has(client.ask(padded(R"({"id": 1, "method": "rpc.discover"})", 2000)), R"("openrpc": "1.3.2")"));
  for (const std::string& text : {std::string(R"({"id":1,"method":"no"})"), std::string(R"({"id":1,"method":""})"),
                                  R"({"id":"1","method":")" + std::string(50, '\x01') + R"("})",
                                  std::string(R"({"id":1,"method":"echo","more":1})")}) {
    const std::string datagram = request(text);
    const auto reply = client.try_ask(datagram);
    EXPECT_TRUE(!reply || reply->size() <= 3 * datagram.size()) << text;
  }
}

TEST(UdpService, the_ratio_can_be_set) {
  ServerOptions options;
  options.max_udp_ratio = 0;
  Running server(std::move(options));
  Datagrams client(server.udp);
  EXPECT_TRUE(has(client.ask(request(R"({"id":1,"method":"rpc.discover"})")), "openrpc"));
}

TEST(UdpService, a_source_has_a_rate) {
  ServerOptions options;
  options.max_udp_rate = 5;
  Running server(std::move(options));
  Datagrams client(server.udp);
  Datagrams other(server.udp);  // the same address: a port is no source
  constexpr int sent = 500;
  for (int i = 0; i < sent; ++i) (i % 2 == 0 ? client : other).send("hello");
  EXPECT_TRUE(server.log.wait_for("max_udp_rate (5 a second from one address)"));
  int answers = 0;
  while (client.has_one(std::chrono::milliseconds(100))) {
    EXPECT_EQ(client.receive(), "HELLO");
    ++answers;
  }
  EXPECT_GE(answers, 1);
  EXPECT_LT(answers, sent / 4);
}

// Methods whose calls wait until the test lets them go.
class Waiting {
 public:
  std::shared_ptr<Router> router() {
    auto router = std::make_shared<Router>();
    router->on_later("wait", [this](Request, Responder reply) {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(reply));
      changed_.notify_all();
    });
    return router;
  }
  bool wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return waiting_.size() == count; });
  }
  void answer_all() {
    const std::lock_guard lock(mutex_);
    for (const Responder& reply : waiting_) reply(Response(Json("done")));
    waiting_.clear();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Responder> waiting_;
};

TEST(UdpService, calls_in_flight_are_limited_in_count_and_bytes) {
  const std::string small = padded(R"({"id": 1, "method": "wait"})", 100);
  const std::string large = padded(R"({"id": 2, "method": "wait"})", 10'000);
  ServerOptions options;
  options.max_udp_calls = 3;
  options.max_udp_bytes = 12'000;
  Waiting waiting;
  ServingMethods serving(waiting.router(), std::move(options));
  Datagrams client(serving.udp);
  for (int i = 0; i < 3; ++i) client.send(small);
  ASSERT_TRUE(waiting.wait_for(3));
  EXPECT_EQ(client.ask(small),
            error("1", -32048, "max_udp_calls is 3: 4 calls by datagram wait", R"({"limit": 3, "got": 4})"));
  waiting.answer_all();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.receive(), result("1", R"("done")"));
  client.send(large);
  ASSERT_TRUE(waiting.wait_for(1));
  const std::string got = std::to_string(2 * large.size());
  EXPECT_EQ(client.ask(large), error("2", -32048, "max_udp_bytes is 12000: " + got + " bytes of calls wait",
                                     R"({"limit": 12000, "got": )" + got + "}"));
  EXPECT_EQ(client.ask(ping(3)), result("3", R"("pong")")) << "what is answered at once goes on";
  waiting.answer_all();
  EXPECT_EQ(client.receive(), result("2", R"("done")"));
  client.send(large);
  ASSERT_TRUE(waiting.wait_for(1));
  waiting.answer_all();
  EXPECT_EQ(client.receive(), result("2", R"("done")"));
}

TEST(UdpService, an_answer_after_the_end_of_the_server_goes_nowhere) {
  Waiting waiting;
  {
    ServingMethods serving(waiting.router());
    Datagrams client(serving.udp);
    client.send(request(R"({"id": 1, "method": "wait"})"));
    ASSERT_TRUE(waiting.wait_for(1));
  }
  waiting.answer_all();
}

}  // namespace
}  // namespace framecall::udp_service_test
