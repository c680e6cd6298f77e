#include "framecall/raw_client.hpp"

#include <gtest/gtest.h>
#include <netinet/tcp.h>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "support/peer.hpp"
#include "support/temporary_folder.hpp"

namespace framecall::raw_client_test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using Clock = std::chrono::steady_clock;

// The network error that `call` throws.
template <typename Call>
std::system_error network_error(Call call) {
  try {
    call();
  } catch (const std::system_error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return std::system_error(std::error_code());
}

// Nobody listens there as long as this lives.
struct UnusedPort {
  UnusedPort() : socket(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(socket.socket(), generic, size), 0);
    EXPECT_EQ(::getsockname(socket.socket(), generic, &size), 0);
    endpoint.host = "127.0.0.1";
    endpoint.port = ntohs(address.sin_port);
  }
  Peer socket;
  Endpoint endpoint;
};

TEST(RawClient, bytes_both_ways) {
  PeerListener listener;
  RawClient client(listener.endpoint(), patience);
  Peer server = listener.accept();
  client.send("hello");
  EXPECT_EQ(client.send_some(" world"), 6u);
  client.send("");
  EXPECT_EQ(client.send_some(""), 0u);
  EXPECT_EQ(server.receive(11), "hello world");
  server.send(std::string(3000, 'x'));
  std::string got = client.receive();
  EXPECT_LE(got.size(), 1024u);
  while (got.size() < 3000) got += client.receive(3000 - got.size());
  EXPECT_EQ(got, std::string(3000, 'x'));
  client.finish_sending();
  EXPECT_EQ(server.receive_some(), "");
  server.send("after the end");
  server.half_close();
  EXPECT_EQ(client.receive(), "after the end");
  EXPECT_EQ(client.receive(), "");
  EXPECT_EQ(client.receive(), "");
  EXPECT_THROW(client.receive(0), std::invalid_argument);
}

TEST(RawClient, sends_all_however_slowly_it_is_read) {
  PeerListener listener(4096);
  RawClient client(listener.endpoint(), patience);
  Peer server = listener.accept();
  client.set_option(SOL_SOCKET, SO_SNDBUF, 4096);
  const std::string content = some_bytes(3'000'000);
  std::string received;
  Background reader([&] { received = server.receive(content.size()); });
  client.send(content);
  reader.join();
  EXPECT_TRUE(received == content);
}

TEST(RawClient, send_may_take_a_part) {
  PeerListener listener;
  RawClient client(listener.endpoint(), patience);
  const Peer server = listener.accept();
  const std::size_t taken = client.send_some(std::string(64 << 20, 'x'));
  EXPECT_GE(taken, 1u);
  EXPECT_LT(taken, 64u << 20);
}

TEST(RawClient, receives_one_piece_at_most) {
  PeerListener listener;
  RawClient client(listener.endpoint(), patience);
  Peer server = listener.accept();
  const std::string content = some_bytes(3 << 20);
  Background writer([&] { server.send(content); });
  std::string got;
  while (got.size() < content.size()) {
    const std::string piece = client.receive(1 << 30);
    ASSERT_GE(piece.size(), 1u);
    EXPECT_LE(piece.size(), RawClient::largest_piece);
    got += piece;
  }
  writer.join();
  EXPECT_TRUE(got == content);
}

TEST(RawClient, names_and_options) {
  PeerListener listener;
  RawClient client(listener.endpoint(), patience);
  const Peer server = listener.accept();
  EXPECT_EQ(client.peer().to_string(), listener.endpoint().to_string());
  sockaddr_in seen{};
  socklen_t size = sizeof seen;
  ASSERT_EQ(::getpeername(server.socket(), reinterpret_cast<sockaddr*>(&seen), &size), 0);
  EXPECT_EQ(client.local().to_string(), "127.0.0.1:" + std::to_string(ntohs(seen.sin_port)));
  EXPECT_EQ(client.option(IPPROTO_TCP, TCP_NODELAY), 1);
  client.set_option(SOL_SOCKET, SO_KEEPALIVE, 1);
  EXPECT_EQ(client.option(SOL_SOCKET, SO_KEEPALIVE), 1);
  const auto error = network_error([&] { client.option(SOL_SOCKET, 99999); });
  EXPECT_EQ(error.code().value(), ENOPROTOOPT);
  EXPECT_TRUE(std::string(error.what()).starts_with(listener.endpoint().to_string())) << error.what();
}

