// The replies to the calls of one connection, byte for byte, without a socket.
#include "server/sessions/call_replies.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "framecall/error.hpp"
#include "framecall/router.hpp"
#include "support/serving.hpp"
#include "support/session_script.hpp"

namespace framecall::call_replies_test {
namespace {

struct Replying {
  explicit Replying(ServerOptions options = {}) : script(std::move(options)) {}
  SessionScript script;
  Decoder decoder{default_max_header_size};
  FrameWriter frames{*script.port, decoder};
  CallReplies replies{*script.port, frames};
};

std::string refusal(Replying& to, Response response) {
  try {
    to.replies.result("1", response, 0);
    return "none";
  } catch (const CallError& error) {
    EXPECT_EQ(error.code(), ErrorCode::resource_exhausted);
    return error.what();
  }
}

TEST(CallReplies, are_frames) {
  Replying to;
  Response response(Json("value"));
  response.body.append("body");
  to.replies.result("\"a\"", response, 0);
  EXPECT_EQ(to.script.sent(), result("\"a\"", "\"value\"", "body"));
  Part part;
  part.value = "7";
  to.replies.part("1", part, nullptr, false);
  EXPECT_EQ(to.script.sent(), encode_head(R"({"jsonrpc": "2.0", "id": 1, "result": 7, "more": true})"));
  to.replies.error("1", {-32045, "not there", {}});
  EXPECT_EQ(to.script.sent(), error("1", -32045, "not there"));
}

TEST(CallReplies, note_when_they_were_written) {
  Replying to;
  to.script.loop().now = 1234;
  EXPECT_LT(to.replies.last(), 0);
  Response response;
  to.replies.result("1", response, 0);
  EXPECT_EQ(to.replies.last(), 1234);
}

TEST(CallReplies, that_are_errors_are_counted_and_a_notification_gets_none) {
  Replying to;
  to.replies.error("", {-32603, "lost", {}});
  EXPECT_EQ(to.script.sent(), "");
  EXPECT_EQ(to.script.loop().state.failed_calls, 1u);
}

TEST(CallReplies, that_no_frame_has_room_for_are_not_begun) {
  Replying to;
  const std::string large = "\"" + std::string(2 << 20, 'x') + "\"";
  Response response;
  response.result = large;
  EXPECT_NE(refusal(to, std::move(response)).find("result"), std::string::npos);
  Response with_metadata;
  with_metadata.metadata = R"({"key": )" + large + "}";
  EXPECT_NE(refusal(to, std::move(with_metadata)).find("metadata"), std::string::npos);
  EXPECT_EQ(to.script.sent(), "");
}

TEST(CallReplies, that_the_connection_has_no_memory_for_are_refused) {
  ServerOptions options;
  options.max_connection_memory = 1000;
  Replying to(std::move(options));
  Response first, second;
  first.body.append(std::string(2000, 'a'));
  second.body.append("b");
  EXPECT_EQ(refusal(to, std::move(first)), "none") << "one always has room";
  EXPECT_NE(refusal(to, std::move(second)).find("unsent replies: max_connection_memory is 1000"), std::string::npos);
}

TEST(CallReplies, that_are_no_json_are_logged_and_refused) {
  Replying to;
  Method method;
  method.name = "mine";
  Response response;
  response.result = "done";
  EXPECT_THROW(to.replies.check(method, response), CallError);
  ASSERT_EQ(to.script.log.size(), 1u);
  EXPECT_NE(to.script.log[0].find("method \"mine\": result is not JSON"), std::string::npos) << to.script.log[0];
  Part part;
  part.value = "done";
  EXPECT_THROW(to.replies.part("1", part, &method, false), CallError);
  EXPECT_EQ(to.script.sent(), "");
}

TEST(CallReplies, instead_of_a_handler_ask_it_to_stop) {
  Replying to;
  PendingCalls pending;
  CallHead head;
  head.id = "1";
  Request call(head, std::string_view(), "peer");
  const auto one = pending.add("1", call, to.script.loop().state.memory);
  to.replies.end(pending, one, CallError(ErrorCode::cancelled, "cancelled by the caller"));
  EXPECT_EQ(to.script.sent(), error("1", -32041, "cancelled by the caller"));
  EXPECT_TRUE(call.cancelled());
  EXPECT_EQ(pending.find("1"), nullptr);
}

}  // namespace
}  // namespace framecall::call_replies_test
