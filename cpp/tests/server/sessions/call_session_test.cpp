// Calls to a server, byte for byte.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "framecall/client.hpp"
#include "framecall/router.hpp"
#include "framecall/wire/digest.hpp"
#include "support/serving.hpp"

namespace framecall::calls_test {
namespace {

using namespace std::string_literals;

std::shared_ptr<Router> make_router() {
  auto router = std::make_shared<Router>();
  router->on("add", {"a", "b"}, [](int a, int b) { return a + b; });
  router->on("join", {"items", "with"}, [](const std::vector<std::string>& items, std::optional<std::string> with) {
    std::string text;
    for (const std::string& item : items) text.append(text.empty() ? "" : with.value_or("-")).append(item);
    return text;
  });
  router->on("unnamed", [](std::uint8_t small, double number, bool flag) {
    return std::map<std::string, Json>{{"small", small}, {"number", number}, {"flag", flag}};
  });
  router->on("nothing", [] {});
  router->on("count", [](Request& request) {
    Response response(Json(request.body().size()));
    if (const auto who = request.metadata("who")) response.metadata = dump_json({{"hello", *who}});
    return response;
  });
  router->on("refuse", [] { throw CallError(ErrorCode::not_found, "no such thing", R"({"key": 7})"); });
  router->on("break", []() -> int { throw std::out_of_range("at \x01 the \xff end"); });
  router->on("throw_int", []() -> int { throw 7; });
  router->on_pool("pool_add", {"a", "b"}, [](int a, int b) { return a + b; });
  router->on_pool("pool_break", []() -> int { throw std::runtime_error("in the pool"); });
  router->on_later("forget", [](Request, Responder) {});
  return router;
}

struct Serving : ServingMethods {
  explicit Serving(std::shared_ptr<Router> router = make_router(), ServerOptions options = {})
      : ServingMethods(std::move(router), std::move(options)) {}
};

TEST(Calls, are_answered_as_json_dumps_writes_it) {
  Serving server;
  const std::pair<std::string, std::string> rows[] = {
      {R"({"jsonrpc": "2.0", "id": 1, "method": "add", "params": [2, 40]})", result("1", "42")},
      {R"({"id": "a", "method": "add", "params": {"b": 1, "a": -3}})", result("\"a\"", "-2")},
      {R"({"id": 123456789012345678901234567890, "method": "add", "params": [1, 1]})",
       result("123456789012345678901234567890", "2")},
      {R"({"id": "\u4f60\"", "method": "join", "params": [["x", "\u4f60"], null]})",
       result(R"("\u4f60\"")", R"("x-\u4f60")")},
      {R"({"id": -0, "method": "join", "params": {"items": ["x", "y"], "with": "+"}})", result("-0", "\"x+y\"")},
      {R"({"id": 1.50, "method": "nothing"})", result("1.50", "null")},
      {R"({"id": 1e3, "method": "nothing"})", result("1e3", "null")},
      {R"({"id": 2, "method": "unnamed", "params": [255, 2, true]})",
       result("2", R"({"flag": true, "number": 2.0, "small": 255})")},
      {R"({"id": 3, "method": "nothing"})", result("3", "null")},
      {R"({"id": 3, "method": "nothing", "params": {}})", result("3", "null")},
      {R"({"id": 4, "method": "rpc.health"})", result("4", R"({"status": "SERVING"})")},
      {R"({"id": 5, "method": "rpc.ping"})", result("5", "\"pong\"")},
      {R"({"id": 6, "method": "echo", "params": {"a":[1,2.50,"\u00e9"]}})",
       result("6", R"({"a": [1, 2.5, "\u00e9"]})")},
      {R"({"id": 7, "method": "pool_add", "params": [1, 2]})", result("7", "3")},
  };
  std::string all, expected;
  for (const auto& [header, reply] : rows) {
    EXPECT_EQ(server.talk(request(header)), reply);
    if (header.find("pool") == std::string::npos) all += request(header), expected += reply;
  }
  EXPECT_EQ(server.talk(all), expected) << "pipelined";
}

// A handler whose answer has the text `value` as its `member`.
Response with_text(Request& request) {
  const auto member = request.params().at(0).get<std::string>(), value = request.params().at(1).get<std::string>();
  Response response;
  (member == "result" ? response.result : member == "metadata" ? response.metadata : response.layout) = value;
  return response;
}

TEST(Calls, that_are_answered_with_what_is_not_json_say_so_to_the_caller_and_in_the_log) {
  auto router = std::make_shared<Router>();
  router->on("loop", with_text);
  router->on_pool("pool", with_text);
  router->on_later("later", [](Request request, const Responder& reply) { reply(with_text(request)); });
  router->on("values", {"member", "value"}, [](const std::string& member, const std::string& value) {
    Response response;
    (member == "result" ? response.result : member == "metadata" ? response.metadata : response.layout) = value;
    return response;
  });
  router->on_stream("stream", [](Request& request, Stream&) { return with_text(request); });
  Serving server(router);
  struct Row {
    std::string member, text, why;
  };
  const Row rows[] = {
      {"result", "done", "result is not JSON: expecting a value at byte 0: done; dump_json() makes JSON of a value"},
      {"result", "", "result is not JSON: expecting a value at byte 0: ; dump_json() makes JSON of a value"},
      {"result", "1, \"x\": 2",
       "result is not JSON: extra data at byte 1: 1, \"x\": 2; dump_json() makes JSON of a value"},
      {"metadata", "[]", "metadata is not a JSON object without blanks around it: []"},
      {"metadata", R"({"x": 1})", R"(metadata is no object of strings: {"x": 1})"},
      {"layout", "junk", "layout is not JSON: expecting a value at byte 0: junk; dump_json() makes JSON of a value"},
      {"layout", "[1, 2]", "layout is not a JSON object without blanks around it: [1, 2]"},
  };
  std::size_t count = 0;
  for (const std::string method : {"loop", "pool", "later", "values", "stream"}) {
    for (const Row& row : rows) {
      const Json call = {{"id", 1}, {"method", method}, {"params", {row.member, row.text}}};
      const std::string why = "method \"" + method + "\": " + row.why;
      EXPECT_EQ(server.talk(request(dump_json(call))), error("1", -32603, why));
      EXPECT_TRUE(server.log.wait_for(why)) << why;
      ++count;
    }
    const Json call = {{"id", 1}, {"method", method}, {"params", {"result", R"( ["fine", NaN] )"}}};
    EXPECT_EQ(server.talk(request(dump_json(call))), result("1", R"( ["fine", NaN] )"));
  }
  EXPECT_EQ(server.log.count("method \""), count);
}

TEST(Calls, leave_out_the_data_of_an_error_that_is_not_json) {
  auto router = std::make_shared<Router>();
  router->on("named", [] { throw CallError(ErrorCode::not_found, "gone", "[1]"); });
  router->on("own", [] { throw RemoteError(7, "own", "junk"); });
  router->on("fine", [] { throw RemoteError(7, "own", "[1]"); });
  Serving server(router);
  EXPECT_EQ(server.talk(request(R"({"id": 1, "method": "named"})")),
            error("1", -32045, "gone; its data is left out: it is not a JSON object: [1]"));
  EXPECT_EQ(server.talk(request(R"({"id": 1, "method": "own"})")),
            error("1", 7, "own; its data is left out: it is not JSON text: junk"));
  EXPECT_EQ(server.talk(request(R"({"id": 1, "method": "fine"})")), error("1", 7, "own", "[1]"));
}

TEST(Calls, carry_bodies_of_every_size) {
  Serving server;
  for (const std::size_t size : {1u, 5u, 1000u, 65535u, 65536u, 200000u, 5000000u}) {
    const std::string body(size, 'a'), upper(size, 'A');
    const std::string header = R"({"id": 1, "method": "upper", "body_size": )" + std::to_string(size) + "}";
    EXPECT_TRUE(server.talk(request(header, body) + request(header, body)) ==
                result("1", "null", upper) + result("1", "null", upper))
        << size;
  }
  EXPECT_EQ(server.talk(request(R"({"id": 1, "method": "count", "body_size": 3, "metadata": {"who": "ann"}})", "abc")),
            encode_head(R"({"jsonrpc": "2.0", "id": 1, "result": 3, "metadata": {"hello": "ann"}})"));
}

TEST(Calls, that_fail_say_why_and_the_connection_goes_on) {
  Serving server;
  const std::string good = request(R"({"id": 9, "method": "nothing"})"), fine = result("9", "null");
  const std::pair<std::string, std::string> rows[] = {
      {R"({"id": 1, "method": "no"})", error("1", -32601, "method \"no\" not found")},
      {R"({"id": 1, "method": "add", "params": [1]})", error("1", -32602, "parameter 2 (b) is missing")},
      {R"({"id": 1, "method": "add"})", error("1", -32602, "parameter 1 (a) is missing")},
      {R"({"id": 1, "method": "add", "params": [1, 2, 3]})",
       error("1", -32602, "expected at most 2 parameters, got 3")},
      {R"({"id": 1, "method": "add", "params": {"a": 1, "c": 2}})",
       error("1", -32602, "unknown parameter c; expected: a, b")},
      {R"({"id": 1, "method": "add", "params": [1, "2"]})",
       error("1", -32602, R"(parameter 2 (b): expected an integer -2147483648 .. 2147483647, got "2")")},
      {R"({"id": 1, "method": "add", "params": [1, 2147483648]})",
       error("1", -32602, "parameter 2 (b): expected an integer -2147483648 .. 2147483647, got 2147483648")},
      {R"({"id": 1, "method": "add", "params": [true, 1]})",
       error("1", -32602, "parameter 1 (a): expected an integer -2147483648 .. 2147483647, got true")},
      {R"({"id": 1, "method": "unnamed", "params": [256, 1, true]})",
       error("1", -32602, "parameter 1: expected an integer 0 .. 255, got 256")},
      {R"({"id": 1, "method": "unnamed", "params": {"small": 1}})",
       error("1", -32602, "its parameters have no names: send them in an array")},
      {R"({"id": 1, "method": "join", "params": [[1]]})",
       error("1", -32602, "parameter 1 (items): expected an array, each item a string, got [1]")},
      {R"({"id": 1, "method": "refuse"})", error("1", -32045, "no such thing", R"({"key": 7})")},
      {R"({"id": 1, "method": "break"})",
       error("1", -32603, "at \x01 the \\xff end", R"({"type": "std::out_of_range"})")},
      {R"({"id": 1, "method": "throw_int"})", error("1", -32603, "the handler threw what is no std::exception")},
      {R"({"id": 1, "method": "pool_break"})", error("1", -32603, "in the pool", R"({"type": "std::runtime_error"})")},
      {R"({"id": 1, "method": "forget"})", error("1", -32603, "the handler gave no answer")},
      {R"({"jsonrpc": "1.0", "id": 1, "method": "add"})", error("1", -32600, "jsonrpc is not \"2.0\": \"1.0\"")},
      {R"({"id": 1, "method": 7})", error("1", -32600, "the method is not a string: 7")},
      {R"({"id": 1, "method": "add", "result": 1})", error("1", -32600, "method together with result or error")},
      {R"({"id": 1, "method": "add", "params": 7})",
       error("1", -32600, "params are neither an array nor an object: 7")},
      {R"({"id": 1, "method": "add", "timeout_ms": 0})", error("1", -32600, "timeout_ms is not an integer above 0: 0")},
      {R"({"id": 1, "method": "add", "stream": 1})", error("1", -32600, "stream is neither true nor false: 1")},
      {R"({"id": 1, "method": "add", "metadata": []})", error("1", -32600, "metadata is not an object: []")},
      {R"({"id": 1, "method": "rpc.cancel"})", error("1", -32602, "rpc.cancel: expected {\"id\": ID}")},
  };
  for (const auto& [header, reply] : rows) {
    if (header.find("pool") != std::string::npos || header.find("forget") != std::string::npos) {  // answered later
      EXPECT_EQ(server.talk(request(header)), reply);
      continue;
    }
    EXPECT_EQ(server.talk(request(header) + good), reply + fine);
    const std::string with_body = header.substr(0, header.size() - 1) + ", \"body_size\": 70000}";
    EXPECT_EQ(server.talk(request(with_body, std::string(70000, 'x')) + good), reply + fine);
  }
  for (const std::string header :
       {R"({"id": 1, "result": 7})", R"({"id": 1, "error": {}})", R"({"id": 1, "item": 1, "result": 2})"}) {
    const std::string reply = server.talk(request(header) + good);
    EXPECT_NE(reply.find(R"("id": null, "error": {"code": -32600)"), std::string::npos) << header << reply;
    EXPECT_EQ(reply.find("\"id\": 9"), std::string::npos) << "closed";
  }
  for (const std::string id : {"null", "true", "[1]", "{}", "NaN"}) {
    const std::string call = R"({"id": )" + id + R"(, "method": "add"})";
    EXPECT_EQ(server.talk(request(call) + good),
              error("null", -32600, "the id is neither a string nor a number: " + id) + fine);
  }
  // A part of a stream that is over may have been on its way.
  EXPECT_EQ(server.talk(request(R"({"id": 1, "item": 1, "body_size": 3})", "abc") + good), fine);
}

// Control characters and all: only what could not be sent, or would have no end, is changed.
TEST(Calls, that_fail_say_it_in_the_handlers_own_words) {
  const std::string special =
      "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n \x1b \u202e";
  const std::string x(998, 'x');
  const std::pair<std::string, std::string> texts[] = {
      {special, special},        {"", ""},
      {"a\xff", R"(a\xff)"},     {x + "\xe2\x98", x + R"(\xe2\x98)"},
      {x + "\n\n", x + "\n\n"},  {x + "\u00e9", x + "\u00e9"},
      {x + "\u263a", x + "..."}, {x + "\n\n\n", x + "\n\n..."},
  };
  for (const auto& row : texts) {
    const std::string& said = row.first;
    auto router = make_router();
    router->on("loop", [&said] { throw RemoteError(2, said, "[7]"); });
    router->on_pool("pool", [&said] { throw RemoteError(2, said, "[7]"); });
    router->on_stream("stream", [&said](Request&, Stream&) -> Response { throw RemoteError(2, said, "[7]"); });
    router->on("call_error", [&said] { throw CallError(ErrorCode::aborted, said); });
    router->on_later("later",
                     [&said](Request, Responder responder) { responder.error(CallError(ErrorCode::aborted, said)); });
    Serving server(router);
    Client client(server.tcp);
    for (const std::string method : {"loop", "pool", "stream", "call_error", "later"}) {
      const bool own_code = method != "call_error" && method != "later";
      EXPECT_EQ(server.talk(request(R"({"id": 1, "method": ")" + method + "\"}")),
                own_code ? error("1", 2, row.second, "[7]") : error("1", -32050, row.second))
          << method;
      try {
        client.call(method);
        ADD_FAILURE() << method << " did not fail";
      } catch (const RemoteError& failure) {
        EXPECT_EQ(failure.what(), row.second) << "as the client gives it to its caller: " << method;
      }
    }
  }
}

