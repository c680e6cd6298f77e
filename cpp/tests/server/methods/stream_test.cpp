// Streams: at the server byte for byte, and the handler's side of them.
#include "framecall/stream.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "framecall/wire/digest.hpp"
#include "support/serving.hpp"

namespace framecall::stream_test {
namespace {

using namespace std::chrono_literals;

std::string part(std::string_view id, std::string_view value, std::string_view body = {}) {
  std::string header = std::string(R"({"jsonrpc": "2.0", "id": )")
                           .append(id)
                           .append(", \"result\": ")
                           .append(value)
                           .append(", \"more\": true");
  if (!body.empty()) header.append(", \"body_size\": ").append(std::to_string(body.size()));
  return encode_head(header + "}").append(body);
}

// What the handlers of make_router() have seen.
struct Seen {
  Gate go_on;
  std::atomic<int> begun{0}, told{0};
};

std::shared_ptr<Router> make_router(Seen& seen) {
  auto router = std::make_shared<Router>();
  router->on("one_frame", [] { return 1; });
  router->on_stream("count", [](Request& request, Stream& stream) {
    const int count = request.params().at(0).get<int>();
    for (int i = 0; i < count; ++i) {
      Part one;
      one.value = std::to_string(i);
      stream.write(std::move(one));
    }
    return Response(Json("done"));
  });
  router->on_stream("collect", [](Request& request, Stream& stream) {
    std::string text(request.body());
    Json values = Json::array();
    int pieces = 0;
    for (Part one; stream.read(one);) {
      if (one.continues) ++pieces;
      text += one.body.view();
      values.push_back(parse_json(one.value));
    }
    Response response(Json{{"values", pieces > 0 ? Json(pieces > 1) : values}, {"size", text.size()}});
    if (text.size() < 100) response.body.append(text);
    return response;
  });
  router->on_stream("junk_part", [&seen](Request&, Stream& stream) {
    Part one;
    one.value = "junk";
    stream.write(std::move(one));
    try {
      for (Part none; stream.read(none);) {
      }
    } catch (const CallError&) {
      ++seen.told;
    }
    return Response();
  });
  router->on_stream("echo_parts", [](Request&, Stream& stream) {
    for (Part one; stream.read(one);) stream.write(std::move(one));
    return Response();
  });
  router->on_stream("late_reader", [&seen](Request&, Stream& stream) {
    seen.go_on.pass();
    std::uint64_t size = 0;
    for (Part one; stream.read(one);) size += one.body.size();
    return Response(Json(size));
  });
  router->on_stream("wait", [&seen](Request&, Stream& stream) {
    ++seen.begun;
    try {
      for (Part one; stream.read(one);) {
      }
    } catch (const CallError&) {
      ++seen.told;
      throw;
    }
    return Response();
  });
  router->on_stream("flood", [&seen](Request&, Stream& stream) {
    try {
      for (;;) {
        Part one;
        one.body.append(std::string(10000, 'x'));
        stream.write(std::move(one));
      }
    } catch (const CallError&) {
      ++seen.told;
    }
    return Response();
  });
  return router;
}

struct Streaming : Seen, ServingMethods {
  explicit Streaming(ServerOptions options = {}) : ServingMethods(make_router(*this), std::move(options)) {}
  static bool wait_until(const std::atomic<int>& counter, int count) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (counter < count && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    return counter == count;
  }
};

TEST(Streams, of_replies_are_parts_and_a_last_frame) {
  Streaming server;
  EXPECT_EQ(server.talk(request(R"({"id": 1, "method": "count", "params": [3], "stream": true})")),
            part("1", "0") + part("1", "1") + part("1", "2") + result("1", "\"done\""));
  EXPECT_EQ(server.talk(request(R"({"id": "a", "method": "count", "params": [0], "stream": true})")),
            result("\"a\"", "\"done\""));
  // Who does not ask for parts gets an error where there would be some, and only there.
  EXPECT_EQ(server.talk(request(R"({"id": 1, "method": "count", "params": [0]})")), result("1", "\"done\""));
  EXPECT_EQ(server.talk(request(R"({"id": 1, "method": "count", "params": [1], "stream": false})")),
            error("1", -32600, "the answer is a stream, and the request lacks \"stream\": true"));
}

TEST(Streams, end_at_a_part_that_is_not_json) {
  Streaming server;
  const std::string why =
      "method \"junk_part\": value is not JSON: expecting a value at byte 0: junk; dump_json() makes JSON of a value";
  EXPECT_EQ(server.talk(request(R"({"id": 1, "method": "junk_part", "more": true, "stream": true})")),
            error("1", -32603, why));
  EXPECT_TRUE(server.wait_until(server.told, 1));
  EXPECT_TRUE(server.log.wait_for(why));
}

TEST(Streams, of_requests_are_items_with_bodies_and_a_last_frame) {
  Streaming server;
  const std::string begin = request(R"({"id": 1, "method": "collect", "more": true, "body_size": 2})", "ab");
  const std::string items = request(R"({"id": 1, "item": [1], "more": true})") +
                            request(R"({"id": 1, "item": null, "more": true, "body_size": 3})", "cde");
  EXPECT_EQ(server.talk(begin + items + request(R"({"id": 1, "item": null})")),
            result("1", R"({"values": [[1], null], "size": 5})", "abcde"));
  EXPECT_EQ(server.talk(begin + items + request(R"({"id": 1, "item": "last", "body_size": 1})", "f")),
            result("1", R"({"values": [[1], null, "last"], "size": 6})", "abcdef"));
  EXPECT_EQ(server.talk(request(R"({"id": 1, "method": "collect"})")), result("1", R"({"values": [], "size": 0})"));
}

TEST(Streams, go_both_ways_at_once) {
  Streaming server;
  Peer peer(server.tcp);
  peer.send(request(R"({"id": 1, "method": "echo_parts", "more": true, "stream": true})"));
  for (const std::string body : {"", "x", "some more"}) {
    peer.send(request(R"({"id": 1, "item": 7, "more": true, "body_size": )" + std::to_string(body.size()) + "}", body));
    EXPECT_EQ(peer.receive(part("1", "7", body).size()), part("1", "7", body));
    peer.send(request(R"({"id": 2, "method": "one_frame"})"));  // other calls are answered meanwhile
    EXPECT_EQ(peer.receive(result("2", "1").size()), result("2", "1"));
  }
  peer.send(request(R"({"id": 1, "item": null})"));
  peer.half_close();
  EXPECT_EQ(peer.receive_all(), result("1", "null"));
}

TEST(Streams, that_are_none_are_refused_and_their_parts_dropped) {
  Streaming server;
  const std::string last = request(R"({"id": 2, "method": "one_frame"})");
  const std::string items = request(R"({"id": 1, "item": 1, "more": true, "body_size": 3})", "abc") +
                            request(R"({"id": 1, "item": 2, "body_size": 70000})", std::string(70000, 'x'));
  const std::pair<std::string, std::string> rows[] = {
      {R"({"id": 1, "method": "one_frame", "more": true})", error("1", -32600, "method \"one_frame\" takes one frame")},
      {R"({"id": 1, "method": "nobody", "more": true})", error("1", -32601, "method \"nobody\" not found")},
      {R"({"method": "collect", "more": true})", ""},
      {R"({"id": 1, "method": "collect", "more": 1})", error("1", -32600, "more is neither true nor false: 1")},
      {R"({"id": 1, "method": "count", "params": [], "stream": true, "more": true})", ""}};
  for (const auto& [header, reply] : rows) {
    const std::string said = server.talk(request(header) + items + last);
    if (header.find("count") == std::string::npos) {
      EXPECT_EQ(said, reply + result("2", "1")) << header;
    }
    EXPECT_NE(said.find(result("2", "1")), std::string::npos) << header << said;
  }
  EXPECT_EQ(server.talk(request(R"({"id": 1, "method": "collect", "more": true})") +
                        request(R"({"id": 1, "item": 1, "more": 0})") + items + last),
            error("1", -32600, "more is neither true nor false: 0") + result("2", "1"));
}

TEST(Streams, get_bodies_above_max_body_in_pieces) {
  ServerOptions options;
  options.max_body = 1000;
  Streaming server(std::move(options));
  const std::string body(3000000, 'b');
  const std::string size = std::to_string(body.size());
  const std::string collected = R"({"values": true, "size": 3000000})";
  EXPECT_EQ(server.talk(request(R"({"id": 1, "method": "collect", "body_size": )" + size + "}", body)),
            result("1", collected));
  EXPECT_EQ(server.talk(request(R"({"id": 1, "method": "collect", "more": true})") +
                        request(R"({"id": 1, "item": 1, "body_size": )" + size + "}", body)),
            result("1", collected));
  const auto with_digest = [&](const std::string& digest) {
    return server.talk(request(
        R"({"id": 1, "method": "collect", "body_size": )" + size + R"(, "digest": {"sha-256": ")" + digest + "\"}}",
        body));
  };
  EXPECT_EQ(with_digest(sha256_base64(body)), result("1", collected));
  const std::string said = with_digest("AAAA");
  EXPECT_NE(said.find("-32055"), std::string::npos) << said;
  EXPECT_EQ(server.talk(request(R"({"id": 1, "method": "echo", "body_size": 1001})", std::string(1001, 'x')))
                    .find("max_body is 1000") == std::string::npos,
            false);
}

TEST(Streams, hold_back_a_caller_that_is_faster_than_the_handler) {
  Streaming server;
  Peer peer(server.tcp);
  const std::string item =
      request(R"({"id": 1, "item": 0, "more": true, "body_size": 100000})", std::string(100000, 'x'));
  peer.send(request(R"({"id": 1, "method": "late_reader", "more": true})"));
  std::string items;
  for (int i = 0; i < 400; ++i) items += item;
  const std::size_t sent = peer.send_until_stuck(items, 200ms);
  EXPECT_LT(sent, items.size());
  Peer other(server.unix_socket);  // the others are served
  other.send(request(R"({"id": 2, "method": "one_frame"})"));
  EXPECT_EQ(other.receive(result("2", "1").size()), result("2", "1"));
  server.go_on.open();
  peer.send(std::string_view(items).substr(sent));
  peer.send(request(R"({"id": 1, "item": null})"));
  peer.half_close();
  EXPECT_EQ(peer.receive_all(), result("1", "40000000"));
}

TEST(Streams, that_a_caller_breaks_off_are_logged_as_information) {
  Streaming server;
  Peer closing(server.tcp), resetting(server.tcp);
  int count = 0;
  for (Peer* peer : {&closing, &resetting}) {
    peer->send(request(R"({"id": 1, "method": "wait", "more": true})") + std::string("\x20\0", 2));
    EXPECT_TRUE(server.wait_until(server.begun, ++count));
  }
  closing.close();
  EXPECT_TRUE(server.log.wait_for("info: 127.0.0.1:"));
  resetting.reset();
  EXPECT_TRUE(server.log.wait_for("the peer went away (Connection reset by peer), inside a message"));
  EXPECT_EQ(server.log.count("info: "), 2u);
  EXPECT_EQ(server.log.count("warning: "), 0u);
}

TEST(Streams, hold_back_a_handler_that_is_faster_than_the_caller) {
  Streaming server;
  Peer peer(server.unix_socket);
  const std::string piece = part("1", "null", std::string(10000, 'x'));
  peer.send(request(R"({"id": 1, "method": "flood", "stream": true})"));
  for (int i = 0; i < 2000; ++i) ASSERT_EQ(peer.receive(piece.size()), piece);
  EXPECT_EQ(server.told, 0);
  peer.close();
  EXPECT_TRUE(server.wait_until(server.told, 1));
}

TEST(Streams, that_are_cancelled_late_or_lost_tell_their_handlers) {
  Streaming server;
  Peer peer(server.tcp);
  peer.send(request(R"({"id": 1, "method": "wait", "more": true})"));
  ASSERT_TRUE(server.wait_until(server.begun, 1));
  peer.send(request(R"({"method": "rpc.cancel", "params": {"id": 1}})"));
  const std::string cancelled = error("1", -32041, "cancelled by the caller");
  EXPECT_EQ(peer.receive(cancelled.size()), cancelled);
  EXPECT_TRUE(server.wait_until(server.told, 1));
  peer.send(request(R"({"id": 1, "item": 1, "more": true})"));  // was on its way
  peer.send(request(R"({"id": 2, "method": "wait", "more": true, "timeout_ms": 100})"));
  const std::string late = error("2", -32044, "timeout_ms has passed");
  EXPECT_EQ(peer.receive(late.size()), late);
  EXPECT_TRUE(server.wait_until(server.told, 2));
  peer.send(request(R"({"id": 3, "method": "wait", "more": true})") + request(R"({"id": 4, "method": "one_frame"})"));
  EXPECT_EQ(peer.receive(result("4", "1").size()), result("4", "1"));
  ASSERT_TRUE(server.wait_until(server.begun, 3));
  peer.reset();
  EXPECT_TRUE(server.wait_until(server.told, 3));
  Peer half(server.tcp);  // who ends in the middle of its parts cannot send the others
  half.send(request(R"({"id": 5, "method": "wait", "more": true, "timeout_ms": 100})"));
  half.half_close();
  EXPECT_TRUE(server.wait_until(server.told, 4));
}

TEST(Streams, are_limited_in_number) {
  ServerOptions options;
  options.max_streams = 2;
  options.peer_share = 100;
  options.max_in_flight = 3;
  Streaming server(std::move(options));
  Peer peer(server.tcp);
  const auto wait = [](int id) {
    return request(R"({"id": )" + std::to_string(id) + R"(, "method": "wait", "more": true})");
  };
  peer.send(wait(1) + wait(2) + wait(3));
  const std::string many = error("3", -32048, "3 streams: max_streams is 2", R"({"limit": 2, "got": 3})");
  EXPECT_EQ(peer.receive(many.size()), many);
  peer.send(request(R"({"id": 1, "item": null})"));
  EXPECT_EQ(peer.receive(result("1", "null").size()), result("1", "null"));
  std::string again;
  do {  // the place is given back a moment after the answer
    peer.send(wait(4) + request(R"({"id": 4, "item": null})"));
    again = peer.receive(result("4", "null").size());
    if (again != result("4", "null")) again += peer.receive(many.size() - again.size());
  } while (again != result("4", "null"));
  peer.half_close();
}

TEST(Streams, with_parts_to_come_do_not_stop_the_reading) {
  ServerOptions options;
  options.max_in_flight = 2;
  Streaming server(std::move(options));
  Peer peer(server.tcp);
  const std::string begin = R"(, "method": "collect", "more": true})";
  peer.send(request(R"({"id": 1)" + begin) + request(R"({"id": 2)" + begin) + request(R"({"id": 3)" + begin));
  const std::string many =
      error("3", -32048, "3 streams with parts to come: max_in_flight is 2", R"({"limit": 2, "got": 3})");
  EXPECT_EQ(peer.receive(many.size()), many);
  peer.send(request(R"({"id": 4, "method": "one_frame"})"));
  EXPECT_EQ(peer.receive(result("4", "1").size()), result("4", "1"));
  const std::string collected = R"({"values": [1], "size": 0})";
  for (const std::string id : {"1", "2"}) {
    peer.send(request(R"({"id": )" + id + R"(, "item": 1})"));
    EXPECT_EQ(peer.receive(result(id, collected).size()), result(id, collected));
  }
}

TEST(Streams, are_finished_before_the_server_ends) {
  Streaming server;
  Peer peer(server.tcp);
  peer.send(request(R"({"id": 1, "method": "collect", "more": true})") +
            request(R"({"id": 2, "method": "one_frame"})"));
  EXPECT_EQ(peer.receive(result("2", "1").size()), result("2", "1"));
  server.server->drain();
  peer.send(request(R"({"id": 1, "item": 5})"));
  std::string header;
  write_reply(header, "1", Response(Json{{"values", {5}}, {"size", 0}}), true);
  EXPECT_EQ(peer.receive(4 + header.size()), encode_head(header));
  EXPECT_EQ(peer.receive_all(), "");
  server.server->wait();
}

TEST(Streams, that_are_endless_do_not_hold_the_end_of_the_server) {
  Streaming server;
  Peer peer(server.tcp);
  peer.send(request(R"({"id": 1, "method": "collect", "more": true})") +
            request(R"({"id": 2, "method": "one_frame"})"));
  EXPECT_EQ(peer.receive(result("2", "1").size()), result("2", "1"));
  server.server->drain();
  std::string header;
  write_error(header, "1", -32054, "the server is shutting down: call again", {}, true);
  EXPECT_EQ(peer.receive_all(), encode_head(header));
  server.server->wait();
}

TEST(Stream, tells_when_another_attempt_is_worth_it) {
  int sent = 0, resumed = 0, ready = 0;
  Stream stream(true, Stream::max_unread, [&](Part) { ++sent; }, [&] { ++resumed; });
  const auto count = [&] { ++ready; };
  Part part;
  EXPECT_EQ(stream.try_read(part, count), Stream::Attempt::later);
  Part big;
  big.body.append(std::string(Stream::max_unread, 'x'));
  EXPECT_FALSE(stream.deliver(std::move(big)));
  EXPECT_EQ(ready, 1);
  EXPECT_EQ(stream.try_read(part, count), Stream::Attempt::done);
  EXPECT_EQ(part.body.size(), Stream::max_unread);
  EXPECT_EQ(resumed, 1);
  EXPECT_EQ(stream.try_write(part, count), Stream::Attempt::done);
  Part small;
  small.value = "5";
  EXPECT_EQ(stream.try_write(small, count), Stream::Attempt::later);
  EXPECT_EQ(small.value, "5");
  stream.release(Stream::max_unread);
  EXPECT_EQ(ready, 2);
  EXPECT_EQ(stream.try_write(small, count), Stream::Attempt::done);
  EXPECT_EQ(sent, 2);
  stream.end();
  EXPECT_EQ(stream.try_read(part, count), Stream::Attempt::end);
  stream.fail(CallError(ErrorCode::cancelled, "over"));
  EXPECT_THROW(stream.try_read(part, count), CallError);
  EXPECT_THROW(stream.write(Part()), CallError);
}

}  // namespace
}  // namespace framecall::stream_test
