#include <framecall/server.hpp>
#include <framecall/stream.hpp>

#include <cstdio>
#include <string>
#include <vector>

int main(int argument_count, char** arguments) {
  auto router = std::make_shared<framecall::Router>();

  // Parameters by place or by name, checked; the result becomes the reply's.
  router->on("add", {"a", "b"}, [](double a, double b) { return a + b; }).summary = "the sum of two numbers";

  // The whole request: raw bytes in, raw bytes out.
  router->on("reverse", [](framecall::Request& request) {
    const std::string_view body = request.body();
    framecall::Response response;
    response.body.append(std::string(body.rbegin(), body.rend()));
    return response;
  });

  // What takes its time runs on the pool, and stops when nobody waits any more.
  router->on_pool("primes", [](framecall::Request& request) {
    std::vector<int> primes;
    for (int n = 2; n < request.params().at("below") && !request.cancelled(); ++n) {
      bool prime = true;
      for (const int divisor : primes) prime = prime && n % divisor != 0;
      if (prime) primes.push_back(n);
    }
    return framecall::Response(framecall::Json(primes));
  });

  // A stream: part after part, as fast as the caller takes them.
  router->on_stream("countdown", [](framecall::Request& request, framecall::Stream& stream) {
    for (int n = request.params().at(0); n > 0; --n) {
      framecall::Part part;
      part.value = std::to_string(n);
      stream.write(std::move(part));
    }
    return framecall::Response("lift-off");
  });

  framecall::ServerOptions options;
  options.router = router;
  framecall::Server server(std::move(options));
  const std::string address = argument_count > 1 ? arguments[1] : "127.0.0.1:8080";
  std::printf("listening tcp %s\n", server.listen(framecall::Endpoint::parse(address)).to_string().c_str());
  std::fflush(stdout);
  server.run();  // until SIGTERM or SIGINT, and until every call under way is answered
}
