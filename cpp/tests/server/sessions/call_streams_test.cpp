// The streams of one connection: parts in both directions, without a socket.
#include "server/sessions/call_streams.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "framecall/error.hpp"
#include "framecall/router.hpp"
#include "framecall/stream.hpp"
#include "support/serving.hpp"
#include "support/session_script.hpp"

namespace framecall::call_streams_test {
namespace {

// A method "stream", whose streams the test reads and writes.
struct Streaming {
  explicit Streaming(ServerOptions options = {}) : script(with(std::move(options))) {}
  ServerOptions with(ServerOptions options) {
    auto router = std::make_shared<Router>();
    router->on_stream_later("stream", [this](const Request&, Responder reply, std::shared_ptr<Stream> stream) {
      replies.push_back(std::move(reply));
      streams.push_back(std::move(stream));
    });
    options.router = std::move(router);
    return options;
  }
  void begin(const std::string& id, bool more = true) {
    script.receive(
        request(R"({"id": )" + id + R"(, "method": "stream", "stream": true)" + (more ? ", \"more\": true}" : "}")));
  }
  void send(const std::string& id, const std::string& item, const std::string& rest = ", \"more\": true",
            std::string_view body = {}) {
    script.receive(request(R"({"id": )" + id + R"(, "item": )" + item +
                               (body.empty() ? "" : ", \"body_size\": " + std::to_string(body.size())) + rest + "}",
                           body));
  }
  // The values of all parts that have arrived, and how it goes on.
  std::string read(Stream& stream) {
    std::string all;
    for (Part part;;) {
      switch (stream.try_read(part, [] {})) {
        case Stream::Attempt::done: all += part.value + (part.body.empty() ? " " : "+body "); break;
        case Stream::Attempt::end: return all + "end";
        case Stream::Attempt::later: return all + "later";
      }
    }
  }

  std::vector<Responder> replies;
  std::vector<std::shared_ptr<Stream>> streams;
  SessionScript script;
};

std::string part(const std::string& id, const std::string& value) {
  return encode_head(R"({"jsonrpc": "2.0", "id": )" + id + R"(, "result": )" + value + R"(, "more": true})");
}

TEST(CallStreams, deliver_parts_in_order_until_the_last_one) {
  Streaming server;
  server.begin("1");
  server.send("1", "10");
  server.send("1", "11", ", \"more\": true", "body");
  EXPECT_EQ(server.read(*server.streams[0]), "10 11+body later");
  server.send("1", "null", "");
  EXPECT_EQ(server.read(*server.streams[0]), "end") << "a last frame without a value is no part";
  server.send("1", "12");
  EXPECT_EQ(server.read(*server.streams[0]), "end") << "what comes later is dropped";
}

TEST(CallStreams, without_more_have_no_parts) {
  Streaming server;
  server.begin("1", false);
  EXPECT_EQ(server.read(*server.streams[0]), "end");
}

TEST(CallStreams, send_what_their_handlers_write) {
  Streaming server;
  server.begin("1");
  Part first;
  first.value = "1";
  EXPECT_EQ(server.streams[0]->try_write(first, [] {}), Stream::Attempt::done);
  EXPECT_EQ(server.script.sent(), part("1", "1"));
  server.replies[0](Response(Json("over")));
  EXPECT_EQ(server.script.sent(), result("1", "\"over\""));
  Part late;
  EXPECT_THROW(server.streams[0]->try_write(late, [] {}), CallError);
}

TEST(CallStreams, of_a_peer_that_does_not_read_wait) {
  Streaming server;
  server.begin("1");
  server.script.peer.full = true;
  int written = 0;
  bool woken = false;
  for (; written < 1000; ++written) {
    Part piece;
    piece.body.append(std::string(64 << 10, 'p'));
    if (server.streams[0]->try_write(piece, [&] { woken = true; }) == Stream::Attempt::later) break;
    server.script.settle();
  }
  EXPECT_LT(written, 100);
  EXPECT_FALSE(woken);
  server.script.peer.full = false;
  server.script.settle();
  EXPECT_TRUE(woken) << "there is room again";
}

TEST(CallStreams, whose_handler_does_not_read_hold_the_connection_back) {
  Streaming server;
  server.begin("1");
  const std::string body(256 << 10, 'b');
  int sent = 0;
  for (; sent < 100 && server.script.session().may_read(); ++sent) server.send("1", "1", ", \"more\": true", body);
  EXPECT_LT(sent, 20);
  server.read(*server.streams[0]);
  server.script.settle();
  EXPECT_TRUE(server.script.session().may_read());
}

TEST(CallStreams, with_a_bad_frame_end_with_an_error) {
  Streaming server;
  server.begin("1");
  server.send("1", "1", ", \"more\": 5");
  EXPECT_EQ(server.script.sent(), error("1", -32600, "more is neither true nor false: 5"));
  EXPECT_THROW(server.read(*server.streams[0]), CallError);
}

TEST(CallStreams, have_a_share_of_the_places) {
  ServerOptions options;
  options.max_streams = 4;
  options.peer_share = 50;
  Streaming server(std::move(options));
  server.begin("1");
  server.begin("2");
  server.begin("3");
  EXPECT_EQ(server.streams.size(), 2u);
  EXPECT_NE(server.script.sent().find("3 streams of one connection, which may have 2 of max_streams"),
            std::string::npos);
  server.replies[0](Response());
  server.script.settle();
  server.begin("4");
  EXPECT_EQ(server.streams.size(), 3u) << "a place is free again";
}

TEST(CallStreams, of_a_draining_server_are_unavailable) {
  Streaming server;
  server.begin("1");
  server.script.session().end_streams();
  EXPECT_NE(server.script.sent().find("the server is shutting down: call again"), std::string::npos);
  EXPECT_THROW(server.read(*server.streams[0]), CallError);
}

}  // namespace
}  // namespace framecall::call_streams_test
