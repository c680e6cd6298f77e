// Cap'n Proto RPC with its own event loop.
#include <capnp/ez-rpc.h>

#include "echo.capnp.h"

namespace {

struct Echo final : bench::Echo::Server {
  kj::Promise<void> echo(EchoContext context) override {
    const auto body = context.getParams().getBody();
    context.getResults(capnp::MessageSize{body.size() / 8 + 16, 0}).setBody(body);
    return kj::READY_NOW;
  }
};

}  // namespace

int main() {
  capnp::EzRpcServer server(kj::heap<Echo>(), "127.0.0.1", 0);
  kj::NEVER_DONE.wait(server.getWaitScope());
}
