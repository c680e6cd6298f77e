// The blocking client, against servers and against peers that do what the test says.
#include "framecall/client.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "framecall/stream.hpp"
#include "support/sanitizers.hpp"
#include "support/script.hpp"
#include "support/serving.hpp"

namespace framecall::client_test {
namespace {

using namespace std::chrono_literals;

std::shared_ptr<Router> make_router() {
  auto router = std::make_shared<Router>();
  router->on("add", {"a", "b"}, [](int a, int b) { return a + b; });
  router->on("who", [](Request& request) {
    Response response(Json(request.timeout_ms() > 0));
    if (const auto name = request.metadata("name")) response.metadata = dump_json({{"hello", *name}});
    response.digest = true;
    response.body.append(request.body());
    response.layout = request.layout();
    return response;
  });
  router->on("refuse", [] { throw CallError(ErrorCode::not_found, "no such thing", R"({"key": 7})"); });
  router->on_stream("echo_parts", [](Request&, Stream& stream) {
    for (Part one; stream.read(one);) stream.write(std::move(one));
    Response response;
    response.metadata = R"({"end": "here"})";
    return response;
  });
  router->on_stream("produce", [](Request& request, Stream& stream) {
    for (int i = 0; i < request.params().at(0).get<int>(); ++i) {
      Part one;
      one.value = std::to_string(i);
      one.body.append(std::string(100000, 'p'));
      stream.write(std::move(one));
    }
    return Response(Json("end"));
  });
  return router;
}

struct Serving : ServingMethods {
  explicit Serving(ServerOptions options = {}) : ServingMethods(make_router(), std::move(options)) {}
};

template <class Error>
std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("another: ").append(error.what());
  }
  return "nothing was thrown";
}

// Reads one request, frame by frame, and drops it.
void read_request(Peer& peer) {
  const std::string prefix = peer.receive(4);
  std::uint32_t size = 0;
  for (int i = 3; i >= 0; --i) size = size << 8 | static_cast<unsigned char>(prefix[static_cast<std::size_t>(i)]);
  peer.receive(size);
}

TEST(Client, calls_methods) {
  Serving server;
  for (const Endpoint& endpoint : {server.tcp, server.unix_socket}) {
    Client client(endpoint);
    EXPECT_EQ(client.call("add", {2, 3}).get<int>(), 5);
    EXPECT_EQ(client.call("add", {{"a", 2}, {"b", 40}}).get<int>(), 42);
    EXPECT_EQ(client.request("upper", nullptr, "hello").body.view(), "HELLO");
    CallOptions options;
    options.metadata["name"] = "x";
    options.timeout = 5s;
    options.digest = true;
    const Response response = client.request("who", nullptr, "body", options);
    EXPECT_EQ(response.result, "true");
    EXPECT_EQ(response.metadata, R"({"hello": "x"})");
    EXPECT_EQ(response.body.view(), "body");
    EXPECT_EQ(client.request("who").result, "false");
    client.notify("add", {1, 1});
    try {
      client.call("refuse");
      ADD_FAILURE();
    } catch (const RemoteError& error) {
      EXPECT_EQ(error.code(), -32045);
      EXPECT_STREQ(error.what(), "no such thing");
      EXPECT_EQ(error.data(), R"({"status": "NOT_FOUND", "key": 7})");
    }
    EXPECT_EQ(client.call("add", {1, 1}).get<int>(), 2) << "the connection goes on";
  }
}

TEST(Client, tells_how_arrays_lie_in_a_body) {
  const Serving serving;
  Client client(serving.tcp);
  CallOptions options;
  options.layout = R"({"dtype": "<f4", "shape": [2, 3]})";
  Response response = client.request("who", nullptr, std::string(24, 'x'), options);
  EXPECT_EQ(response.layout, options.layout);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(response.body.data()) % Buffer::alignment, 0u);
  options.layout = R"({"tensors": {"a": {"dtype": "|u1", "shape": [24], "data_offsets": [0, 24]}}})";
  response = client.request_text("who", "", std::string(24, 'x'), options);
  EXPECT_EQ(response.layout, options.layout);
  ClientStream stream = client.stream_text("who", "{}", std::string(24, 'y'), options);
  Part part;
  EXPECT_TRUE(stream.read(part));
  EXPECT_EQ(part.layout, options.layout);
  EXPECT_EQ(client.request("who", nullptr, "z").layout, "");
}

