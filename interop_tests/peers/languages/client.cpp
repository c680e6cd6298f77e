// The cases of this folder by the library's own clients.
//
//     cases_client blocking|async HOST PORT CASE...    prints `CASE ok` or `CASE failed: ...`; exit code 0, 1, or 2 for usage
//
// blocking: Client, FileClient. async: AsyncClient for all calls, file.get among them. Uploads of the taught form are
// DialectClient's in both. Environment: SHARED_SHA256 is what the file shared.bin of the server has to have (case get).
#include <unistd.h>
#include <algorithm>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framecall/async_client.hpp"
#include "framecall/client.hpp"
#include "framecall/dialect_client.hpp"
#include "framecall/error.hpp"
#include "framecall/file_client.hpp"
#include "framecall/wire/digest.hpp"

namespace {

using framecall::AsyncClient;
using framecall::AsyncStream;
using framecall::Buffer;
using framecall::Client;
using framecall::dump_json;
using framecall::Endpoint;
using framecall::Json;
using framecall::Part;
using framecall::RemoteError;
using framecall::Response;

const std::string text = "na\u00efve \u4f60\u597d \U0001f680";

// ---- both kinds of client, as the cases see them

class Peer {
 public:
  virtual ~Peer() = default;
  virtual Response request(const std::string& method, const Json& params, const std::string& body) = 0;
  // The values of all parts.
  virtual Json stream(const std::string& method, const Json& params) = 0;
  // The content of a file.
  virtual std::string get(const std::string& name) = 0;
};

class BlockingPeer : public Peer {
 public:
  explicit BlockingPeer(const Endpoint& endpoint) : endpoint_(endpoint), client_(endpoint) {}

  Response request(const std::string& method, const Json& params, const std::string& body) override {
    return client_.request(method, params, body);
  }

  Json stream(const std::string& method, const Json& params) override {
    Json values = Json::array();
    framecall::ClientStream stream = client_.stream(method, params);
    for (Part part; stream.read(part);) values.push_back(framecall::parse_json(part.value));
    return values;
  }

  std::string get(const std::string& name) override {
    std::string content;
    framecall::FileClient(endpoint_).read(name, [&](std::string_view piece) { content += piece; });
    return content;
  }

 private:
  Endpoint endpoint_;
  Client client_;
};

asio::awaitable<Json> read_parts(AsyncClient& client, std::string method, Json params) {
  Json values = Json::array();
  auto opening = client.stream(std::move(method), std::move(params));
  AsyncStream stream = co_await std::move(opening);
  for (;;) {
    auto reading = stream.read();
    const std::optional<Part> part = co_await std::move(reading);
    if (!part) co_return values;
    values.push_back(framecall::parse_json(part->value));
  }
}

class AsyncPeer : public Peer {
 public:
  explicit AsyncPeer(const Endpoint& endpoint) : client_(io_.get_executor(), endpoint) {}

  Response request(const std::string& method, const Json& params, const std::string& body) override {
    Buffer bytes;
    bytes.append(body);
    return run(client_.request(method, params, std::move(bytes)));
  }

  Json stream(const std::string& method, const Json& params) override {
    return run(read_parts(client_, method, params));
  }

  std::string get(const std::string& name) override {
    return std::string(request("file.get", {{"name", name}}, "").body.view());
  }

 private:
  template <class T>
  T run(asio::awaitable<T> work) {
    std::optional<T> result;
    std::exception_ptr failure;
    asio::co_spawn(io_, std::move(work), [&](std::exception_ptr error, T value) {
      failure = error;
      result = std::move(value);
      io_.stop();  // the client waits for the next reply all the time
    });
    io_.restart();
    io_.run();
    if (failure) std::rethrow_exception(failure);
    return std::move(*result);
  }

  asio::io_context io_{1};
  AsyncClient client_;
};

// ---- the cases

// Bytes that differ everywhere; every client of this folder sends the same ones.
std::string pattern(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i ^ i >> 8 ^ i >> 16);
  return bytes;
}

void expect(const std::string& what, const Json& got, const Json& wanted) {
  if (got == wanted) return;
  throw std::runtime_error(what + ": expected " + dump_json(wanted) + ", got " + dump_json(got));
}