TEST(Calls, whose_result_no_frame_has_room_for_are_answered_with_an_error) {
  auto router = make_router();
  const auto huge = [] { return std::string(17 << 20, 'x'); };
  router->on("huge", huge);
  router->on_pool("pool_huge", huge);
  router->on("huge_error",
             [] { throw CallError(ErrorCode::aborted, "x", "{\"x\": \"" + std::string(17 << 20, 'x') + "\"}"); });
  router->on_pool("pool_huge_error",
                  [] { throw CallError(ErrorCode::aborted, "x", "{\"x\": \"" + std::string(17 << 20, 'x') + "\"}"); });
  Serving server(router);
  for (const std::string method : {"huge", "pool_huge", "huge_error", "pool_huge_error"}) {
    const std::string reply = server.talk(request(R"({"id": 1, "method": ")" + method + "\"}"));
    // Of an error the data is left out.
    const char* const expected = method.ends_with("error")
                                     ? R"("message": "x; its data is left out: it has 17825801 bytes)"
                                     : "bytes of result make a header of";
    EXPECT_NE(reply.find(expected), std::string::npos) << method << reply.substr(0, 200);
  }
  EXPECT_EQ(server.talk(request(R"({"id": 1, "method": "nothing"})")), result("1", "null"));
}

TEST(Calls, without_an_id_are_never_answered) {
  std::atomic<int> count = 0;
  auto router = make_router();
  router->on("tick", [&count] { ++count; });
  router->on_pool("pool_tick", [&count] { ++count; });
  Serving server(router);
  std::string all;
  for (const char* method : {"tick", "pool_tick", "refuse", "no", "break", "rpc.ping", "rpc.cancel"}) {
    all += request(std::string(R"({"method": ")") + method + R"(", "params": []})");
  }
  EXPECT_EQ(server.talk(all + request(R"({"id": 1, "method": "nothing"})")), result("1", "null"));
  EXPECT_EQ(count, 2) << "the connection closes when all of them have run";
}

TEST(Calls, bodies_are_checked_by_their_digest) {
  Serving server;
  const auto with = [](const std::string& digest) {
    return request(R"({"id": 1, "method": "upper", "body_size": 3, "digest": )" + digest + "}", "abc");
  };
  EXPECT_EQ(server.talk(with(R"({"sha-256": ")" + sha256_base64("abc") + "\"}")), result("1", "null", "ABC"));
  EXPECT_EQ(server.talk(with(R"({"sha-512": "?"})")), result("1", "null", "ABC"));
  const std::string wrong = server.talk(with(R"({"sha-256": ")" + sha256_base64("abd") + "\"}"));
  EXPECT_NE(wrong.find(R"("code": -32055)"), std::string::npos) << wrong;
}