TEST(Client, moves_large_bodies_both_ways) {
  Serving server;
  Client client(server.tcp);
  const std::string body(20000000, 'b');
  EXPECT_TRUE(client.request("upper", nullptr, body).body.view() == std::string(body.size(), 'B'));
  Pipeline pipeline = client.pipeline();
  for (int i = 0; i < 6; ++i) pipeline.add("echo", {i}, body);  // more than all buffers take: it reads while it sends
  const auto outcomes = pipeline.run();
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    EXPECT_EQ(outcomes[i].response.result, dump_json(Json::array({i})));
    EXPECT_TRUE(outcomes[i].response.body.view() == body);
  }
}

TEST(Client, refuses_what_no_header_has_room_for_before_it_is_sent) {
  Serving server;
  Client client(server.tcp);
  const Json large = {std::string(1 << 20, 'x')};
  const std::string why =
      R"(call of "echo": 1048580 bytes of params make a header of 1048637 bytes: max_header is 1048576; send it as the body)";
  EXPECT_EQ(message_of<std::invalid_argument>([&] { client.call("echo", large); }), why);
  EXPECT_EQ(message_of<std::invalid_argument>([&] { client.notify("echo", large); }).substr(0, 20), why.substr(0, 20));
  ClientOptions options;
  options.max_header = 1 << 22;
  EXPECT_THROW(Client(server.tcp, options).call("echo", large), RemoteError);  // the server takes no such header
  CallOptions streamed;
  streamed.more = true;
  ClientStream stream = client.stream("echo_parts", nullptr, {}, streamed);
  Part part;
  part.value = dump_json(large);
  EXPECT_THROW(stream.write(part), std::invalid_argument);
  part.value = "1";
  EXPECT_TRUE(stream.write(part));
  EXPECT_TRUE(stream.read(part));
}

TEST(Client, refuses_a_part_that_is_not_json_before_it_is_sent) {
  Serving server;
  Client client(server.tcp);
  CallOptions options;
  options.layout = "junk";
  EXPECT_THROW(client.request("echo", nullptr, "x", options), std::invalid_argument);
  options.layout.clear();
  options.more = true;
  ClientStream stream = client.stream("echo_parts", nullptr, {}, options);
  Part part;
  part.value = "junk";
  EXPECT_EQ(message_of<std::invalid_argument>([&] { stream.write(part); }),
            "value is not JSON: expecting a value at byte 0: junk; dump_json() makes JSON of a value");
  part.value = R"(["fine"])";
  EXPECT_TRUE(stream.write(part));
  EXPECT_TRUE(stream.read(part));
  EXPECT_EQ(part.value, R"(["fine"])");
}

TEST(Client, writes_lengths_as_its_dialect_does) {
  Serving server(Running::in_dialect("big-endian"));
  ClientOptions options;
  options.dialect = std::make_shared<const Dialect>(find_dialect("big-endian"));
  Client client(server.tcp, options);
  EXPECT_EQ(client.call("add", {2, 3}), 5);
  CallOptions streamed;
  streamed.more = true;
  {
    ClientStream stream = client.stream("echo_parts", nullptr, {}, streamed);
    Part part;
    part.value = "7";
    EXPECT_TRUE(stream.write(part));
    EXPECT_TRUE(stream.read(part));
    EXPECT_EQ(part.value, "7");
  }  // abandoned: the server is told
  EXPECT_EQ(client.call("add", {2, 3}), 5);
  server.end();
  EXPECT_EQ(server.log.count("refused"), 0u);
}

