// From a call to its method: lookup, refusals, start; for connections and datagrams.
#include "server/methods/dispatch.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "framecall/error.hpp"
#include "framecall/stream.hpp"
#include "server/server_state.hpp"
#include "support/temporary_folder.hpp"

namespace framecall::dispatch_test {
namespace {

std::string refusal(const std::function<void()>& work) {
  try {
    work();
    return "none";
  } catch (const CallError& error) {
    return std::to_string(static_cast<int>(error.code())) + " " + error.what();
  }
}

struct Head : CallHead {
  Head(std::string_view name, std::string call_id = "1", bool more_follows = false) {
    method = name;
    id = std::move(call_id);
    more = more_follows;
  }
};

std::shared_ptr<Router> make_router() {
  auto router = std::make_shared<Router>();
  router->on("user.loop", [](Request&) { return Response(Json("user")); });
  router->on_stream("user.stream", [](Request&, Stream&) { return Response(); });
  return router;
}

TEST(Dispatch, finds_methods_and_refuses_others) {
  const auto router = make_router();
  EXPECT_EQ(find_method(*router, Head("rpc.ping")).name, "rpc.ping");
  EXPECT_EQ(find_method(*router, Head("user.loop")).name, "user.loop");
  EXPECT_EQ(refusal([&] { find_method(*router, Head("no\nne")); }), "-32601 method \"no\\x0ane\" not found");
}

TEST(Dispatch, checks_the_frames_of_a_call) {
  const auto router = make_router();
  const Method &loop = *router->find("user.loop"), &stream = *router->find("user.stream");
  EXPECT_EQ(refusal([&] { check_frames(loop, Head("user.loop", "")); }), "none");
  EXPECT_EQ(refusal([&] { check_frames(stream, Head("user.stream", "1", true)); }), "none");
  EXPECT_EQ(refusal([&] { check_frames(loop, Head("user.loop", "1", true)); }),
            "-32600 method \"user.loop\" takes one frame");
  EXPECT_EQ(refusal([&] { check_frames(stream, Head("user.stream", "")); }),
            "-32600 method \"user.stream\" needs an id");
}

TEST(Dispatch, asks_the_row_whether_a_datagram_may_call_it) {
  const auto router = make_router();
  const std::string refused = "-32600 streams and files do not fit into datagrams";
  for (const BuiltinMethod& row : method_table()) {
    EXPECT_EQ(refusal([&] { check_datagram(*router->find(row.name), Head(row.name)); }),
              row.by_datagram ? "none" : refused)
        << row.name;
  }
  EXPECT_EQ(refusal([&] { check_datagram(*router->find("user.loop"), Head("user.loop")); }), "none");
  EXPECT_EQ(refusal([&] { check_datagram(*router->find("user.stream"), Head("user.stream")); }), refused);
  EXPECT_EQ(refusal([&] { check_datagram(*router->find("echo"), Head("echo", "1", true)); }), refused);
  router->replace_builtin("file.put");
  router->on("file.put", [](Request&) { return Response(); });
  EXPECT_EQ(refusal([&] { check_datagram(*router->find("file.put"), Head("file.put")); }), "none");
}

class DispatchRunning : public testing::Test {
 protected:
  explicit DispatchRunning() : server_(options()) {}

  ServerOptions options() {
    ServerOptions options;
    options.router = router_;
    options.files = std::make_shared<FileStore>(root_.path());
    return options;
  }
  Request request(const CallHead& head) { return Request(head, std::string_view(), "peer"); }

  TemporaryFolder root_;
  std::shared_ptr<Router> router_ = make_router();
  ServerState server_;
  ServerView view_{server_, false, nullptr};
};

TEST_F(DispatchRunning, answers_on_the_loop_for_built_ins_and_users) {
  for (const auto& [name, expected] : {std::pair("rpc.ping", "\"pong\""), std::pair("user.loop", "\"user\"")}) {
    const Head head(name);
    Request call = request(head);
    EXPECT_EQ(answer_on_loop(*router_->find(name), view_, call).result, expected);
  }
}

TEST_F(DispatchRunning, only_a_method_that_receives_bodies_has_a_place_for_one) {
  Head head("file.put");
  head.params = R"({"name": "f"})";
  const Request call = request(head);
  EXPECT_NE(place_for_body(*router_->find("file.put"), server_, head, call, 3), nullptr);
  EXPECT_EQ(place_for_body(*router_->find("file.stat"), server_, head, call, 3), nullptr);
  EXPECT_EQ(place_for_body(*router_->find("user.loop"), server_, head, call, 3), nullptr);
  server_.options.files.reset();
  EXPECT_EQ(refusal([&] { place_for_body(*router_->find("file.put"), server_, head, call, 3); }),
            "-32049 this server takes no files");
}

TEST_F(DispatchRunning, a_place_stores_the_body_and_answers) {
  Head head("file.put");
  head.params = R"({"name": "f"})";
  const auto place = place_for_body(*router_->find("file.put"), server_, head, request(head), 4);
  place->write("ab");
  place->write("cd");
  EXPECT_EQ(place->runs_on(), RunsOn::worker);
  EXPECT_EQ(place->finish({}).value()["size"], 4);
  EXPECT_EQ(place->summary(), "stored \"f\", 4 bytes");
  EXPECT_EQ(content_of(root_ / "f"), "abcd");
  EXPECT_EQ(server_.uploads, 1u);
}

// The outcome of a started call.
struct Outcome {
  Responder responder() {
    return Responder([this](Response* response, const Failure* failure) {
      text = response != nullptr ? response->result : failure->message;
      ++count;
    });
  }
  std::string text;
  int count = 0;
};

TEST_F(DispatchRunning, starts_handlers_where_they_belong) {
  router_->on_later("later", [](Request, const Responder& reply) { reply(Response(Json("later"))); });
  router_->on_later("later.fails", [](Request, const Responder&) { throw std::runtime_error("it broke"); });
  router_->on_batch("batch", [](Request, const Responder& reply) { reply(Response(Json("batch"))); });
  router_->on_pool("pool", [](Request&) { return Response(Json("pool")); });
  server_.start_threads();
  int asked = 0;
  const auto start = [&](const char* name, Outcome& outcome) {
    const Head head(name);
    Request call = request(head);
    call.keep();
    start_handler(
        server_, *router_->find(name), std::move(call), outcome.responder(), nullptr,
        [&] {
          ++asked;
          return WorkOrigin{7, "address"};
        },
        FairQueue::OnClose::run);
  };
  Outcome later, failed, batch, pool;
  start("later", later);
  start("later.fails", failed);
  EXPECT_EQ(asked, 0) << "nothing was queued";
  EXPECT_EQ(later.text, "\"later\"");
  EXPECT_NE(failed.text.find("it broke"), std::string::npos) << failed.text;
  start("batch", batch);
  EXPECT_EQ(batch.count, 0);
  std::optional<FairQueue::Taken> task = server_.batch_calls.take();
  ASSERT_TRUE(task);
  EXPECT_EQ(task->connection, 7u);
  task->work();
  EXPECT_EQ(batch.text, "\"batch\"");
  start("pool", pool);
  server_.pool.reset();  // runs what is queued
  EXPECT_EQ(pool.text, "\"pool\"");
  EXPECT_EQ(asked, 2);
}

}  // namespace
}  // namespace framecall::dispatch_test
