// The two hot paths alone, for benchmarks/instructions.py to count their instructions: one unary call on the server, and one
// on the blocking client. 32 bytes of body both ways.
//
//   hot_path server              prints its port; the method `stop` ends it
//   hot_path client PORT COUNT   COUNT calls
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "framecall/client.hpp"
#include "framecall/server.hpp"

namespace {

int serve() {
  framecall::Server* running = nullptr;
  const auto router = std::make_shared<framecall::Router>();
  router->on("stop", [&running] { running->stop(); });
  framecall::ServerOptions options;
  options.router = router;
  options.threads = 1;
  framecall::Server server(options);
  running = &server;
  std::printf("%d\n", server.listen(framecall::Endpoint::parse("127.0.0.1:0")).port);
  std::fflush(stdout);
  server.start();
  server.wait();
  return 0;
}

int call(const char* port, int count) {
  framecall::Client client(framecall::Endpoint::parse(std::string("127.0.0.1:") + port));
  const std::string body(32, 'b');
  for (int i = 0; i < count; ++i) {
    const framecall::Response reply = client.request("echo", framecall::Json(), body);
    if (reply.body.view() != body) return 1;
  }
  return 0;
}

}  // namespace

int main(int argument_count, char** arguments) {
  const std::string_view side = argument_count > 1 ? arguments[1] : "";
  if (side == "server" && argument_count == 2) return serve();
  if (side == "client" && argument_count == 4) return call(arguments[2], std::atoi(arguments[3]));
  std::fputs("usage: hot_path server | hot_path client PORT COUNT\n", stderr);
  return 2;
}