TEST(Client, sends_many_calls_at_once) {
  Serving server;
  Client client(server.unix_socket);
  Pipeline pipeline = client.pipeline();
  for (int i = 0; i < 1000; ++i) pipeline.add("add", {i, 1});
  pipeline.add("refuse");
  pipeline.add("add", {"x", 1});
  auto outcomes = pipeline.run();
  ASSERT_EQ(outcomes.size(), 1002u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(outcomes[static_cast<std::size_t>(i)].get().value(), i + 1);
  EXPECT_EQ(message_of<RemoteError>([&] { outcomes[1000].get(); }), "no such thing");
  EXPECT_EQ(message_of<RemoteError>([&] { outcomes[1001].get(); }),
            "parameter 1 (a): expected an integer -2147483648 .. 2147483647, got \"x\"");
  EXPECT_EQ(pipeline.size(), 0u);
  EXPECT_TRUE(pipeline.run().empty());
}

TEST(Client, streams_both_ways) {
  Serving server;
  Client client(server.tcp);
  CallOptions options;
  options.more = true;
  for (int round = 0; round < 2; ++round) {  // the second one on the same connection
    ClientStream stream = client.stream("echo_parts", nullptr, {}, options);
    Part part;
    for (int i = 0; i < 100; ++i) {
      Part sent;
      sent.value = std::to_string(i);
      sent.body.append(std::string(static_cast<std::size_t>(i) * 1000, 'x'));
      stream.write(sent);
      ASSERT_TRUE(stream.read(part));
      EXPECT_EQ(part.value, sent.value);
      EXPECT_EQ(part.body.view(), sent.body.view());
    }
    stream.finish_writing();
    EXPECT_FALSE(stream.read(part));
    EXPECT_FALSE(stream.read(part));
    EXPECT_EQ(stream.metadata(), R"({"end": "here"})");
    EXPECT_THROW(stream.write(Part()), std::logic_error);
  }
  EXPECT_EQ(client.call("rpc.stats")["connections"], 1);
  {
    ClientStream stream = client.stream("produce", {1000});  // given up in the middle
    Part part;
    EXPECT_TRUE(stream.read(part));
  }
  ClientStream stream = client.stream("produce", {5});
  std::string values;
  for (Part part; stream.read(part);) values += part.value + ",";
  EXPECT_EQ(values, "0,1,2,3,4,\"end\",");
  ClientStream cancelled = client.stream("echo_parts", nullptr, {}, options);
  cancelled.cancel();
  Part part;
  EXPECT_NE(message_of<RemoteError>([&] { cancelled.read(part); }).find("cancelled"), std::string::npos);
}

TEST(Client, cancels_a_stream_that_is_destroyed_before_its_end) {
  std::promise<void> stopped;
  auto router = std::make_shared<Router>();
  router->on_stream("quiet", [&stopped](Request& request, Stream& stream) {
    stream.write(Part());
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any().wait_for(lock, request.stop_token(), 60s, [] { return false; });
    if (request.cancelled()) stopped.set_value();
    return Response();
  });
  ServingMethods server(std::move(router));
  Client client(server.tcp);
  {
    ClientStream stream = client.stream("quiet");
    Part part;
    EXPECT_TRUE(stream.read(part));
  }
  EXPECT_EQ(stopped.get_future().wait_for(20s), std::future_status::ready);
}

TEST(Client, is_told_that_nobody_takes_its_parts) {
  Serving server;
  Client client(server.tcp);
  CallOptions options;
  options.more = true;
  ClientStream refused = client.stream("no_such_method", nullptr, {}, options);
  Part part;
  part.body.append(std::string(1000, 'x'));
  while (refused.write(part)) {
  }
  EXPECT_EQ(message_of<RemoteError>([&] { refused.read(part); }), "method \"no_such_method\" not found");
  Script script([](Peer& peer) {
    peer.receive(200);
    peer.reset();
  });
  Client lost(script.endpoint());
  ClientStream stream = lost.stream("x", nullptr, {}, options);
  part.body.append(std::string(1000, 'x'));
  while (stream.write(part)) {
  }
  EXPECT_NE(message_of<UnavailableError>([&] { stream.read(part); }).find("\"x\" under way"), std::string::npos);
}

TEST(Client, takes_pieces_of_what_is_too_large_in_streams_only) {
  Serving server;
  ClientOptions options;
  options.max_body = 1000000;
  Client client(server.tcp, options);
  const std::string body(3000000, 'x');
  EXPECT_EQ(message_of<ProtocolError>([&] { client.request("echo", nullptr, body); }),
            server.tcp.to_string() + ": the body of a reply has 3000000 bytes, more than max_body of this client");
  ClientStream stream = client.stream("who", nullptr, body);
  std::string received;
  int pieces = 0;
  for (Part part; stream.read(part); ++pieces) {
    EXPECT_EQ(part.value, pieces == 0 ? "false" : "null");
    received += part.body.view();
  }
  EXPECT_GT(pieces, 2);
  EXPECT_TRUE(received == body);
}

TEST(Client, serves_many_threads) {
  Serving server;
  Client client(server.tcp);
  const bool long_run = std::getenv("FRAMECALL_LONG_TESTS") != nullptr;
  const int threads = long_run ? 64 : 8, calls = long_run ? 10000 : 300;
  std::atomic<int> right{0};
  std::vector<Background> all;
  for (int t = 0; t < threads; ++t) {
    all.emplace_back([&, t] {
      for (int i = 0; i < calls; ++i) right += client.call("add", {t, i}).get<int>() == t + i ? 1 : 0;
    });
  }
  for (Background& thread : all) thread.join();
  EXPECT_EQ(right, threads * calls);
  EXPECT_LE(client.call("rpc.stats")["connections"].get<int>(), threads * calls / 4) << "connections are used again";
}

TEST(Client, has_connections_of_its_own_in_a_child) {
  Serving server;
  Client client(server.unix_socket);
  EXPECT_EQ(client.call("add", {1, 1}).get<int>(), 2);
  std::atomic<bool> end{false};
  Background busy([&] {  // whatever it is doing when fork() comes
    while (!end) client.call("add", {1, 1});
  });
  const std::shared_ptr<void> at_end(nullptr, [&](void*) { end = true; });  // however the test ends
  for (int i = 0; i < 20; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      int code = 1;
      try {
        code = client.call("add", {20, 22}).get<int>() == 42 ? 0 : 2;
      } catch (...) {
      }
      ::_exit(code);
    }
    int status = -1;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    EXPECT_EQ(client.call("add", {1, 2}).get<int>(), 3);
  }
  end = true;
  busy.join();
}

