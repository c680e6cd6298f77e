// Thrift, framed transport, binary protocol: TNonblockingServer, whose one I/O thread also runs the calls.
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/server/TNonblockingServer.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TNonblockingServerSocket.h>

#include "Echo.h"

namespace {

struct Echo : bench::EchoIf {
  void echo(std::string& reply, const std::string& body) override { reply = body; }
};

}  // namespace

int main() {
  using namespace apache::thrift;
  const auto processor = std::make_shared<bench::EchoProcessor>(std::make_shared<Echo>());
  const auto protocol = std::make_shared<protocol::TBinaryProtocolFactoryT<transport::TBufferBase>>();
  const auto socket = std::make_shared<transport::TNonblockingServerSocket>("127.0.0.1", 0);
  server::TNonblockingServer server(processor, protocol, socket);
  server.serve();
}
