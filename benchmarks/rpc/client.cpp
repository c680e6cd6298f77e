// Loads a server with calls through framecall's own clients and prints one line of JSON: calls a second, latencies.
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "framecall/async_client.hpp"
#include "framecall/client.hpp"

namespace {

using Clock = std::chrono::steady_clock;

// What came of the calls, the latencies of those behind the warm-up.
struct Tally {
  Clock::time_point measured_from, end;
  std::vector<double> latencies;  // microseconds
  std::uint64_t calls = 0, total = 0;

  void count(Clock::time_point start, Clock::time_point now) {
    ++total;
    if (start < measured_from) return;
    ++calls;
    latencies.push_back(std::chrono::duration<double, std::micro>(now - start).count());
  }
};

struct Load {
  std::string method, body, expected;
  int connections = 1, in_flight = 1;
};

Load load_of(const std::string& name) {
  Load load;
  load.method = name == "echo1m" ? "echo" : "upper";
  load.body = std::string(name == "echo1m" ? 1 << 20 : 32, 'a');
  load.expected = std::string(load.body.size(), name == "echo1m" ? 'a' : 'A');
  if (name == "pipe32") load.in_flight = 64;
  if (name == "multi32") load.connections = 8, load.in_flight = 16;
  return load;
}

void check(const framecall::Response& response, const Load& load) {
  if (response.body.view() != load.expected) throw std::runtime_error("a wrong reply");
}

// One thread: calls one after the other, or batches.
void run_blocking(const framecall::Endpoint& endpoint, const Load& load, Tally& tally) {
  framecall::Client client(endpoint);
  for (auto start = Clock::now(); start < tally.end;) {
    if (load.in_flight == 1) {
      check(client.request(load.method, nullptr, load.body), load);
    } else {
      framecall::Pipeline pipeline = client.pipeline();
      for (int i = 0; i < load.in_flight; ++i) pipeline.add(load.method, nullptr, load.body);
      for (auto& outcome : pipeline.run()) check(outcome.get(), load);
    }
    const auto now = Clock::now();
    for (int i = 0; i < load.in_flight; ++i) tally.count(start, now);
    start = now;
  }
}

asio::awaitable<void> call_on(framecall::AsyncClient& client, const Load& load, Tally& tally, int& left) {
  for (auto start = Clock::now(); start < tally.end;) {
    framecall::Buffer body;
    body.append(load.body);
    auto calling = client.request(load.method, nullptr, std::move(body));
    const framecall::Response response = co_await std::move(calling);
    check(response, load);
    const auto now = Clock::now();
    tally.count(start, now);
    start = now;
  }
  if (--left == 0) client.close();
}

// One thread as well: connections, each with calls of several coroutines in flight.
void run_async(const framecall::Endpoint& endpoint, const Load& load, Tally& tally) {
  asio::io_context io{1};
  std::vector<std::unique_ptr<framecall::AsyncClient>> clients;
  std::vector<int> left(static_cast<std::size_t>(load.connections), load.in_flight);
  std::exception_ptr problem;
  for (int& calls : left) {
    clients.push_back(std::make_unique<framecall::AsyncClient>(io.get_executor(), endpoint));
    for (int i = 0; i < load.in_flight; ++i) {
      auto calling = call_on(*clients.back(), load, tally, calls);
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
  std::string port, name = "unary32", seconds = "2", kind = "blocking";
  for (int i = 1; i + 1 < argument_count; i += 2) {
    const std::string flag = arguments[i];
    (flag == "--port" ? port : flag == "--case" ? name : flag == "--seconds" ? seconds : kind) = arguments[i + 1];
  }
  const framecall::Endpoint endpoint = framecall::Endpoint::parse("127.0.0.1:" + port);
  const Load load = load_of(name);
  Tally tally;
  const auto measured = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(std::stod(seconds)));
  tally.measured_from = Clock::now() + std::chrono::milliseconds(300);
  tally.end = tally.measured_from + measured;
  kind == "async" ? run_async(endpoint, load, tally) : run_blocking(endpoint, load, tally);
  const double elapsed = std::chrono::duration<double>(Clock::now() - tally.measured_from).count();
  std::sort(tally.latencies.begin(), tally.latencies.end());
  const auto quantile = [&](double q) {
    return tally.latencies.at(static_cast<std::size_t>(q * static_cast<double>(tally.latencies.size() - 1)));
  };
  const double rate = static_cast<double>(tally.calls) / elapsed;
  std::printf(
      "{\"calls\": %llu, \"calls_total\": %llu, \"calls_per_s\": %.1f, \"bytes_per_s\": %.1f, \"p50_us\": %.2f, "
      "\"p99_us\": %.2f}\n",
      static_cast<unsigned long long>(tally.calls), static_cast<unsigned long long>(tally.total), rate,
      rate * static_cast<double>(load.body.size()), quantile(0.5), quantile(0.99));
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
