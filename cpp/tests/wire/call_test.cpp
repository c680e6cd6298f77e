#include "framecall/call.hpp"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "framecall/error.hpp"

namespace framecall::call_test {
namespace {

// What is wrong with a request of these members, or "nothing".
std::string fault(const std::string& members) {
  const std::string text = "{" + members + "}";
  Header header;
  header.read(text);
  CallHead head;
  try {
    head.id = call_id(header);
    read_call(header, head);
  } catch (const CallError& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_request);
    return error.what();
  }
  return "nothing";
}

TEST(Call, is_read_as_it_was_written) {
  CallHead sent;
  sent.id = "\"a\\\"b\"";
  sent.method = "line\nfeed";
  sent.params = "[1, {\"x\": null}]";
  sent.metadata = "{\"who\": \"me\"}";
  sent.digest = "{\"sha-256\": \"x\"}";
  sent.layout = "{\"dtype\": \"<f4\", \"shape\": [2, 3]}";
  sent.timeout_ms = 1500;
  sent.stream = sent.more = true;
  std::string text;
  write_call(text, sent, 24);
  Header header;
  header.read(text);
  CallHead got;
  read_call(header, got);
  EXPECT_EQ(call_id(header), sent.id);
  EXPECT_EQ(got.method, sent.method);
  EXPECT_EQ(got.params, sent.params);
  EXPECT_EQ(got.metadata, sent.metadata);
  EXPECT_EQ(got.digest, sent.digest);
  EXPECT_EQ(got.layout, sent.layout);
  EXPECT_EQ(got.timeout_ms, sent.timeout_ms);
  EXPECT_TRUE(got.stream && got.more);
  EXPECT_EQ(size_value(*header.find(Key::body_size)), 24u);
}

TEST(Call, a_plain_one_has_no_members_that_say_nothing) {
  CallHead head;
  head.method = "ping";
  std::string text;
  write_call(text, head, 0);
  EXPECT_EQ(text, R"({"jsonrpc": "2.0", "method": "ping"})");
}

TEST(Call, what_is_no_request_is_refused_with_its_fault) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("method": "a")", "nothing"},
      {R"("jsonrpc": "2.\u0030", "method": "a", "params": null, "metadata": null, "more": false)", "nothing"},
      {R"("jsonrpc": "1.0", "method": "a")", "jsonrpc is not \"2.0\": \"1.0\""},
      {R"("jsonrpc": 2.0, "method": "a")", "jsonrpc is not \"2.0\": 2.0"},
      {R"("result": 1)", "a frame with result, error or item, where a request was due"},
      {R"("method": "a", "result": 1)", "method together with result or error"},
      {R"("method": "a", "error": {})", "method together with result or error"},
      {R"("method": 1)", "the method is not a string: 1"},
      {R"("method": "a", "params": "x")", "params are neither an array nor an object: \"x\""},
      {R"("method": "a", "metadata": [])", "metadata is not an object: []"},
      {R"("method": "a", "digest": "x")", "digest is not an object: \"x\""},
      {R"("method": "a", "stream": 1)", "stream is neither true nor false: 1"},
      {R"("method": "a", "more": null)", "more is neither true nor false: null"},
      {R"("method": "a", "timeout_ms": 0)", "timeout_ms is not an integer above 0: 0"},
      {R"("method": "a", "timeout_ms": -1)", "timeout_ms is not an integer above 0: -1"},
      {R"("method": "a", "timeout_ms": 1.5)", "timeout_ms is not an integer above 0: 1.5"},
      {R"("method": "a", "id": null)", "the id is neither a string nor a number: null"},
      {R"("method": "a", "id": [1])", "the id is neither a string nor a number: [1]"},
      {R"("method": "a", "id": NaN)", "the id is neither a string nor a number: NaN"},
      {R"("method": "a", "id": -Infinity)", "the id is neither a string nor a number: -Infinity"},
  };
  for (const auto& [members, what] : cases) EXPECT_EQ(fault(members), what) << members;
}

TEST(Call, an_id_comes_back_as_the_same_value) {
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},
      {R"("id": 0)", "0"},
      {R"("id": -1)", "-1"},
      {R"("id": 1.50)", "1.50"},
      {R"("id": 1E2)", "1E2"},
      {R"("id": 123456789012345678901234567890)", "123456789012345678901234567890"},
      {R"("id": "")", "\"\""},
      {R"("id": "\u0041\/")", "\"A/\""}};
  for (const auto& [members, id] : cases) {
    const std::string text = std::string("{") + members + "}";
    Header header;
    header.read(text);
    EXPECT_EQ(call_id(header), id);
  }
}

TEST(Call, an_object_without_members_adds_none_however_it_is_written) {
  for (const std::string empty : {"{}", "{ }", "{\n\t}"}) {
    Response response;
    response.metadata = response.layout = empty;
    check_json(response);
    std::string reply, part, error;
    write_reply(reply, "1", response, true);
    EXPECT_EQ(dump_json(parse_json(reply)),
              R"({"jsonrpc": "2.0", "id": 1, "result": null, "metadata": {"connection": "close"}})");
    Part item;
    item.layout = empty;
    write_part(part, "1", "item", item, true);
    EXPECT_EQ(dump_json(parse_json(part)), R"({"jsonrpc": "2.0", "id": 1, "item": null, "more": true})");
    write_error(error, "1", static_cast<int>(ErrorCode::aborted), "no", empty);
    EXPECT_EQ(
        dump_json(parse_json(error)),
        R"({"jsonrpc": "2.0", "id": 1, "error": {"code": -32050, "message": "no", "data": {"status": "ABORTED"}}})");
  }
}

