// Loads a server with calls through framecall's own clients and prints one line of JSON: calls a second, latencies.
//   --api blocking  framecall::Client: one call after the other, or pipelines of --in-flight calls
//   --api async     framecall::AsyncClient: a coroutine for each call in flight, any number of --connections
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include <exception>
#include <memory>

#include "../programs/load.hpp"
#include "framecall/async_client.hpp"
#include "framecall/client.hpp"

namespace {

struct Call {
  std::string method, body, expected;

  Call(std::size_t size, std::uint64_t number)
      : method(size > 4096 ? "echo" : "upper"), body(load::body_of(size, number)) {
    expected = method == "upper" ? load::upper(body) : body;
  }
  void check(const framecall::Response& response) const {
    if (response.body.view() != expected) throw std::runtime_error("a wrong reply");
  }
};

void check_client(framecall::Client& client, std::size_t size, load::Clock& clock) {
  for (int i = 0; i < load::checks; ++i) {
    const Call call(size, ++clock.total);
    call.check(client.request(call.method, nullptr, call.body));
  }
}

// One thread: calls one after the other, or batches.
void run_blocking(const framecall::Endpoint& endpoint, const load::Arguments& flags, load::Clock& clock) {
  if (flags.connections != 1) throw std::runtime_error("several connections take --api async");
  framecall::Client client(endpoint);
  check_client(client, flags.body, clock);
  const Call call(flags.body, 1);
  clock.start();
  for (bool on = true; on;) {
    const std::uint64_t sent = load::now();
    if (flags.in_flight == 1) {
      const framecall::Response response = client.request(call.method, nullptr, call.body);
      on = clock.answered(sent, load::now());
      call.check(response);
      continue;
    }
    framecall::Pipeline pipeline = client.pipeline();
    for (int i = 0; i < flags.in_flight; ++i) pipeline.add(call.method, nullptr, call.body);
    for (auto& outcome : pipeline.run()) {
      call.check(outcome.get());
      on = clock.answered(sent, load::now());
    }
  }
}

asio::awaitable<void> call_on(framecall::AsyncClient& client, const Call& call, load::Clock& clock, int& left) {
  for (bool on = true; on;) {
    const std::uint64_t sent = load::now();
    framecall::Buffer body;
    body.append(call.body);
    auto calling = client.request(call.method, nullptr, std::move(body));
    const framecall::Response response = co_await std::move(calling);
    on = clock.answered(sent, load::now());
    call.check(response);
  }
  if (--left == 0) client.close();
}

// One thread as well: connections, each with calls of several coroutines in flight.
void run_async(const framecall::Endpoint& endpoint, const load::Arguments& flags, load::Clock& clock) {
  {
    framecall::Client client(endpoint);
    check_client(client, flags.body, clock);
  }
  asio::io_context io{1};
  const Call call(flags.body, 1);
  std::vector<std::unique_ptr<framecall::AsyncClient>> clients;
  std::vector<int> left(static_cast<std::size_t>(flags.connections), flags.in_flight);
  std::exception_ptr problem;
  clock.start();
  for (int& calls : left) {
    clients.push_back(std::make_unique<framecall::AsyncClient>(io.get_executor(), endpoint));
    for (int i = 0; i < flags.in_flight; ++i) {
      auto calling = call_on(*clients.back(), call, clock, calls);
      asio::co_spawn(io, std::move(calling), [&](std::exception_ptr error) {
        if (error) problem = error, io.stop();
      });
    }
  }
  io.run();
  if (problem) std::rethrow_exception(problem);
}

}  // namespace

int main(int argument_count, char** arguments) try {
  const load::Arguments flags(argument_count, arguments);
  const framecall::Endpoint endpoint = framecall::Endpoint::parse(flags.address());
  load::Clock clock(flags);
  flags.is("--api", "async") ? run_async(endpoint, flags, clock) : run_blocking(endpoint, flags, clock);
  clock.print();
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
