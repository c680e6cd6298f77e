// Sessions by scripts of bytes: what comes back, and what is left when the peer is gone after any of them.
#include "server/sessions/frame_session.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "framecall/detail/file_store.hpp"
#include "framecall/responder.hpp"
#include "framecall/stream.hpp"
#include "framecall/wire/dialect_file.hpp"
#include "support/serving.hpp"
#include "support/session_script.hpp"

namespace framecall::frame_session_test {
namespace {

std::string call(int id, const std::string& method, std::string_view body = {}, const std::string& more = {}) {
  return request(R"({"jsonrpc": "2.0", "id": )" + std::to_string(id) + R"(, "method": ")" + method + "\"" + more +
                     (body.empty() ? "" : ", \"body_size\": " + std::to_string(body.size())) + "}",
                 body);
}

// What a peer says from its first byte to its last, and everything that it gets.
struct Case {
  const char* name;
  std::function<ServerOptions(const TemporaryFolder&)> options;
  std::string bytes;
  std::string answer;
};

ServerOptions plain(const TemporaryFolder& folder) {
  ServerOptions options;
  options.files = std::make_shared<FileStore>(folder.path(), Durability::none);
  return options;
}

ServerOptions of_dialect(const TemporaryFolder& folder, const char* name) {
  ServerOptions options = plain(folder);
  options.dialect = find_dialect(name);
  return options;
}

std::vector<Case> cases() {
  const std::string large = some_bytes(300 << 10);
  return {
      {"calls", plain, call(1, "echo", "abc") + call(2, "rpc.ping") + call(3, "nothing") + call(4, "upper", "xyz"),
       result("1", "null", "abc") + result("2", "\"pong\"") + error("3", -32601, "method \"nothing\" not found") +
           result("4", "null", "XYZ")},
      {"large body", plain, call(1, "echo", large) + call(2, "rpc.ping"),
       result("1", "null", large) + result("2", "\"pong\"")},
      {"upload", plain, request(R"({"file_name": "a.bin", "file_size": 307200})", large) + call(2, "rpc.ping"),
       result("2", "\"pong\"")},
      {"no frame", plain, std::string("\0\0\0\0GET", 7), ""},
  };
}

TEST(FrameSession, answers_however_its_bytes_are_cut) {
  for (const Case& one : cases()) {
    if (one.answer.empty()) continue;
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, SIZE_MAX}) {
      if (one.bytes.size() > 10000 && piece < 4096) continue;
      const TemporaryFolder folder;
      SessionScript script(one.options(folder));
      script.receive(one.bytes, piece);
      EXPECT_EQ(script.sent(), one.answer) << one.name << ", pieces of " << piece;
      EXPECT_TRUE(script.session().idle()) << one.name;
      EXPECT_FALSE(script.session().busy()) << one.name;
    }
  }
}