TEST(Call, an_error_reply_is_cut_to_the_room_there_is) {
  const std::string message(2000, 'm'), data = "{\"text\": \"" + std::string(2000, 'd') + "\"}";
  for (const std::size_t room : {256, 300, 1000, 9000}) {
    for (const std::string& id : {std::string("1"), "\"" + std::string(1000, 'i') + "\""}) {
      std::string text = "before";
      write_error_within(room, text, id, -32050, message, data, true);
      ASSERT_LE(text.size(), room + 6);
      const Json reply = parse_json(text.substr(6));
      EXPECT_EQ(reply["error"]["code"], -32050);
      EXPECT_EQ(reply["error"]["data"]["status"], "ABORTED");
      EXPECT_EQ(reply["error"]["data"].contains("text"), room == 9000);
      EXPECT_EQ(reply["id"].is_null(), id.size() > room - 200);
      EXPECT_FALSE(reply["error"]["message"].get<std::string>().empty());
      EXPECT_EQ(reply["metadata"]["connection"], "close");
    }
  }
}

TEST(Call, what_its_caller_wrote_has_to_be_json_that_fits_into_a_header) {
  EXPECT_NO_THROW(check_json("[1, 2]", "value"));
  EXPECT_NO_THROW(check_layout(""));
  EXPECT_THROW(check_json("done", "value"), std::invalid_argument);
  EXPECT_THROW(check_json("1 2", "value"), std::invalid_argument);
  EXPECT_THROW(check_json("", "value"), std::invalid_argument);
  EXPECT_THROW(check_layout("[]"), std::invalid_argument);
  EXPECT_THROW(check_layout(" {}"), std::invalid_argument);
  Response response;
  response.metadata = "{\"n\": 1}";
  EXPECT_THROW(check_json(response), std::invalid_argument) << "no string";
  Part part;
  part.layout = "x";
  EXPECT_THROW(check_json(part), std::invalid_argument);
}

TEST(Call, a_layout_is_what_the_header_says_about_arrays) {
  Header header;
  header.read(R"({"shape": [1], "other": 1, "dtype": "<i8"})");
  EXPECT_EQ(layout_of(header), R"({"dtype": "<i8", "shape": [1]})");
  header.read(R"({"tensors": []})");
  EXPECT_EQ(layout_of(header), R"({"tensors": []})");
  header.read("{}");
  EXPECT_EQ(layout_of(header), "");
}

// The code, the message and the data of what is thrown.
template <class Thrown>
std::string failure_of(const Thrown& thrown) {
  try {
    throw thrown;
  } catch (...) {
    const Failure failure = current_failure();
    return std::to_string(failure.code) + " " + failure.message + " " + failure.data;
  }
}

TEST(Call, whatever_a_handler_throws_has_an_answer) {
  EXPECT_EQ(failure_of(CallError(ErrorCode::not_found, "no such row", "{\"row\": 1}")),
            "-32045 no such row {\"row\": 1}");
  EXPECT_EQ(failure_of(RemoteError(7, "the other server failed", "[1]")), "7 the other server failed [1]");
  EXPECT_EQ(failure_of(std::bad_alloc()), "-32048 out of memory ");
  EXPECT_EQ(failure_of(std::out_of_range("index")), "-32603 index {\"type\": \"std::out_of_range\"}");
  EXPECT_EQ(failure_of(5), "-32603 the handler threw what is no std::exception ");
}

TEST(Call, params_and_metadata_are_values_only_when_they_are_asked_for) {
  CallHead head;
  head.method = "a";
  head.params = "[1, 2]";
  head.metadata = R"({"who": "me", "n": 5})";
  const Request request(head, std::string_view("body"), "peer");
  EXPECT_EQ(request.params().at(1), 2);
  EXPECT_EQ(request.metadata("who"), "me");
  EXPECT_FALSE(request.metadata("n")) << "no string";
  EXPECT_FALSE(request.metadata("other"));
  EXPECT_TRUE(request.is_notification());
  CallHead bare;
  EXPECT_TRUE(Request(bare, std::string_view(), "peer").params().is_null());
  EXPECT_FALSE(Request(bare, std::string_view(), "peer").metadata("who"));
}

TEST(Call, a_body_that_came_as_a_block_is_taken_without_a_copy) {
  CallHead head;
  Buffer body;
  body.append(std::string(100, 'b'));
  const char* const bytes = body.data();
  Request request(head, std::move(body), "peer");
  EXPECT_EQ(request.body().data(), bytes);
  EXPECT_EQ(request.take_body().data(), bytes);
  EXPECT_TRUE(request.body().empty());
}

TEST(Call, its_handler_learns_that_it_was_cancelled) {
  CallHead head;
  Request request(head, std::string_view(), "peer");
  EXPECT_FALSE(request.cancelled());
  std::stop_source source = request.stop_source();
  const std::stop_token token = request.stop_token();
  source.request_stop();
  EXPECT_TRUE(request.cancelled());
  EXPECT_TRUE(token.stop_requested());
}

}  // namespace
}  // namespace framecall::call_test