TEST(Calls, above_max_body_are_refused_and_the_rest_goes_on) {
  ServerOptions options;
  options.max_body = 1000;
  options.refusal_bytes = 100000;
  Serving server(make_router(), options);
  const auto upper = [](std::size_t size) {
    return request(R"({"id": 1, "method": "upper", "body_size": )" + std::to_string(size) + "}",
                   std::string(size, 'x'));
  };
  const std::string after = request(R"({"id": 2, "method": "nothing"})");
  EXPECT_EQ(server.talk(upper(1001) + after),
            error("1", -32048, "a body of 1001 bytes: max_body is 1000", R"({"limit": 1000, "got": 1001})") +
                result("2", "null"));
  EXPECT_EQ(server.talk(upper(100001) + after),
            error("1", -32048, "a body of 100001 bytes: max_body is 1000", R"({"limit": 1000, "got": 100001})"))
      << "more than is read and dropped: the end";
}

TEST(Calls, in_flight_have_ids_of_their_own_and_answers_in_any_order) {
  Gate gate;
  auto router = make_router();
  router->on_pool("wait", [&gate] { return gate.pass(); });
  Serving server(router);
  Peer peer(server.tcp);
  peer.send(request(R"({"id": 1, "method": "wait"})") + request(R"({"id": 1, "method": "nothing"})") +
            request(R"({"id": 2, "method": "nothing"})"));
  const std::string first = error("1", -32600, "id 1 is in flight already") + result("2", "null");
  EXPECT_EQ(peer.receive(first.size()), first);
  gate.open();
  EXPECT_EQ(peer.receive(result("1", "true").size()), result("1", "true"));
  peer.send(request(R"({"id": 1, "method": "nothing"})"));
  EXPECT_EQ(peer.receive(result("1", "null").size()), result("1", "null")) << "the id is free again";
}