TEST(Client, names_who_could_not_be_reached_and_how_often_it_was_tried) {
  Endpoint nobody;
  {
    PeerListener listener;
    nobody = listener.endpoint();
  }
  ClientOptions options;
  options.backoff = 2ms;
  Client client(nobody, options);
  const std::string message = message_of<std::system_error>([&] { client.call("x"); });
  EXPECT_TRUE(message.starts_with(std::string("cannot connect to ").append(nobody.to_string()) + " (3 attempts in 0."))
      << message;
  EXPECT_TRUE(message.ends_with("s): Connection refused")) << message;
  Client unknown(Endpoint::parse("no-such-host.invalid:1"), options);
  try {
    unknown.call("x");
    ADD_FAILURE() << "there is no such host";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().category(), lookup_category());
    EXPECT_TRUE(std::string_view(error.what()).starts_with("host not found: no-such-host.invalid:1")) << error.what();
  }
  EXPECT_NE(message_of<std::system_error>([&] { unknown.call("x"); }).find("no-such-host.invalid:1"),
            std::string::npos);
}

TEST(Client, gives_up_when_the_time_is_over) {
  Script script([](Peer& peer) { EXPECT_EQ(peer.receive_all().find("timeout_ms") != std::string::npos, true); });
  Client client(script.endpoint());
  CallOptions options;
  options.timeout = 30ms;
  const auto start = std::chrono::steady_clock::now();
  const std::string message = message_of<std::system_error>([&] { client.call("slow", nullptr, options); });
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
  EXPECT_TRUE(message.starts_with(script.endpoint().to_string() + ": no reply to \"slow\" (1 attempt in 0.0"))
      << message;
  client.close();
}

