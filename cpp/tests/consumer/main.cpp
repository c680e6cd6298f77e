// A frame made and read back, and a call to a server of the same program by a client that is a coroutine.
#include <framecall/async_client.hpp>
#include <framecall/awaitable.hpp>
#include <framecall/server.hpp>
#include <framecall/version.hpp>
#include <framecall/wire/frame.hpp>
#include <framecall/wire/json.hpp>

#include <asio/co_spawn.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>

#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

namespace {

void print_frame(const std::string& stream) {
  using Event = framecall::Decoder::Event;
  framecall::Decoder decoder;
  framecall::Header header;
  decoder.feed(stream);
  for (auto event = decoder.next_event(header); event != Event::need_data; event = decoder.next_event(header)) {
    if (event == Event::header_received) std::cout << header.find(framecall::Key::method)->text << ' ';
    if (event == Event::body_received) std::cout << decoder.body() << ' ';
  }
}

asio::awaitable<void> print_sum(framecall::AsyncClient& client) {
  const framecall::Json params = {2, 40};
  auto calling = client.call("add", params);
  const framecall::Json sum = co_await std::move(calling);
  std::cout << sum.get<int>() << ' ';
}

asio::awaitable<framecall::Response> later(framecall::Request request) {
  co_return framecall::Response(framecall::Json(request.params().at(0).get<int>() + request.params().at(1).get<int>()));
}

}  // namespace

int main() {
  print_frame(framecall::encode_head(R"({"id": 1, "method": "upper", "body_size": 5})") + "hello");

  asio::io_context io{1};
  auto work = asio::make_work_guard(io);
  auto router = std::make_shared<framecall::Router>();
  router->on_later("add", framecall::awaitable(io.get_executor(), later));
  framecall::ServerOptions options;
  options.router = router;
  options.threads = 1;
  framecall::Server server(std::move(options));
  const framecall::Endpoint address = server.listen(framecall::Endpoint::parse("127.0.0.1:0"));
  server.start();
  framecall::AsyncClient client(io.get_executor(), address);
  auto calling = print_sum(client);
  std::exception_ptr problem;
  asio::co_spawn(io, std::move(calling), [&](std::exception_ptr error) {
    problem = error;
    client.close();
    work.reset();
    io.stop();
  });
  io.run();
  if (problem) std::rethrow_exception(problem);
  std::cout << "framecall " << framecall::version << '\n';
}
