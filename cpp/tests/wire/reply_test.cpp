#include "wire/reply.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

namespace framecall::reply_test {
namespace {

// A reply as it was read, with the text that it refers to.
struct Reply {
  explicit Reply(std::string members) : text("{" + std::move(members) + "}") {
    header.read(text);
    read_reply(header, head);
  }
  std::string text;
  Header header;
  ReplyHead head;
};

std::string fault(const std::string& members) {
  try {
    Reply reply(members);
  } catch (const ProtocolError& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_request);
    return error.what();
  }
  return "nothing";
}

TEST(Reply, is_a_result_with_what_belongs_to_it) {
  const Reply reply(R"("jsonrpc": "2.0", "id": "a", "result": [1], "more": true, "dtype": "<f4", "shape": [1],)"
                    R"( "digest": {"sha-256": "x"}, "metadata": {"trace": "t"})");
  EXPECT_EQ(reply.head.id, "\"a\"");
  EXPECT_EQ(reply.head.result, "[1]");
  EXPECT_FALSE(reply.head.error);
  EXPECT_TRUE(reply.head.more);
  EXPECT_EQ(reply.head.layout, R"({"dtype": "<f4", "shape": [1]})");
  EXPECT_EQ(reply.head.digest, R"({"sha-256": "x"})");
  EXPECT_EQ(reply.head.metadata, R"({"trace": "t"})");
  EXPECT_FALSE(reply.head.closing);
}

TEST(Reply, an_error_is_read_however_little_of_it_is_right) {
  const auto error = [](const std::string& value) {
    const Reply reply("\"id\": null, \"error\": " + value);
    EXPECT_EQ(reply.head.id, "") << "an answer to what the server could not read";
    return std::to_string(reply.head.error->code()) + " " + reply.head.error->what() + " " + reply.head.error->data();
  };
  EXPECT_EQ(error(R"({"code": -32601, "message": "no", "data": {"a": 1}})"), "-32601 no {\"a\": 1}");
  EXPECT_EQ(error(R"({"code": 1, "message": "no", "data": null})"), "1 no null");
  EXPECT_EQ(error(R"({"code": "x", "message": [1]})"), "0 [1] ");
  EXPECT_EQ(error(R"({"code": 123456789012345678901234567890})"), "0  ");
  EXPECT_EQ(error("{}"), "0  ");
}

TEST(Reply, what_is_no_reply_is_the_peers_fault) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("id": 1)", "a frame without result or error, where a reply was due: {\"id\": 1}"},
      {R"("method": "a", "result": 1)",
       "a frame without result or error, where a reply was due: {\"method\": \"a\", \"result\": 1}"},
      {R"("jsonrpc": "1.0", "result": 1)", "a reply whose jsonrpc is not \"2.0\": \"1.0\""},
      {R"("id": [1], "result": 1)", "the id is neither a string nor a number: [1]"},
      {R"("error": {}, "result": 1)", "a reply with both result and error: {\"error\": {}, \"result\": 1}"},
      {R"("error": "no")", "an error that is no object: {\"error\": \"no\"}"},
  };
  for (const auto& [members, what] : cases) EXPECT_EQ(fault(members), what);
}

TEST(Reply, an_error_of_null_beside_a_result_is_none) {
  const Reply reply(R"("result": 1, "error": null)");
  EXPECT_FALSE(reply.head.error);
  EXPECT_EQ(reply.head.result, "1");
}

TEST(Reply, the_hint_that_the_connection_closes_is_found_however_it_is_written) {
  const auto closing = [](const std::string& metadata) {
    return Reply("\"result\": 1, \"metadata\": " + metadata).head.closing;
  };
  EXPECT_TRUE(closing(R"({"connection": "close"})"));
  EXPECT_TRUE(closing(R"({"a": "b", "c\u006fnnection": "clos\u0065"})"));
  EXPECT_FALSE(closing(R"({"connection": "open"})"));
  EXPECT_FALSE(closing(R"({"x": "\"connection\": \"close\""})"));
  EXPECT_FALSE(closing("null"));
}

TEST(Reply, a_long_message_is_cut) {
  const Reply reply(R"("error": {"code": 1, "message": ")" + std::string(100'000, 'm') + "\"}");
  EXPECT_LT(std::string_view(reply.head.error->what()).size(), 5000u);
}

}  // namespace
}  // namespace framecall::reply_test