TEST(Client, lets_the_caller_end_a_wait) {
  Script script([](Peer& peer) { peer.receive_all(); });
  struct Interrupted {};
  ClientOptions options;
  std::atomic<int> waits{0};
  options.check = [&waits] {
    if (++waits == 2) throw Interrupted();
  };
  Client client(script.endpoint(), options);
  EXPECT_THROW(client.call("slow"), Interrupted);
}

TEST(Client, tells_what_was_under_way_when_a_connection_broke) {
  for (const bool reset : {false, true}) {
    Script script([reset](Peer& peer) {
      read_request(peer);
      if (reset) peer.reset();
    });
    Client client(script.endpoint());
    const std::string message = message_of<UnavailableError>([&] { client.call("x"); });
    EXPECT_TRUE(message.starts_with(std::string("UNAVAILABLE: ").append(script.endpoint().to_string()) +
                                    ": the connection was lost with \"x\" under way (1 attempt in "))
        << message;
    EXPECT_TRUE(message.ends_with("Connection reset by peer")) << message;
  }
}

TEST(Client, connects_again_after_a_restart) {
  std::optional<Serving> server(std::in_place);
  const Endpoint endpoint = server->tcp;
  Client client(endpoint);
  EXPECT_EQ(client.call("add", {1, 1}).get<int>(), 2);
  server.reset();
  EXPECT_THROW(client.call("add", {1, 1}), std::system_error);
  ServerOptions options;
  options.router = make_router();
  Server again(std::move(options));
  again.listen(endpoint);
  again.start();
  EXPECT_EQ(client.call("add", {1, 1}).get<int>(), 2);
}

TEST(Client, sends_idempotent_calls_again) {
  PeerListener listener;
  Background peers([&] {
    for (int i = 0; i < 2; ++i) {  // lost in the middle, twice: the second time for the one that may not be sent again
      Peer lost = listener.accept();
      read_request(lost);
    }
    Peer answering = listener.accept();
    read_request(answering);
    answering.send(result("1", "\"well\""));
    answering.receive_all();
  });
  ClientOptions options;
  options.backoff = 1ms;
  {
    Client client(listener.endpoint(), options);
    EXPECT_THROW(client.call("x"), UnavailableError);
    CallOptions idempotent;
    idempotent.idempotent = true;
    EXPECT_EQ(client.call("x", nullptr, idempotent), "well");
  }
  peers.join();
}

// It may be what has ended the servers.
TEST(Client, sends_an_idempotent_call_twice_at_most_and_pauses_in_between) {
  const LosingServers servers(3);
  ClientOptions options;
  options.backoff = 100ms;
  options.attempts = 10;
  Client client(servers.endpoints(), options);
  CallOptions idempotent;
  idempotent.idempotent = true;
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THROW(client.call("x", nullptr, idempotent), UnavailableError);
  EXPECT_EQ(servers.requests(), 2);
  EXPECT_GE(std::chrono::steady_clock::now() - start, 50ms);
  Pipeline pipeline = client.pipeline();
  pipeline.add("x");
  EXPECT_THROW(pipeline.run(idempotent), UnavailableError);
  EXPECT_EQ(servers.requests(), 4);
}

TEST(Client, goes_elsewhere_when_it_is_told_to) {
  PeerListener listener;
  Background peers([&] {
    for (int i = 0; i < 2; ++i) {
      Peer peer = listener.accept();
      read_request(peer);
      std::string header;
      write_reply(header, "1", Response(Json(i)), true);
      peer.send(encode_head(header));
      EXPECT_EQ(peer.receive_all(), "") << "the client has closed";
    }
  });
  {
    Client client(listener.endpoint());
    EXPECT_EQ(client.call("x"), 0);
    EXPECT_EQ(client.call("x"), 1);
  }
  peers.join();
}