TEST(RawClient, unix_sockets) {
  TemporaryFolder folder;
  Endpoint endpoint;
  endpoint.path = (folder / "socket").string();
  Peer listener(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  endpoint.path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(listener.socket(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener.socket(), 1), 0);
  RawClient client(endpoint, patience);
  Peer server(::accept(listener.socket(), nullptr, nullptr));
  client.send("hello");
  EXPECT_EQ(server.receive(5), "hello");
  EXPECT_EQ(client.peer().path, endpoint.path);
  EXPECT_EQ(client.local().path, "");
}

TEST(RawClient, nobody_listens) {
  const UnusedPort unused;
  const auto error = network_error([&] { RawClient client(unused.endpoint, patience); });
  EXPECT_EQ(error.code(), std::errc::connection_refused);
  EXPECT_NE(std::string(error.what()).find(unused.endpoint.to_string()), std::string::npos) << error.what();
  std::optional<RawClient> client;
  EXPECT_EQ(RawClient::try_connect(unused.endpoint, client, patience), ECONNREFUSED);
  EXPECT_FALSE(client);
}

TEST(RawClient, try_connect) {
  PeerListener listener;
  std::optional<RawClient> client;
  ASSERT_EQ(RawClient::try_connect(listener.endpoint(), client, patience), 0);
  Peer server = listener.accept();
  RawClient moved(std::move(*client));
  EXPECT_EQ(client->descriptor(), -1);
  client.reset();
  moved.send("x");
  EXPECT_EQ(server.receive(1), "x");
}

TEST(RawClient, times_out) {
  PeerListener listener;
  RawClient client(listener.endpoint(), 50ms);
  const Peer server = listener.accept();
  const auto start = Clock::now();
  const auto error = network_error([&] { client.receive(); });
  EXPECT_EQ(error.code(), std::errc::timed_out);
  EXPECT_GE(Clock::now() - start, 50ms);
  EXPECT_TRUE(std::string(error.what()).starts_with(listener.endpoint().to_string() + ": nothing came for 50 ms"))
      << error.what();
  EXPECT_EQ(network_error([&] { client.send(std::string(64 << 20, 'x')); }).code(), std::errc::timed_out);
}

TEST(RawClient, a_reset_and_a_closed_client) {
  PeerListener listener;
  RawClient client(listener.endpoint(), patience);
  Peer server = listener.accept();
  server.reset();
  EXPECT_EQ(network_error([&] { client.receive(); }).code(), std::errc::connection_reset);
  EXPECT_EQ(network_error([&] { client.send("x"); }).code(), std::errc::broken_pipe);  // and no SIGPIPE
  client.close();
  client.close();
  EXPECT_EQ(client.descriptor(), -1);
  EXPECT_EQ(network_error([&] { client.receive(); }).code(), std::errc::bad_file_descriptor);
  EXPECT_EQ(network_error([&] { client.peer(); }).code(), std::errc::bad_file_descriptor);
}

struct Stop {};

TEST(RawClient, a_check_ends_a_wait) {
  PeerListener listener;
  int calls = 0;
  RawClient client(listener.endpoint(), patience, [&calls] {
    if (++calls == 2) throw Stop();
  });
  Peer server = listener.accept();
  calls = 0;
  const auto start = Clock::now();
  EXPECT_THROW(client.receive(), Stop);
  EXPECT_LT(Clock::now() - start, patience);
  server.send("still usable");
  EXPECT_EQ(client.receive(), "still usable");
  calls = 0;
  EXPECT_THROW(client.send(std::string(64 << 20, 'x')), Stop);
}

}  // namespace
}  // namespace framecall::raw_client_test
