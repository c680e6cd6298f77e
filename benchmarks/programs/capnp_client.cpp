// Cap'n Proto RPC: a chain of promises for each call in flight, one thread.
#include <capnp/ez-rpc.h>

#include <algorithm>

#include "echo.capnp.h"
#include "load.hpp"

namespace {

auto request_of(bench::Echo::Client& client, const std::string& body) {
  auto request = client.echoRequest(capnp::MessageSize{body.size() / 8 + 16, 0});
  request.setBody(capnp::Data::Reader(reinterpret_cast<const kj::byte*>(body.data()), body.size()));
  return request;
}

void check(capnp::Data::Reader reply, const std::string& body, std::size_t bytes) {
  if (reply.size() != body.size() || std::memcmp(reply.begin(), body.data(), bytes) != 0) load::fail("a wrong reply");
}

kj::Promise<void> call(bench::Echo::Client& client, const std::string& body, load::Clock& clock) {
  const std::uint64_t sent = load::now();
  return request_of(client, body).send().then([&client, &body, &clock, sent](auto&& reply) -> kj::Promise<void> {
    check(reply.getBody(), body, 32);
    if (!clock.answered(sent, load::now())) return kj::READY_NOW;
    return call(client, body, clock);
  });
}

}  // namespace

int main(int argument_count, char** arguments) {
  const load::Arguments flags(argument_count, arguments);
  load::Clock clock(flags);
  std::vector<kj::Own<capnp::EzRpcClient>> connections;
  std::vector<bench::Echo::Client> clients;
  for (int i = 0; i < flags.connections; ++i) {
    connections.push_back(kj::heap<capnp::EzRpcClient>("127.0.0.1", static_cast<kj::uint>(flags.port)));
    clients.push_back(connections.back()->getMain<bench::Echo>());
    for (int k = 0; k < load::checks; ++k) {
      const std::string body = load::body_of(flags.body, ++clock.total);
      const auto reply = request_of(clients.back(), body).send().wait(connections.back()->getWaitScope());
      check(reply.getBody(), body, body.size());
    }
  }
  const std::string body = load::body_of(flags.body, 1);
  const int count = flags.connections * flags.in_flight;
  auto calls = kj::heapArrayBuilder<kj::Promise<void>>(static_cast<std::size_t>(count));
  clock.start();
  for (int i = 0; i < count; ++i) {
    calls.add(call(clients[static_cast<std::size_t>(i % flags.connections)], body, clock));
  }
  kj::joinPromises(calls.finish()).wait(connections[0]->getWaitScope());
  clock.print();
}