TEST(Client, spreads_its_calls_and_leaves_out_who_is_down) {
  Serving one, two;
  Endpoint nobody;
  {
    PeerListener listener;
    nobody = listener.endpoint();
  }
  ClientOptions options;
  options.backoff = 10s;  // longer than the test
  options.max_backoff = 10s;
  Client client(std::vector<Endpoint>{one.tcp, nobody, two.tcp}, options);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client.call("add", {i, i}).get<int>(), 2 * i);
  Client first(one.tcp), second(two.tcp);
  EXPECT_GE(first.call("rpc.stats")["calls"].get<int>(), 8);
  EXPECT_GE(second.call("rpc.stats")["calls"].get<int>(), 8);
  EXPECT_THROW(Client(std::vector<Endpoint>()), std::invalid_argument);
}

TEST(Client, takes_no_reply_for_another) {
  const std::pair<std::string, std::string> rows[] = {
      {result("2", "1"), "a reply to id 2, where 1 is under way"},
      {request(R"({"id": 1})"), "a frame without result or error, where a reply was due"},
      {request(R"({"id": 1, "method": "x"})"), "a frame without result or error"},
      {request(R"({"id": 1, "result": 1, "error": {"code": 1, "message": "x"}})"),
       "a reply with both result and error"},
      {request(R"({"id": 1, "error": 5})"), "an error that is no object"},
      {request(R"({"id": [1], "result": 1})"), "the id is neither a string nor a number"},
      {request(R"({"id": 1, "result": 1, "more": true})"), "a streamed reply, where none was asked for"},
      {request(R"({"id": 1, "result": 1, "body_size": 3, "digest": {"sha-256": "AAAA"}})", "abc"),
       "the sha-256 of the body is"},
      {request("[1, 2]"), "JSON but not an object"},
      {"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"}};
  for (const auto& [reply, expected] : rows) {
    Script script([&reply = reply](Peer& peer) {
      read_request(peer);
      peer.send(reply);
      peer.receive_all();
    });
    std::string message;
    {
      Client client(script.endpoint());
      message = message_of<ProtocolError>([&] { client.request("x"); });
      if (expected.starts_with("the sha")) client.close();
    }
    EXPECT_NE(message.find(expected), std::string::npos) << message;
  }
}

TEST(Client, passes_on_what_a_server_says_before_it_closes) {
  Script script([](Peer& peer) {
    read_request(peer);
    peer.send(error("null", -32048, "too many connections"));
  });
  Client client(script.endpoint());
  EXPECT_EQ(message_of<RemoteError>([&] { client.call("x"); }), "too many connections");
}

TEST(Client, refuses_what_cannot_be_sent) {
  Serving server;
  Client client(server.tcp);
  EXPECT_EQ(message_of<std::invalid_argument>([&] { client.call("x", Json(5)); }),
            "params are neither an array nor an object: 5");
  CallOptions options;
  options.metadata["a"] = 5;
  EXPECT_EQ(message_of<std::invalid_argument>([&] { client.call("x", nullptr, options); }),
            "metadata is no object of strings: {\"a\": 5}");
  EXPECT_THROW(client.call("x", {std::string("\xff")}), std::invalid_argument);
  EXPECT_THROW(client.call(std::string(20000000, 'x')), std::invalid_argument);
  CallOptions late;
  late.timeout = -1s;
  EXPECT_THROW(client.call("x", nullptr, late), std::invalid_argument);
  client.close();
  client.close();
  EXPECT_EQ(message_of<std::logic_error>([&] { client.call("add", {1, 1}); }), "the client is closed");
}

TEST(Client, loses_no_call_when_the_server_ends_under_load) {
  std::optional<Serving> server(std::in_place);
  Client client(server->tcp);
  std::atomic<int> answered{0};
  std::vector<std::string> failures(8);
  std::vector<Background> callers;
  for (std::string& failure : failures) {
    callers.emplace_back([&] {
      try {
        for (;;) {
          client.call("add", {1, 1});
          ++answered;
        }
      } catch (const std::exception& error) {
        failure = error.what();
      }
    });
  }
  while (answered < 200) std::this_thread::yield();
  server->server->drain();
  server->server->wait();
  for (Background& caller : callers) caller.join();
  // Every one of them ended when it could not connect any more; none lost a call.
  for (const std::string& failure : failures) EXPECT_TRUE(failure.starts_with("cannot connect")) << failure;
}

}  // namespace
}  // namespace framecall::client_test
