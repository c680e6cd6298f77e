// The cases of the level `rpc`: requests, replies, ids, methods.
#include <set>
#include <utility>

#include "check/trial.hpp"
#include "framecall/error.hpp"
#include "framecall/wire/digest.hpp"
#include "terminal/interrupt.hpp"

namespace framecall::cli::check {
namespace {

constexpr const char* echo_id = "put the id into the reply exactly as it came: reply['id'] = header['id']";

Frame ask(ServerTrial& trial, const Message& message) {
  Peer peer = trial.connect();
  peer.send(message.bytes());
  Frame frame = trial.read_reply(peer, message);
  peer.finish_sending();
  trial.nothing_more(peer);
  return frame;
}

void with_id(ServerTrial& trial, std::string_view id) { ask(trial, trial.call("hello", {}, {}, id)); }

void id_integer(ServerTrial& trial) {
  for (const char* id : {"0", "-1", "9007199254740993", "18446744073709551616"}) with_id(trial, id);
}
void id_string(ServerTrial& trial) {
  for (const char* id : {R"("")", R"("7")", R"("a b")", R"("q\"\\/\n")"}) with_id(trial, id);
}
void id_unicode(ServerTrial& trial) {
  for (const char* id : {"\"你好\"", R"("\u4f60\u597d \ud83d\ude00")", R"("\u00e9e\u0301")", R"("\u0000")"})
    with_id(trial, id);
}
void id_kinds(ServerTrial& trial) {  // 7 and "7" are two ids
  const Message messages[] = {trial.call("a", {}, {}, "7"), trial.call("b", {}, {}, "\"7\"")};
  Peer peer = trial.connect();
  peer.send(messages[0].bytes() + messages[1].bytes());
  trial.settle(peer, messages);
}
void id_bad(ServerTrial& trial) {
  for (const char* id : {"null", "true", "[1]"}) {  // the connection may go on, or end
    const Message message = trial.call("hello", {}, {}, id);
    Peer peer = trial.connect();
    peer.send(message.bytes());
    trial.refused_call(peer, message, {-32600});
    peer.finish_sending();
    trial.nothing_more(peer);
  }
}

Message notification(ServerTrial& trial, const std::string& body, std::string_view method = {}) {
  Message message = trial.call(body, {}, method);
  const std::size_t at = message.header.find("\"id\": ");
  message.header.erase(at, message.header.find("\"method\"") - at);
  return message;
}

void silent_notification(ServerTrial& trial) {
  Peer peer = trial.connect();
  const Message call = trial.call("behind the notifications");
  peer.send(notification(trial, "").bytes() + notification(trial, "with a body").bytes() +
            notification(trial, "x", "framecall-check-nowhere").bytes() +
            trial.head_of(R"({"method": "rpc.cancel", "params": {"id": "no such call"}})") + call.bytes());
  trial.settle(peer, {&call, 1});
}

void answered_once(ServerTrial& trial) {
  for (const char* method : {"", "framecall-check-nowhere"}) {
    const Message call = trial.call("hello", {}, method);
    Peer peer = trial.connect();
    peer.send(call.bytes());
    trial.settle(peer, {&call, 1});
  }
}

void not_found(ServerTrial& trial, const std::string& body) {
  Peer peer = trial.connect();
  const Message call = trial.call(body, {}, "framecall-check-nowhere"), next = trial.call();
  peer.send(call.bytes());
  const Frame frame = trial.refused_call(peer, call, {-32601});
  if (frame.member("id").is_null())
    throw Failure{"the error has the id null, though the request's could be read", echo_id};
  peer.send(next.bytes());
  trial.settle(peer, {&next, 1});
}
void method_not_found(ServerTrial& trial) { not_found(trial, ""); }
void not_found_with_body(ServerTrial& trial) { not_found(trial, pattern(5000)); }

// For cases where the answer to an unknown method says nothing.
void need_method(const ServerTrial& trial) {
  if (!trial.features().methods.contains(trial.features().method())) {
    throw Skip{"none of the methods echo, rpc.ping and upper is there"};
  }
}

// A request that is none, and another one behind it. Where the id could be read the connection stays open.
void bad_request(ServerTrial& trial, const std::string& header, const std::string& id,
                 std::initializer_list<int> codes) {
  Peer peer = trial.connect();
  Message call;
  call.format = trial.dialect().prefixes.front();
  call.header = header;
  call.id = id;
  peer.send(call.bytes());
  const Frame frame = trial.refused_call(peer, call, codes);
  if (frame.member("id").is_null()) {
    peer.read_to_end("the end of the connection behind an error with id null");
    return;
  }
  const Message next = trial.call();
  peer.send(next.bytes());
  trial.settle(peer, {&next, 1});
}

void method_no_string(ServerTrial& trial) {
  for (const char* method : {"5", "null", "[\"echo\"]"}) {
    bad_request(trial, std::string("{\"id\": 41, \"method\": ") + method + "}", "41", {-32600});
  }
}
void params_scalar(ServerTrial& trial) {
  need_method(trial);
  const std::string method = trial.features().method();
  for (const char* params : {"5", "\"text\"", "true"}) {
    std::string header = "{\"id\": 42, \"method\": \"";
    header.append(method).append("\", \"params\": ").append(params).append("}");
    bad_request(trial, header, "42", {-32600, -32602});
  }
}
void other_version(ServerTrial& trial) {
  need_method(trial);
  std::string header = R"({"jsonrpc": "1.0", "id": 43, "method": ")";
  bad_request(trial, header.append(trial.features().method()).append("\"}"), "43", {-32600});
}
void method_with_result(ServerTrial& trial) {
  need_method(trial);
  std::string header = R"({"id": 44, "result": 1, "method": ")";
  bad_request(trial, header.append(trial.features().method()).append("\"}"), "44", {-32600});
}
void version_absent(ServerTrial& trial) {
  Message call = trial.call();
  call.header.erase(1, std::string_view(R"("jsonrpc": "2.0", )").size());
  ask(trial, call);
}

void reply_where_request(ServerTrial& trial) {
  trial.refuses(trial.head_of(R"({"jsonrpc": "2.0", "id": 1, "result": null})"), {-32600}, "a reply");
}
void batch(ServerTrial& trial) {
  trial.refuses(trial.head_of(R"([{"jsonrpc": "2.0", "id": 1, "method": "echo"}])"), {-32600}, "an array of requests");
}

void reply_form(ServerTrial& trial) {
  const Message good = trial.call(), bad = trial.call("", {}, "framecall-check-nowhere");
  for (const Message* message : {&good, &bad}) {
    const Frame frame = ask(trial, *message);
    if (frame.has("error")) {
      const Json& error = frame.member("error");
      const bool whole = error.is_object() && error.contains("code") && error["code"].is_number_integer() &&
                         error.contains("message") && error["message"].is_string();
      if (!whole)
        throw Failure{"an error is {\"code\": integer, \"message\": text}, not " + escaped(dump_json(error)), ""};
    }
    if (!frame.has("jsonrpc")) {
      trial.warn("a reply without \"jsonrpc\": \"2.0\": " + escaped(frame.text, 100),
                 "put it in front: it is always written");
    } else if (frame.member("jsonrpc") != "2.0") {
      throw Failure{"\"jsonrpc\" of a reply is \"2.0\", not " + escaped(dump_json(frame.member("jsonrpc"))), ""};
    }
    if (frame.has("body_size") && frame.member("body_size") == 0) {
      trial.warn("\"body_size\": 0 in a reply: " + escaped(frame.text, 100), "it is there only if it is not 0");
    }
  }
}

void pipelined(ServerTrial& trial) {
  std::vector<Message> messages;
  std::string bytes;
  for (int i = 0; i < 100; ++i) {
    messages.push_back(trial.call("body " + std::to_string(i)));
    bytes += messages.back().bytes();
  }
  Peer peer = trial.connect();
  peer.send(bytes);
  trial.settle(peer, messages);
}

void large_bodies(ServerTrial& trial) {
  for (const std::size_t size : {0, 1, 65537, 1 << 20, 3 << 20}) ask(trial, trial.call(pattern(size)));
}

// Replies wait until we read: the server must hold us back, or keep them, but lose none.
void unread_replies(ServerTrial& trial) {
  std::vector<Message> messages;
  std::string bytes;
  for (int i = 0; i < 10; ++i) {
    messages.push_back(trial.call(pattern(1000000)));
    bytes += messages.back().bytes();
  }
  Peer peer = trial.connect();
  peer.keep_little();
  const std::size_t first = bytes.size() / 10 * 6;
  peer.send(std::string_view(bytes).substr(0, first));
  sleep_until(Clock::now() + milliseconds(300));
  peer.send(std::string_view(bytes).substr(first));
  trial.settle(peer, messages);
}

void echo_params(ServerTrial& trial) {
  if (!trial.features().methods.contains("echo")) throw Skip{"there is no method echo"};
  for (const char* params : {R"([1, "two", null, {"a": [true]}])", R"({"text": "\u4f60\u597d", "x": 1.5})", "[]"}) {
    const Message call = trial.call("hello", std::string(R"(, "params": )") + params);
    const Frame frame = ask(trial, call);
    if (frame.member("result") != parse_json(params)) {
      throw Failure{std::string("the params ") + params + " came back as " + escaped(dump_json(frame.member("result"))),
                    ""};
    }
  }
}

void upper(ServerTrial& trial) {
  if (!trial.features().methods.contains("upper")) throw Skip{"there is no method upper"};
  ask(trial, trial.call("hello, World! az AZ 09 @[`{", {}, "upper"));
  ask(trial, trial.call("\xc3\xa9\xc3\x9f\xe4\xbd\xa0 z \xff\xe9 z", {}, "upper"));  // é, ß, 你, and no UTF-8
}

void ping(ServerTrial& trial) {
  if (!trial.features().methods.contains("rpc.ping")) throw Skip{"there is no method rpc.ping"};
  const Frame frame = ask(trial, trial.call("hello", {}, "rpc.ping"));
  if (frame.member("result") != "pong") throw Failure{"the result is \"pong\", not " + escaped(frame.text), ""};
}

void discover(ServerTrial& trial) {
  if (!trial.features().methods.contains("rpc.discover")) throw Skip{"there is no method rpc.discover"};
  const Frame frame = ask(trial, trial.call("", {}, "rpc.discover"));
  const Json& document = frame.member("result");
  if (!document.is_object() || !document.contains("openrpc") || !document.contains("methods") ||
      !document["methods"].is_array()) {
    throw Failure{"no OpenRPC document: " + escaped(frame.text), ""};
  }
  std::set<std::string> names;
  for (const Json& method : document["methods"]) {
    if (!method.is_object() || !method.contains("name") || !method["name"].is_string()) {
      throw Failure{"a method without a name: " + escaped(dump_json(method)), ""};
    }
    names.insert(method["name"].get<std::string>());
  }
  for (const char* method : {"echo", "upper"}) {
    if (trial.features().methods.contains(method) && !names.contains(method)) {
      trial.warn(std::string("the document does not list ") + method);
    }
  }
}

void metadata(ServerTrial& trial) {
  ask(trial,
      trial.call("hello", R"(, "metadata": {"x-a": "1", "x-b": ""}, "traceparent": "00-0-0-00", "tracestate": "")"));
}
void timeout(ServerTrial& trial) { ask(trial, trial.call("hello", R"(, "timeout_ms": 60000)")); }

std::string digest_of(std::string_view body) { return R"(, "digest": {"sha-256": ")" + sha256_base64(body) + R"("})"; }
void digest_right(ServerTrial& trial) {
  ask(trial, trial.call("hello", digest_of("hello")));
  ask(trial, trial.call("hello", R"(, "digest": {"x-other": "abc"})"));
}
void digest_wrong(ServerTrial& trial) {
  need_method(trial);
  Peer peer = trial.connect();
  const Message call = trial.call("hello", digest_of("another body")), next = trial.call();
  peer.send(call.bytes() + next.bytes());
  const std::optional<Frame> frame = peer.read_frame("a reply");
  if (!frame) throw Failure{"the connection ended instead of a reply", ""};
  if (frame->has("result")) {
    trial.warn("the digest is not checked", "where a header has digest, compare its sha-256 with that of the body");
  } else if (const Json& error = frame->member("error"); error.value("code", Json()) != -32055) {
    throw Failure{"another error: " + escaped(frame->text), ""};
  }
  trial.settle(peer, {&next, 1});
}

void stream_welcome(ServerTrial& trial) {
  const Frame frame = ask(trial, trial.call("hello", R"(, "stream": true)"));
  if (frame.has("more")) throw Failure{"a method with one answer says \"more\": " + escaped(frame.text), ""};
}

void parts_refused(ServerTrial& trial) {
  need_method(trial);
  Peer peer = trial.connect();
  const Message call = trial.call("", R"(, "more": true)"), next = trial.call();
  Message part;
  part.format = call.format;
  part.header = R"({"id": )" + call.id + R"(, "item": 1, "body_size": 3})";
  part.body = "end";
  peer.send(call.bytes() + part.bytes() + next.bytes());
  const std::optional<Frame> frame = peer.read_frame("a reply");
  if (!frame) throw Failure{"the connection ended instead of a reply with id " + call.id, ""};
  if (frame->has("result")) {
    trial.warn("a method that takes no parts does not refuse \"more\": true",
               "answer -32600 where a method takes no parts, and drop those that come");
    return;
  }
  if (const Json& error = frame->member("error"); error.value("code", Json()) != -32600) {
    throw Failure{"another error: " + escaped(frame->text), ""};
  }
  if (peer.something_comes(milliseconds(0)) && peer.at_end()) {
    trial.warn("a part of a call that is over ends the connection", "drop frames with item whose id is not known");
    return;
  }
  trial.settle(peer, {&next, 1});
}

void same_ids(ServerTrial& trial) {
  Peer first = trial.connect(), second = trial.connect();
  const Message one = trial.call("of the first", {}, {}, "1"), two = trial.call("of the second", {}, {}, "1");
  first.send(std::string_view(one.bytes()).substr(0, one.head_size() + 3));
  second.send(two.bytes());
  trial.settle(second, {&two, 1});
  first.send(std::string_view(one.bytes()).substr(one.head_size() + 3));
  trial.settle(first, {&one, 1});
}

void long_conversation(ServerTrial& trial) {
  Peer peer = trial.connect();
  Message last;
  for (int i = 0; i < 50; ++i) {
    const Message call = trial.call(std::string(static_cast<std::size_t>(i * 41), 'x'));
    peer.send(call.bytes());
    trial.read_reply(peer, call);
  }
  peer.finish_sending();
  trial.nothing_more(peer);
}

void whole_before_reply(ServerTrial& trial) {
  const Message call = trial.call(pattern(2000));
  Peer peer = trial.connect();
  peer.send(std::string_view(call.bytes()).substr(0, call.head_size() + 1000));
  if (peer.something_comes(milliseconds(250))) {
    const std::string came = peer.at_end() ? "the end of the connection" : escaped(peer.input());
    throw Failure{"half of the body is still to come, and already there is " + came, ""};
  }
  peer.send(std::string_view(call.bytes()).substr(call.head_size() + 1000));
  trial.settle(peer, {&call, 1});
}

constexpr const char* one_reply = "4: every request gets exactly one reply with its id";

constexpr ServerCase all_rpc_cases[] = {
    {"rpc/id-integer", Level::rpc, calls, "the ids 0, -1, 2^53 + 1 and 2^64",
     "4: an id is a string or an integer of any size", echo_id, id_integer},
    {"rpc/id-string", Level::rpc, calls, "ids that are strings: empty, a digit, blanks, quotes", one_reply, echo_id,
     id_string},
    {"rpc/id-unicode", Level::rpc, calls, "ids with Chinese, an emoji, accents, NUL, raw and escaped", one_reply,
     "do not normalise, strip or re-encode the id; json.dumps of what json.loads gave is the same id", id_unicode},
    {"rpc/id-kinds", Level::rpc, calls, "the ids 7 and \"7\" in flight together", one_reply,
     "do not use str(id): 7 and \"7\" are two ids", id_kinds},
    {"rpc/id-bad", Level::rpc, calls, "the ids null, true and a list", "4: an id that is a string or a number",
     "type(id) in (int, float, str), else refuse with -32600: True is an int in Python", id_bad},
    {"rpc/notification-silent", Level::rpc, calls,
     "four notifications, of unknown methods and rpc.cancel, too; then a call", "2: a notification is never answered",
     "if 'id' not in header: do the work, send nothing, errors included", silent_notification},
    {"rpc/answered-once", Level::rpc, calls, "a call, and one of an unknown method", one_reply,
     "send one reply for each request: a return is missing behind an error", answered_once},
    {"rpc/method-not-found", Level::rpc, calls, "a call of an unknown method, then another call",
     "4: -32601; errors of a call are replies, and the connection stays open",
     "look the method up before you call it; the error is {\"code\": -32601, \"message\": ...}", method_not_found},
    {"rpc/method-not-found-body", Level::rpc, calls, "a call of an unknown method with a body, then another call",
     "4: the body is consumed and the connection stays open", "read the body before you answer, whatever the answer is",
     not_found_with_body},
    {"rpc/method-no-string", Level::rpc, calls, "5, null and a list as the method", "4: method: a name; 6: -32600",
     "isinstance(method, str), before it is looked up", method_no_string},
    {"rpc/params-scalar", Level::rpc, calls, "params that are 5, a text, true", "4: params: an array or object; -32600",
     "isinstance(params, (list, dict)), before they are used", params_scalar},
    {"rpc/version-absent", Level::rpc, calls, "a request without jsonrpc", "4: may be absent on receipt",
     "header.get('jsonrpc', '2.0')", version_absent},
    {"rpc/version-other", Level::rpc, calls, "\"jsonrpc\": \"1.0\"", "4: any other value is -32600",
     "compare jsonrpc with \"2.0\" where it is there", other_version},
    {"rpc/method-with-result", Level::rpc, calls, "method and result in one header",
     "2: method together with result or error is nothing: -32600",
     "look for result and error before you look for method", method_with_result},
    {"rpc/reply-to-server", Level::rpc, calls, "a reply where a request is due",
     "2: refused when a server receives one", "a header without method is no request", reply_where_request},
    {"rpc/batch", Level::rpc, calls, "a JSON array of requests", "2: a JSON array is -32600: there are no batches",
     "isinstance(header, dict), before you look for keys", batch},
    {"rpc/reply-form", Level::rpc, calls, "a result and an error, looked at closely", "4: the form of replies",
     "{\"jsonrpc\": \"2.0\", \"id\": ID, \"error\": {\"code\": INTEGER, \"message\": TEXT}}", reply_form},
    {"rpc/pipelined", Level::rpc, calls, "100 calls in one write", "4: requests may be sent without waiting",
     "one recv may bring many requests: answer all that are whole before the next recv", pipelined},
    {"rpc/large-bodies", Level::rpc, calls, "bodies of 0, 1, 65,537, 1 MiB and 3 MiB",
     "1: B = 0 .. 2^63 - 1; 6: --max-body", "send may take only a part: use sendall; recv gives only a part: loop",
     large_bodies},
    {"rpc/unread-replies", Level::rpc, calls, "ten calls with 1 MB each, whose replies are read late",
     "6: a peer that does not read its replies is not read from", "sendall, without a short timeout; drop no reply",
     unread_replies},
    {"rpc/whole-before-reply", Level::rpc, calls, "a call whose body pauses in the middle",
     "4: a request has body_size bytes behind the header", "read the whole body before you answer", whole_before_reply},
    {"rpc/same-ids", Level::rpc, calls, "the id 1 on two connections at once", "4: ids are unique on their connection",
     "keep the calls under way for each connection, not for the program", same_ids},
    {"rpc/conversation", Level::rpc, calls, "50 calls on one connection, each after the reply to the former",
     "1: frames follow each other directly", "after a reply go back to reading the next length", long_conversation},
    {"rpc/echo-params", Level::rpc, calls, "echo of params", "4: echo: params and body back",
     "result is what params was", echo_params},
    {"rpc/upper", Level::rpc, calls, "upper of ASCII, of UTF-8 and of bytes that are none",
     "4: the body in ASCII upper case", "bytes.upper(), not body.decode().upper().encode()", upper},
    {"rpc/ping", Level::rpc, calls, "rpc.ping", "4: \"pong\", the body back", "result \"pong\", and the body that came",
     ping},
    {"rpc/discover", Level::rpc, calls, "rpc.discover", "4: the OpenRPC document of all methods",
     "{\"openrpc\": VERSION, \"info\": {...}, \"methods\": [{\"name\": ...}]}", discover},
    {"rpc/metadata", Level::rpc, calls, "metadata, traceparent and tracestate", "4: metadata is an object of strings",
     "ignore the metadata you do not know", metadata},
    {"rpc/timeout", Level::rpc, calls, "timeout_ms, a minute", "4: the time left for the call",
     "timeout_ms counts milliseconds", timeout},
    {"rpc/digest-right", Level::rpc, calls, "the right digest, and one of another algorithm",
     "4: the sha-256 of the body; other algorithms are let pass", "base64 of the 32 bytes, not of the hexadecimal text",
     digest_right},
    {"rpc/digest-wrong", Level::rpc, calls, "a digest that differs (no check is a warning)",
     "4: DATA_LOSS where it differs", "answer -32055 and go on", digest_wrong},
    {"rpc/stream-welcome", Level::rpc, calls, "\"stream\": true to a method with one answer",
     "4: may be answered with parts, the last one without more", "ignore stream where you have one answer",
     stream_welcome},
    {"rpc/parts-refused", Level::rpc, calls, "\"more\": true to a method that takes no parts, one part, another call",
     "4: refuses more with -32600; parts for a call that is over are dropped",
     "a frame with item and id is a part: no "
     "request, and no upload",
     parts_refused},
};

}  // namespace

std::span<const ServerCase> rpc_cases() { return all_rpc_cases; }

}  // namespace framecall::cli::check
