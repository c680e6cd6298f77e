// Thrift: the generated send_ and recv_ keep the calls of a connection in flight, with one thread for each connection.
// Reads are buffered below the framing, so that the replies of a batch do not cost two reads each.
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TSocket.h>

#include <barrier>
#include <memory>
#include <thread>

#include "Echo.h"
#include "load.hpp"

namespace {

using namespace apache::thrift;
using Protocol = protocol::TBinaryProtocolT<transport::TBufferBase>;
using Client = bench::EchoClientT<Protocol>;

void check(Client& client, std::size_t size, load::Clock& clock) {
  std::string reply;
  for (int i = 0; i < load::checks; ++i) {
    const std::string body = load::body_of(size, ++clock.total);
    client.echo(reply, body);
    if (reply != body) load::fail("a wrong reply");
  }
}

void call(Client& client, const load::Arguments& flags, load::Clock& clock) {
  const std::string body = load::body_of(flags.body, 1);
  std::vector<std::uint64_t> sent(static_cast<std::size_t>(flags.in_flight));
  std::string reply;
  for (auto& when : sent) {
    when = load::now();
    client.send_echo(body);
  }
  for (std::size_t next = 0;; next = next + 1 == sent.size() ? 0 : next + 1) {
    client.recv_echo(reply);
    const std::uint64_t when = load::now();
    if (reply.size() != body.size() || std::memcmp(reply.data(), body.data(), 32) != 0) load::fail("a wrong reply");
    if (!clock.answered(sent[next], when)) return;
    sent[next] = flags.in_flight == 1 ? load::now() : when;
    client.send_echo(body);
  }
}

void run(const load::Arguments& flags, std::barrier<>& ready, load::Clock& clock) {
  const auto socket = std::make_shared<transport::TSocket>("127.0.0.1", flags.port);
  socket->setNoDelay(true);
  std::shared_ptr<transport::TTransport> below = socket;
  if (flags.in_flight > 1) below = std::make_shared<transport::TBufferedTransport>(socket, 65536u, 512u);
  const auto framed = std::make_shared<transport::TFramedTransport>(below);
  framed->open();
  Client client(std::make_shared<Protocol>(framed));
  check(client, flags.body, clock);
  ready.arrive_and_wait();
  clock.start();
  call(client, flags, clock);
}

}  // namespace

int main(int argument_count, char** arguments) {
  const load::Arguments flags(argument_count, arguments);
  std::vector<load::Clock> clocks(static_cast<std::size_t>(flags.connections), load::Clock(flags));
  std::barrier ready(flags.connections);
  std::vector<std::thread> threads;
  for (load::Clock& clock : clocks) threads.emplace_back(run, std::cref(flags), std::ref(ready), std::ref(clock));
  for (std::thread& thread : threads) thread.join();
  load::Clock all(flags);
  for (const load::Clock& clock : clocks) {
    all.calls += clock.calls;
    all.total += clock.total;
    all.latencies.add(clock.latencies);
  }
  all.print();
}