// The places where a script of the peer is cut off.
std::vector<std::size_t> cuts(std::size_t size) {
  std::vector<std::size_t> all;
  for (std::size_t at = 0; at <= size; at += at < 100 ? 1 : at < 400 ? 17 : 49'999) all.push_back(at);
  all.push_back(size);
  return all;
}

TEST(FrameSession, leaves_nothing_behind_wherever_the_peer_goes) {
  for (const Case& one : cases()) {
    const TemporaryFolder folder;
    for (const std::size_t cut : cuts(one.bytes.size())) {
      for (const bool says_so : {false, true}) {
        SessionScript script(one.options(folder));
        script.receive(std::string_view(one.bytes).substr(0, cut));
        if (says_so && script.port->life() == SessionPort::Life::open) script.end();
        script.port->close();
        EXPECT_EQ(script.memory(), 0u) << one.name << " after " << cut;
        EXPECT_FALSE(script.session().busy()) << one.name << " after " << cut;
        EXPECT_TRUE(parts_in(folder.path()).empty()) << one.name << " after " << cut;
      }
    }
  }
}

TEST(FrameSession, an_end_inside_of_a_message_is_logged_and_closes) {
  const TemporaryFolder folder;
  SessionScript script(plain(folder));
  script.receive(call(1, "echo", "abcdef").substr(0, 60));
  script.end();
  EXPECT_EQ(script.port->life(), SessionPort::Life::closed);
  ASSERT_EQ(script.log.size(), 1u);
  EXPECT_NE(script.log[0].find("the peer went away"), std::string::npos) << script.log[0];
}

TEST(FrameSession, an_end_between_messages_finishes) {
  SessionScript script;
  script.receive(call(1, "rpc.ping"));
  script.end();
  EXPECT_EQ(script.port->life(), SessionPort::Life::ending);
  EXPECT_EQ(script.sent(), result("1", "\"pong\""));
}

TEST(FrameSession, what_is_no_frame_is_refused_and_the_rest_dropped) {
  SessionScript script;
  script.receive(request("[1, 2]") + call(1, "rpc.ping"));
  EXPECT_EQ(script.port->life(), SessionPort::Life::leaving);
  const std::string answer = script.sent();
  EXPECT_NE(answer.find("-32600"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("pong"), std::string::npos) << answer;
}

TEST(FrameSession, a_peer_that_does_not_read_is_not_read) {
  SessionScript script;
  script.peer.full = true;
  const std::string body(64 << 10, 'b');
  std::string answers;
  int sent = 0;
  while (script.port->may_read() && sent < 100) {
    answers += result(std::to_string(sent), "null", body);
    script.receive(call(sent++, "echo", body));
  }
  EXPECT_LT(sent, 20);
  const std::string more = call(90, "echo", "x") + call(91, "rpc.ping");
  script.session().receive(more);  // was under way
  EXPECT_TRUE(script.session().stopped());
  script.peer.full = false;
  const std::string all = script.sent() + script.sent();
  EXPECT_EQ(all.substr(all.size() - result("91", "\"pong\"").size()), result("91", "\"pong\""));
  EXPECT_FALSE(script.session().stopped());
}

// Streams, deadlines and cancelling, with a handler that the test answers for.
struct Kept {
  explicit Kept(ServerOptions options = {}) : script(with(std::move(options))) {}
  ServerOptions with(ServerOptions options) {
    auto router = std::make_shared<Router>();
    router->on_later("later", [this](Request request, Responder reply) {
      requests.push_back(std::move(request));
      replies.push_back(std::move(reply));
    });
    options.router = std::move(router);
    return options;
  }
  std::vector<Request> requests;
  std::vector<Responder> replies;
  SessionScript script;
};

TEST(FrameSession, a_later_answer_comes_when_it_is_given) {
  Kept kept;
  kept.script.receive(call(1, "later") + call(2, "rpc.ping"));
  EXPECT_EQ(kept.script.sent(), result("2", "\"pong\""));
  EXPECT_TRUE(kept.script.session().busy());
  kept.replies.at(0)(Response(Json("done")));
  EXPECT_EQ(kept.script.sent(), result("1", "\"done\""));
  EXPECT_FALSE(kept.script.session().busy());
  kept.requests.clear();
  kept.replies.clear();
  EXPECT_EQ(kept.script.memory(), 0u);
}

TEST(FrameSession, a_caller_that_is_gone_cancels_its_calls) {
  Kept kept;
  kept.script.receive(call(1, "later"));
  EXPECT_FALSE(kept.requests.at(0).cancelled());
  kept.script.port->close();
  EXPECT_TRUE(kept.requests.at(0).cancelled());
  kept.replies.at(0)(Response(Json("nobody reads this")));
  EXPECT_EQ(kept.script.sent(), "");
}

TEST(FrameSession, a_deadline_answers_for_the_handler) {
  Kept kept;
  kept.script.receive(call(1, "later", {}, ", \"timeout_ms\": 50"));
  ASSERT_EQ(kept.script.loop().deadlines.size(), 1u);
  EXPECT_EQ(kept.script.loop().deadlines.begin()->first, kept.script.loop().now + 50);
  kept.script.session().expire("1");
  EXPECT_NE(kept.script.sent().find("DEADLINE_EXCEEDED"), std::string::npos);
  EXPECT_TRUE(kept.requests.at(0).cancelled());
  EXPECT_TRUE(kept.script.loop().deadlines.empty());
}

TEST(FrameSession, a_cancelled_call_is_answered_once) {
  Kept kept;
  kept.script.receive(call(1, "later") + request(R"({"jsonrpc": "2.0", "method": "rpc.cancel", "params": {"id": 1}})"));
  EXPECT_NE(kept.script.sent().find("cancelled by the caller"), std::string::npos);
  kept.replies.at(0)(Response(Json("too late")));
  EXPECT_EQ(kept.script.sent(), "");
}

TEST(FrameSession, not_more_than_max_in_flight_calls_are_taken) {
  ServerOptions options;
  options.max_in_flight = 2;
  Kept kept(std::move(options));
  kept.script.receive(call(1, "later") + call(2, "later") + call(3, "later"));
  EXPECT_EQ(kept.requests.size(), 2u);
  EXPECT_FALSE(kept.script.session().may_read());
  kept.replies.at(0)(Response());
  kept.script.settle();
  EXPECT_EQ(kept.requests.size(), 3u);
}

TEST(FrameSession, a_draining_server_says_that_the_connection_closes) {
  SessionScript script;
  script.loop().draining = true;
  script.receive(call(1, "rpc.ping"));
  EXPECT_NE(script.sent().find(R"("connection": "close")"), std::string::npos);
}

TEST(FrameSession, speaks_the_dialect_of_its_server) {
  const TemporaryFolder folder;
  make_file(folder / "a.txt", "hello\n");
  SessionScript script(of_dialect(folder, "lesson-get"));
  script.receive("get a.txt");
  script.session().on_quiet();
  script.settle();
  const std::string answer = script.sent();
  EXPECT_TRUE(answer.ends_with("hello\n")) << answer;
}

TEST(FrameSession, nothing_comes_before_a_login) {
  const TemporaryFolder folder;
  SessionScript script(of_dialect(folder, "login"));
  script.receive(call(1, "rpc.ping"));
  const std::string answer = script.sent();
  EXPECT_NE(answer.find("\"result\": false"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("pong"), std::string::npos) << answer;
}

}  // namespace
}  // namespace framecall::frame_session_test
