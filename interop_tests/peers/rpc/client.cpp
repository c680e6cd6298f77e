// The interop cases, as a program would call a server with the blocking client.
//
//     rpc_client HOST:PORT CASE        prints `CASE: pass` or what was wrong; exit code 0 or 1
//
// CASE may be `all`; without a case, the list is printed. The sizes are those of gRPC's list of interop tests.
#include "framecall/client.hpp"

#include <chrono>
#include <cstdio>
#include <exception>
#include <functional>
#include <future>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "framecall/error.hpp"
#include "framecall/wire/json.hpp"

namespace {

using framecall::CallOptions;
using framecall::Client;
using framecall::ClientStream;
using framecall::dump_json;
using framecall::Endpoint;
using framecall::ErrorCode;
using framecall::Json;
using framecall::parse_json;
using framecall::Part;
using framecall::RemoteError;
using framecall::Response;

constexpr std::size_t large_request = 271828, large_reply = 314159;
const std::vector<std::size_t> request_sizes = {27182, 8, 1828, 45904};
const std::vector<std::size_t> reply_sizes = {31415, 9, 2653, 58979};
constexpr std::size_t request_total = 74922;
constexpr const char* echo_key = "x-framecall-test-echo";
constexpr const char* trailing_key = "x-framecall-test-echo-trailing";

// ---- checks

void expect(const std::string& what, const Json& got, const Json& wanted) {
  if (got == wanted) return;
  throw std::runtime_error(what + ": got " + dump_json(got) + " instead of " + dump_json(wanted));
}

void expect_zeros(const std::string& what, std::string_view body, std::size_t size) {
  expect("size of " + what, body.size(), size);
  expect("a byte that is not 0 in " + what, body.find_first_not_of('\0') != std::string_view::npos, false);
}

void expect_error(std::int64_t code, const std::function<void()>& call, const std::string* message = nullptr) {
  try {
    call();
  } catch (const RemoteError& error) {
    expect("error code", error.code(), code);
    if (message != nullptr) expect("error message", std::string(error.what()), *message);
    return;
  }
  throw std::runtime_error("it succeeded, where error " + std::to_string(code) + " was due");
}

constexpr std::int64_t number(ErrorCode code) { return static_cast<std::int64_t>(code); }

// ---- what the cases have in common

std::string zeros(std::size_t size) { return std::string(size, '\0'); }

Part part_of(const Json& item, std::size_t size) {
  Part part;
  part.value = dump_json(item);
  part.body.append(zeros(size));
  return part;
}

CallOptions with_parts() {
  CallOptions options;
  options.more = true;
  return options;
}

void read_part(ClientStream& stream, const Json& value, std::size_t size) {
  Part part;
  expect("a part came", stream.read(part), true);
  expect("value of the part", parse_json(part.value), value);
  expect_zeros("the part", part.body.view(), size);
}

void read_end(ClientStream& stream) {
  Part part;
  expect("another part came", stream.read(part), false);
}

void drop_the_rest(ClientStream& stream) {
  for (Part part; stream.read(part);) {
  }
}

// One part there and one back.
void exchange(ClientStream& stream, std::size_t request_size, std::size_t reply_size) {
  stream.write(part_of({{"response_size", reply_size}}, request_size));
  read_part(stream, request_size, reply_size);
}

Json status_of(int code, const std::string& message) { return {{"status", {{"code", code}, {"message", message}}}}; }

// ---- the cases

struct Peer {
  Endpoint endpoint;
  Client& client;
};

void empty_unary(const Peer& peer) {
  const Response response = peer.client.request("empty");
  expect("result", response.value(), nullptr);
  expect("size of the body", response.body.size(), 0);
}

void call_large(Client& client) {
  const Response response = client.request("unary", {{"response_size", large_reply}}, zeros(large_request));
  expect("result", response.value(), large_request);
  expect_zeros("the reply", response.body.view(), large_reply);
}

void large_unary(const Peer& peer) { call_large(peer.client); }

void client_streaming(const Peer& peer) {
  ClientStream stream = peer.client.stream("collect", nullptr, {}, with_parts());
  for (const std::size_t size : request_sizes) stream.write(part_of(nullptr, size));
  stream.finish_writing();
  read_part(stream, request_total, 0);
  read_end(stream);
}

void server_streaming(const Peer& peer) {
  ClientStream stream = peer.client.stream("produce", {{"sizes", reply_sizes}});
  for (std::size_t i = 0; i < reply_sizes.size(); ++i) read_part(stream, i, reply_sizes[i]);
  read_end(stream);
}

void ping_pong(const Peer& peer) {
  ClientStream stream = peer.client.stream("converse", nullptr, {}, with_parts());
  for (std::size_t i = 0; i < request_sizes.size(); ++i) exchange(stream, request_sizes[i], reply_sizes[i]);
  stream.finish_writing();
  read_end(stream);
}

void empty_stream(const Peer& peer) {
  ClientStream stream = peer.client.stream("converse", nullptr, {}, with_parts());
  stream.finish_writing();
  read_end(stream);
}

void cancel_after_begin(const Peer& peer) {
  ClientStream stream = peer.client.stream("collect", nullptr, {}, with_parts());
  stream.cancel();
  expect_error(number(ErrorCode::cancelled), [&] { drop_the_rest(stream); });
}

void cancel_after_first_response(const Peer& peer) {
  ClientStream stream = peer.client.stream("converse", nullptr, {}, with_parts());
  exchange(stream, request_sizes[0], reply_sizes[0]);
  stream.cancel();
  expect_error(number(ErrorCode::cancelled), [&] { drop_the_rest(stream); });
}

void timeout_on_sleeping_server(const Peer& peer) {
  peer.client.call("empty");  // the connection is there: the millisecond belongs to the call
  CallOptions options = with_parts();
  options.timeout = std::chrono::milliseconds(1);
  try {
    expect_error(number(ErrorCode::deadline_exceeded), [&] {
      ClientStream stream = peer.client.stream("wait", nullptr, {}, options);
      stream.write(part_of(nullptr, request_sizes[0]));
      drop_the_rest(stream);
    });
  } catch (const std::system_error& error) {  // the client has a clock of its own, and it may be first
    if (error.code() != std::errc::timed_out) throw;
  }
}

void expect_status(Client& client, const std::string& message) {
  constexpr int unknown = 2;
  expect_error(unknown, [&] { client.call("unary", status_of(unknown, message)); }, &message);
  ClientStream stream = client.stream("converse", nullptr, {}, with_parts());
  stream.write(part_of(status_of(unknown, message), 0));
  stream.finish_writing();
  expect_error(unknown, [&] { drop_the_rest(stream); }, &message);
}

void status_code_and_message(const Peer& peer) { expect_status(peer.client, "test status message"); }

void special_status_message(const Peer& peer) {
  expect_status(peer.client, "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n");
}

void unimplemented_method(const Peer& peer) {
  expect_error(number(ErrorCode::method_not_found), [&] { peer.client.call("unimplemented"); });
}

void custom_metadata(const Peer& peer) {
  CallOptions options;
  options.metadata = {{echo_key, "test_initial_metadata_value"}, {trailing_key, "q6ur"}};
  const auto expect_echoed = [&](const std::string& text) {
    const Json metadata = text.empty() ? Json::object() : parse_json(text);
    for (const auto& [key, value] : options.metadata.items()) expect(key, metadata.value(key, Json()), value);
  };
  const Response response =
      peer.client.request("unary", {{"response_size", large_reply}}, zeros(large_request), options);
  expect_echoed(response.metadata);
  options.more = true;
  ClientStream stream = peer.client.stream("converse", nullptr, {}, options);
  exchange(stream, large_request, large_reply);
  stream.finish_writing();
  read_end(stream);
  expect_echoed(stream.metadata());
}

void concurrent_large_unary(const Peer& peer) {
  std::vector<std::future<void>> calls;
  for (int i = 0; i < 50; ++i) {
    calls.push_back(std::async(std::launch::async, [&peer] { call_large(peer.client); }));
  }
  for (std::future<void>& call : calls) call.get();
}

void rpc_soak(const Peer& peer) {
  for (int i = 0; i < 1000; ++i) call_large(peer.client);
}

void channel_soak(const Peer& peer) {
  for (int i = 0; i < 200; ++i) {
    Client client(peer.endpoint);
    call_large(client);
  }
}

const std::vector<std::pair<std::string, void (*)(const Peer&)>> cases = {
    {"empty_unary", empty_unary},
    {"large_unary", large_unary},
    {"client_streaming", client_streaming},
    {"server_streaming", server_streaming},
    {"ping_pong", ping_pong},
    {"empty_stream", empty_stream},
    {"cancel_after_begin", cancel_after_begin},
    {"cancel_after_first_response", cancel_after_first_response},
    {"timeout_on_sleeping_server", timeout_on_sleeping_server},
    {"status_code_and_message", status_code_and_message},
    {"special_status_message", special_status_message},
    {"unimplemented_method", unimplemented_method},
    {"custom_metadata", custom_metadata},
    {"concurrent_large_unary", concurrent_large_unary},
    {"rpc_soak", rpc_soak},
    {"channel_soak", channel_soak},
};

int run(const Endpoint& endpoint, const std::string& wanted) {
  int ran = 0, failed = 0;
  for (const auto& [name, function] : cases) {
    if (wanted != "all" && wanted != name) continue;
    ++ran;
    Client client(endpoint);
    std::string outcome = "pass";
    try {
      function({endpoint, client});
    } catch (const std::exception& error) {
      outcome = framecall::printable(error.what(), 2000);
      ++failed;
    }
    std::printf("%s: %s\n", name.c_str(), outcome.c_str());
    std::fflush(stdout);
  }
  if (ran == 0) std::fprintf(stderr, "rpc_client: no case \"%s\"\n", wanted.c_str());
  return ran > 0 && failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argument_count, char** arguments) {
  if (argument_count != 3) {
    std::fprintf(stderr, "usage: rpc_client HOST:PORT CASE\n");
    for (const auto& one : cases) std::printf("%s\n", one.first.c_str());
    return 2;
  }
  try {
    return run(Endpoint::parse(arguments[1]), arguments[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rpc_client: %s\n", error.what());
    return 1;
  }
}