struct Target {
  Endpoint endpoint;
  Peer& peer;
  std::string mode;
};

void upper(const Target& target) {
  const Response response = target.peer.request("upper", nullptr, "hello, world");
  expect("body", std::string(response.body.view()), "HELLO, WORLD");
}

void add(const Target& target) {
  expect("by name", target.peer.request("add", {{"a", 2}, {"b", 3}}, "").value(), 5);
  expect("by place", target.peer.request("add", {2, 3}, "").value(), 5);
}

void unicode(const Target& target) {  // we send \uxxxx alone
  expect("result", target.peer.request("say", {{"text", text}}, "").value(), text);
}

void big(const Target& target) {
  const std::string sent = pattern(5 << 20);
  const Response response = target.peer.request("echo", nullptr, sent);
  expect("size of the body", response.body.size(), sent.size());
  expect("the body is what was sent", response.body.view() == sent, true);
}

void error(const Target& target) {
  std::optional<std::int64_t> code;
  try {
    target.peer.request("no.such.method", nullptr, "");
  } catch (const RemoteError& failure) {
    code = failure.code();
  }
  expect("error code", code ? Json(*code) : Json("a result"), -32601);
  upper(target);  // the connection goes on
}

void stream(const Target& target) { expect("parts", target.peer.stream("count", {{"n", 5}}), {0, 1, 2, 3, 4}); }

void upload(const Target& target) {
  const auto path = std::filesystem::temp_directory_path() / ("framecall-upload-" + std::to_string(::getpid()));
  std::ofstream(path, std::ios::binary) << pattern(100000);
  try {
    framecall::DialectClient sender(target.endpoint);
    sender.send_file(path, "upload-cpp_" + target.mode + ".bin");
    expect("the server closed", sender.finish(), true);
  } catch (...) {
    std::filesystem::remove(path);
    throw;
  }
  std::filesystem::remove(path);
}

void get(const Target& target) {
  framecall::Digest digest(framecall::DigestKind::sha256);
  digest.update(target.peer.get("shared.bin"));
  const char* wanted = std::getenv("SHARED_SHA256");
  expect("SHA-256", digest.finish(), wanted != nullptr ? wanted : "SHARED_SHA256 is not set");
}

const std::vector<std::pair<std::string_view, void (*)(const Target&)>> cases = {
    {"upper", upper}, {"add", add},       {"unicode", unicode}, {"big", big},
    {"error", error}, {"stream", stream}, {"upload", upload},   {"get", get},
};

auto find_case(std::string_view name) {
  return std::find_if(cases.begin(), cases.end(), [&](const auto& one) { return one.first == name; });
}

bool run(const std::string& mode, const Endpoint& endpoint, std::string_view name) {
  try {
    std::unique_ptr<Peer> peer;
    if (mode == "blocking") peer = std::make_unique<BlockingPeer>(endpoint);
    if (mode == "async") peer = std::make_unique<AsyncPeer>(endpoint);
    find_case(name)->second({endpoint, *peer, mode});
    std::printf("%s ok\n", std::string(name).c_str());
    return true;
  } catch (const std::exception& failure) {
    std::printf("%s failed: %s\n", std::string(name).c_str(), framecall::printable(failure.what(), 500).c_str());
    return false;
  }
}

}  // namespace

int main(int argument_count, char** arguments) {
  const std::vector<std::string> words(arguments + 1, arguments + argument_count);
  const bool known = words.size() > 3 && (words[0] == "blocking" || words[0] == "async") &&
                     std::all_of(words.begin() + 3, words.end(),
                                 [](const std::string& name) { return find_case(name) != cases.end(); });
  if (!known) {
    std::fprintf(stderr, "usage: cases_client blocking|async HOST PORT CASE...\ncases:");
    for (const auto& one : cases) std::fprintf(stderr, " %s", std::string(one.first).c_str());
    std::fprintf(stderr, "\n");
    return 2;
  }
  try {
    const Endpoint endpoint = Endpoint::parse(words[1] + ":" + words[2]);
    bool good = true;
    for (std::size_t i = 3; i < words.size(); ++i) good = run(words[0], endpoint, words[i]) && good;
    return good ? 0 : 1;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "cases_client: %s\n", failure.what());
    return 2;
  }
}
