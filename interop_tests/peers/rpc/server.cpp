// The server of the interop cases: its methods are in the tables of interop_tests/README.md.
//
//     rpc_server [--root DIR]     prints `listening tcp 127.0.0.1:PORT`, serves until SIGTERM, ends with 0
//
// DIR is the folder of uploads and of the file. methods; without it they are refused.
#include "framecall/server.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framecall/detail/file_store.hpp"
#include "framecall/error.hpp"
#include "framecall/router.hpp"
#include "framecall/stream.hpp"
#include "framecall/wire/json.hpp"

namespace {

using framecall::Buffer;
using framecall::CallError;
using framecall::dump_json;
using framecall::ErrorCode;
using framecall::Json;
using framecall::parse_json;
using framecall::Part;
using framecall::RemoteError;
using framecall::Request;
using framecall::Response;
using framecall::Stream;

constexpr std::int64_t max_reply_size = 64 << 20;

// A member of a call's params, or of an item; null if it is not there.
Json member(const Json& value, const char* name) { return value.is_object() ? value.value(name, Json()) : Json(); }

Buffer zeros(const Json& size) {
  const bool fits = size.is_number_integer() && size >= 0 && size <= max_reply_size;
  if (!fits) throw CallError(ErrorCode::invalid_params, "a size that is no integer 0 .. 67108864: " + dump_json(size));
  Buffer body;
  body.append(std::string(size.get<std::size_t>(), '\0'));
  return body;
}

// Fails with the code and message that the caller asks for, if it does.
void fail_if_asked(const Json& value) {
  const Json status = member(value, "status");
  if (status.is_null()) return;
  const Json code = member(status, "code"), message = member(status, "message");
  if (!code.is_number_integer() || !message.is_string()) {
    throw CallError(ErrorCode::invalid_params, "status: expected {\"code\": INTEGER, \"message\": TEXT}");
  }
  throw RemoteError(code.get<std::int64_t>(), message.get<std::string>(), {});
}

// The last frame of every reply carries back what the caller put under these names.
Response answer(const Request& request, const Json& result) {
  Json echoed = Json::object();
  for (const char* name : {"x-framecall-test-echo", "x-framecall-test-echo-trailing"}) {
    if (const auto value = request.metadata(name)) echoed[name] = *value;
  }
  Response response(result);
  if (!echoed.empty()) response.metadata = dump_json(echoed);
  return response;
}

// One request, one reply: the size of the body that came, and a body of `response_size` bytes.
Response unary(Request& request) {
  fail_if_asked(request.params());
  Response response = answer(request, request.body().size());
  const Json size = member(request.params(), "response_size");
  if (!size.is_null()) response.body = zeros(size);
  return response;
}

// Many parts in, one reply: the bytes of all bodies together.
Response collect(Request& request, Stream& stream) {
  std::size_t total = request.body().size();
  for (Part part; stream.read(part);) total += part.body.size();
  return answer(request, total);
}

// One request, many parts out: one for each of the `sizes`, numbered from 0 on.
Response produce(Request& request, Stream& stream) {
  int number = 0;
  for (const Json& size : member(request.params(), "sizes")) {
    Part part;
    part.value = dump_json(number++);
    part.body = zeros(size);
    stream.write(std::move(part));
  }
  return answer(request, nullptr);
}

// Each part is answered as `unary` answers a call, before the next one is read; what asks for no size gets nothing.
Response converse(Request& request, Stream& stream) {
  for (Part part; stream.read(part);) {
    const Json item = parse_json(part.value);
    fail_if_asked(item);
    const Json size = member(item, "response_size");
    if (size.is_null()) continue;
    Part reply;
    reply.value = dump_json(part.body.size());
    reply.body = zeros(size);
    stream.write(std::move(reply));
  }
  return answer(request, nullptr);
}

// Reads nothing and says nothing until the caller does not want it any more, or its deadline has passed.
Response wait(Request& request, Stream&) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait(lock, request.stop_token(), [] { return false; });
  throw CallError(ErrorCode::cancelled, "nobody waits any more");
}

// The methods that peers in other languages call, in ../languages/.

std::int64_t add(std::int32_t a, std::int32_t b) { return std::int64_t{a} + b; }

std::string say(std::string text) { return text; }

// The numbers below `n`, each a part.
Response count(Request& request, Stream& stream) {
  const Json n = member(request.params(), "n");
  if (!n.is_number_integer() || n < 0 || n > 1000000) {
    throw CallError(ErrorCode::invalid_params, "n: expected an integer 0 .. 1000000, got " + dump_json(n));
  }
  for (int number = 0; number < n; ++number) {
    Part part;
    part.value = dump_json(number);
    stream.write(std::move(part));
  }
  return Response();
}

std::shared_ptr<framecall::Router> make_router() {
  auto router = std::make_shared<framecall::Router>();
  router->on("empty", [] {});
  router->on_pool("unary", unary);  // up to 64 MiB at a time: not for the thread that reads the calls
  router->on_stream("collect", collect);
  router->on_stream("produce", produce);
  router->on_stream("converse", converse);
  router->on_stream("wait", wait);
  router->on("add", {"a", "b"}, add);
  router->on("say", {"text"}, say);
  router->on_stream("count", count);
  return router;
}

}  // namespace

int main(int argument_count, char** arguments) {
  const bool with_root = argument_count == 3 && std::string_view(arguments[1]) == "--root";
  if (argument_count != 1 && !with_root) {
    std::fprintf(stderr, "usage: rpc_server [--root DIR]\n");
    return 2;
  }
  try {
    framecall::ServerOptions options;
    options.router = make_router();
    options.header_timeout = std::chrono::minutes(1);  // the pieces of the relay are slow on a busy machine
    options.log = [](framecall::LogLevel level, std::string_view line) {
      if (level != framecall::LogLevel::info) std::cerr << line << std::endl;  // shown when a test fails
    };
    if (with_root) options.files = std::make_shared<framecall::FileStore>(arguments[2]);
    framecall::Server server(std::move(options));
    const auto bound = server.listen(framecall::Endpoint::parse("127.0.0.1:0"));
    std::printf("listening tcp %s\n", bound.to_string().c_str());
    std::fflush(stdout);  // the socket listens: what connects from here on is served
    server.run();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rpc_server: %s\n", error.what());
    return 1;
  }
}
