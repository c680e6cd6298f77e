#include <framecall/client.hpp>

#include <cstdio>
#include <string>

int main(int argument_count, char** arguments) {
  const std::string address = argument_count > 1 ? arguments[1] : "127.0.0.1:8080";
  framecall::Client client(framecall::Endpoint::parse(address));

  std::printf("add: %g\n", client.call("add", {2, 40}).get<double>());
  std::printf("add: %g\n", client.call("add", {{"a", 2}, {"b", 0.5}}).get<double>());

  const framecall::Response reversed = client.request("reverse", nullptr, "raw bytes");
  std::printf("reverse: %.*s\n", static_cast<int>(reversed.body.size()), reversed.body.data());

  framecall::Pipeline pipeline = client.pipeline();  // many calls, one trip
  for (int below : {10, 20, 30}) pipeline.add("primes", {{"below", below}});
  for (auto& outcome : pipeline.run()) std::printf("primes: %s\n", outcome.get().result.c_str());

  framecall::ClientStream stream = client.stream("countdown", {3});
  for (framecall::Part part; stream.read(part);) std::printf("countdown: %s\n", part.value.c_str());

  try {
    client.call("add", {"two", 2});
  } catch (const framecall::RemoteError& error) {
    std::printf("add: %s (%lld)\n", error.what(), static_cast<long long>(error.code()));
  }
}
