// The built-ins that need no files, without a server.
#include "server/methods/builtin_methods.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "framecall/error.hpp"
#include "framecall/router.hpp"
#include "server/methods/dispatch.hpp"
#include "server/server_state.hpp"

namespace framecall::builtin_methods_test {
namespace {

struct Calls final : CallControl {
  void cancel(const std::string& id) override { cancelled.push_back(id); }
  std::vector<std::string> cancelled;
};

class BuiltinMethods : public testing::Test {
 protected:
  BuiltinMethods() : server_(with_router()) {}

  Response call(std::string_view name, std::string_view params = {}, std::string_view body = {}) {
    CallHead head;
    head.id = "1";
    head.method = name;
    head.params = params;
    Request request(head, body, "peer");
    return answer_on_loop(find_method(*server_.options.router, head), view_, request);
  }
  std::string refusal(std::string_view name, std::string_view params) {
    try {
      return call(name, params).result;
    } catch (const CallError& error) {
      return error.what();
    }
  }

  Calls calls_;
  ServerState server_;
  ServerView view_{server_, false, &calls_};

 private:
  static ServerOptions with_router() {
    ServerOptions options;
    options.router = std::make_shared<Router>();
    return options;
  }
};

TEST_F(BuiltinMethods, echo_upper_and_ping_return_the_body) {
  EXPECT_EQ(call("echo", R"({"a": 1})", "body").result, R"({"a": 1})");
  EXPECT_EQ(call("echo", {}, "body").result, "null");
  EXPECT_EQ(call("echo", {}, "body").body.view(), "body");
  EXPECT_EQ(call("upper", {}, "a\xe4z").body.view(), "A\xe4Z");
  EXPECT_EQ(call("rpc.ping", {}, "body").result, "\"pong\"");
  EXPECT_EQ(call("rpc.ping", {}, "body").body.view(), "body");
}

TEST_F(BuiltinMethods, health_reports_that_the_server_drains) {
  EXPECT_EQ(call("rpc.health").result, R"({"status": "SERVING"})");
  view_.draining = true;
  EXPECT_EQ(call("rpc.health").result, R"({"status": "NOT_SERVING"})");
}

TEST_F(BuiltinMethods, stats_reports_the_counters) {
  server_.calls = 7;
  const Json stats = call("rpc.stats").value();
  EXPECT_EQ(stats["calls"], 7);
  EXPECT_TRUE(stats.contains("uptime_seconds"));
}

TEST_F(BuiltinMethods, discover_returns_the_document_of_the_router) {
  EXPECT_EQ(call("rpc.discover").value(), server_.options.router->discover());
}

TEST_F(BuiltinMethods, cancel_passes_on_the_id_as_it_was_written) {
  EXPECT_EQ(call("rpc.cancel", R"({"id": 1.50})").result, "null");
  EXPECT_EQ(call("rpc.cancel", R"({"id": "a\u00e9"})").result, "null");
  EXPECT_EQ(calls_.cancelled, (std::vector<std::string>{"1.50", R"("a\u00e9")"}));
}

TEST_F(BuiltinMethods, cancel_refuses_what_is_no_id) {
  for (const std::string params : {"", "[1]", "{}", R"({"ID": 1})"}) {
    EXPECT_EQ(refusal("rpc.cancel", params), "rpc.cancel: expected {\"id\": ID}") << params;
  }
  EXPECT_NE(refusal("rpc.cancel", R"({"id": null})"), "null");
  EXPECT_TRUE(calls_.cancelled.empty());
}

TEST_F(BuiltinMethods, cancel_by_datagram_does_nothing) {
  view_.calls = nullptr;
  EXPECT_EQ(call("rpc.cancel", R"({"id": 1})").result, "null");
}

}  // namespace
}  // namespace framecall::builtin_methods_test