TEST(Calls, more_than_max_in_flight_are_not_read) {
  Gate gate;
  std::atomic<int> begun = 0;
  auto router = make_router();
  router->on_later("wait", [&](Request, Responder responder) {
    ++begun;
    std::thread([&gate, responder] {
      gate.pass();
      responder(Response());
    }).detach();
  });
  ServerOptions options;
  options.max_in_flight = 3;
  Serving server(router, options);
  Peer peer(server.tcp);
  std::string all, expected;
  for (int i = 0; i < 5; ++i) all += request(R"({"id": )" + std::to_string(i) + R"(, "method": "wait"})");
  peer.send(all);
  EXPECT_FALSE(peer.wait_for(POLLIN, std::chrono::milliseconds(100)));
  EXPECT_EQ(begun, 3);
  gate.open();
  for (int i = 0; i < 5; ++i) expected += result("0", "null");
  EXPECT_EQ(peer.receive(expected.size()).size(), expected.size());
  EXPECT_EQ(begun, 5);
}

TEST(Calls, are_cancelled_and_late_and_their_handlers_told) {
  auto router = make_router();
  std::atomic<int> told = 0;
  router->on_later("watch", [&told](Request request, Responder responder) {
    std::thread([request = std::move(request), responder, &told] {
      const auto end = std::chrono::steady_clock::now() + patience;
      while (!request.cancelled() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
      if (request.cancelled()) ++told;
      responder(Response());
    }).detach();
  });
  Serving server(router);
  Peer peer(server.tcp);
  peer.send(request(R"({"id": "x", "method": "watch"})") +
            request(R"({"method": "rpc.cancel", "params": {"id": "x"}})"));
  const std::string cancelled = error("\"x\"", -32041, "cancelled by the caller");
  EXPECT_EQ(peer.receive(cancelled.size()), cancelled);
  const auto begun = std::chrono::steady_clock::now();
  peer.send(request(R"({"id": "x", "method": "watch", "timeout_ms": 50})"));
  const std::string late = error("\"x\"", -32044, "timeout_ms has passed");
  EXPECT_EQ(peer.receive(late.size()), late);
  const auto taken = std::chrono::steady_clock::now() - begun;
  EXPECT_GE(taken, std::chrono::milliseconds(40));
  peer.send(request(R"({"id": "y", "method": "watch"})"));
  EXPECT_EQ(server.talk(request(R"({"id": 1, "method": "nothing"})")), result("1", "null"));
  peer.reset();  // nobody is left: the handler is told
  const auto end = std::chrono::steady_clock::now() + patience;
  while (told < 3 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  EXPECT_EQ(told, 3);
}

std::size_t entries_of(const char* folder) {
  const auto all = std::filesystem::directory_iterator(folder);
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

TEST(Calls, that_are_late_leave_nothing_behind) {
  std::atomic<int> begun{0}, told{0};
  auto router = make_router();
  router->on_pool("sleep", [&](Request& request) {
    ++begun;
    std::mutex mutex;
    std::condition_variable_any changed;
    std::unique_lock lock(mutex);
    changed.wait_for(lock, request.stop_token(), std::chrono::seconds(5), [] { return false; });
    if (request.cancelled()) ++told;
  });
  ServerOptions options;
  options.pool_threads = 64;
  Serving server(router, std::move(options));
  Peer peer(server.tcp);
  const auto sleep = [](int id) {
    return request(R"({"id": )" + std::to_string(id) + R"(, "method": "sleep", "timeout_ms": 50})");
  };
  const auto late = [](int id) { return error(std::to_string(id), -32044, "timeout_ms has passed"); };
  const auto start = std::chrono::steady_clock::now();
  peer.send(sleep(0));
  EXPECT_EQ(peer.receive(late(0).size()), late(0));
  const std::chrono::duration<double> once = std::chrono::steady_clock::now() - start;
  EXPECT_GE(once.count(), 0.04);
  EXPECT_LT(once.count(), 5);
  const std::size_t descriptors = entries_of("/proc/self/fd"), threads = entries_of("/proc/self/task");
  const int rounds = std::getenv("FRAMECALL_LONG_TESTS") != nullptr ? 100 : 10, at_once = 100;
  for (int round = 0; round < rounds; ++round) {
    std::string calls, expected;
    for (int id = 1; id <= at_once; ++id) calls += sleep(id), expected += late(id);
    peer.send(calls);
    const std::string said = peer.receive(expected.size());
    for (int id = 1; id <= at_once; ++id) EXPECT_NE(said.find(late(id)), std::string::npos) << id;
  }
  EXPECT_EQ(entries_of("/proc/self/fd"), descriptors);
  EXPECT_EQ(entries_of("/proc/self/task"), threads);
  EXPECT_GT(begun, rounds * 30);
  peer.close();
  server.end();
  EXPECT_EQ(told, begun) << "every handler that had begun";
}

TEST(Calls, that_are_under_way_are_answered_before_the_end) {
  Gate gate;
  auto router = make_router();
  router->on_pool("wait", [&gate] { return gate.pass(); });
  Serving server(router);
  Peer half(server.tcp), open(server.tcp);
  half.send(request(R"({"id": 1, "method": "wait"})"));
  half.half_close();
  open.send(request(R"({"id": 2, "method": "wait"})"));
  // Both have begun when the server is told to end: the health of a third connection is asked behind them.
  EXPECT_EQ(server.talk(request(R"({"id": 3, "method": "nothing"})")), result("3", "null"));
  server.server->drain();
  gate.open();
  // Whether the answer is given before or behind the begin of the end, which asks for other connections.
  for (const auto& [id, said] : {std::pair("1", half.receive_all()), std::pair("2", open.receive_all())}) {
    std::string closing;
    write_reply(closing, id, Response(Json(true)), true);
    EXPECT_TRUE(said == result(id, "true") || said == encode_head(closing)) << said;
  }
  server.server->wait();
}

TEST(Calls, a_deadline_is_written_from_a_millisecond_on) {
  CallHead head;
  head.id = "1";
  head.method = "add";
  for (const auto& [timeout, member] : {std::pair(0, ""), std::pair(1, R"(, "timeout_ms": 1)")}) {
    head.timeout_ms = static_cast<std::uint64_t>(timeout);
    std::string header;
    write_call(header, head, 0);
    EXPECT_EQ(header, std::string(R"({"jsonrpc": "2.0", "id": 1, "method": "add")") + member + "}");
  }
}

TEST(Calls, the_hint_of_the_last_reply_joins_the_metadata_of_a_handler) {
  Response response(Json(7));
  for (const auto& [metadata, together] :
       {std::pair("", R"({"connection": "close"})"), std::pair("{}", R"({"connection": "close"})"),
        std::pair(R"({"trace": "a"})", R"({"trace": "a", "connection": "close"})")}) {
    response.metadata = metadata;
    std::string header;
    write_reply(header, "1", response, true);
    EXPECT_EQ(dump_json(parse_json(header)["metadata"]), together);
  }
}

TEST(Calls, a_reply_has_the_digest_of_its_body_if_it_has_one) {
  Response response;
  response.digest = true;
  for (const std::string body : {"", "abc"}) {
    response.body.append(body);
    std::string header;
    write_reply(header, "1", response);
    const Json digest = parse_json(header).value("digest", Json());
    EXPECT_EQ(dump_json(digest), body.empty() ? "null" : R"({"sha-256": ")" + sha256_base64(body) + "\"}");
  }
}

TEST(Calls, that_are_kept_need_nothing_that_was_read) {
  for (const std::size_t size : {0, 1, 4095, 4096, 70000}) {
    const auto check = [size](Request& request) {
      EXPECT_EQ(request.method(), "upper");
      EXPECT_EQ(request.params_text(), "[1]");
      EXPECT_EQ(request.metadata("who"), "me");
      EXPECT_EQ(request.peer(), "127.0.0.1:1");
      EXPECT_EQ(request.body(), std::string(size, 'b'));
    };
    std::string text = R"({"jsonrpc": "2.0", "id": 1, "method": "upper", "params": [1], "metadata": {"who": "me"}})";
    std::string body(size, 'b'), peer = "127.0.0.1:1";
    Header header;
    header.read(text);
    CallHead head;
    read_call(header, head);
    Request request(head, std::string_view(body), peer);
    for (int times = 0; times < 2; ++times) {
      request.keep();
      for (std::string* borrowed : {&text, &body, &peer}) std::fill(borrowed->begin(), borrowed->end(), '#');
      check(request);
    }
    Request moved = std::move(request);
    check(moved);
    EXPECT_EQ(moved.take_body().view(), std::string(size, 'b'));
    EXPECT_TRUE(moved.body().empty());
  }
}

TEST(Router, describes_its_methods) {
  const auto router = make_router();
  const Json document = router->discover();
  EXPECT_EQ(document["openrpc"], "1.3.2");
  Json add;
  for (const Json& method : document["methods"]) {
    if (method["name"] == "add") add = method;
  }
  EXPECT_EQ(dump_json(add), R"({"name": "add", "params": [{"name": "a", "required": true, "schema": {"type": )"
                            R"("integer"}}, {"name": "b", "required": true, "schema": {"type": "integer"}}], )"
                            R"("result": {"name": "result", "schema": {"type": "integer"}}})");
  Serving server;
  const std::string reply = server.talk(request(R"({"id": 1, "method": "rpc.discover"})"));
  EXPECT_EQ(reply, result("1", dump_json(document)));
  Router wrong;
  EXPECT_THROW(wrong.on("f", {"a"}, [](int, int) {}), std::invalid_argument);
  EXPECT_THROW(wrong.on("", [] {}), std::invalid_argument);
}

}  // namespace
}  // namespace framecall::calls_test
