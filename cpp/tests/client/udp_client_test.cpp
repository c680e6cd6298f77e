#include "framecall/udp_client.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "support/peer.hpp"

namespace framecall::udp_client_test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// A UDP socket on 127.0.0.1 that answers as the test says.
class UdpServer {
 public:
  UdpServer() : socket_(::socket(AF_INET, SOCK_DGRAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(socket_.socket(), generic, size), 0);
    EXPECT_EQ(::getsockname(socket_.socket(), generic, &size), 0);
    endpoint_.host = "127.0.0.1";
    endpoint_.port = ntohs(address.sin_port);
  }
  const Endpoint& endpoint() const { return endpoint_; }
  /// One datagram; its sender is whom answer() answers.
  std::string receive() {
    std::string bytes(1 << 16, '\0');
    socklen_t size = sizeof sender_;
    const ssize_t count =
        ::recvfrom(socket_.socket(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&sender_), &size);
    if (count < 0) throw std::system_error(errno, std::generic_category(), "recvfrom");
    bytes.resize(static_cast<std::size_t>(count));
    return bytes;
  }
  void answer(std::string_view bytes) {
    const auto* const to = reinterpret_cast<const sockaddr*>(&sender_);
    ::sendto(socket_.socket(), bytes.data(), bytes.size(), 0, to, sizeof sender_);
  }
  bool has_datagram() { return socket_.wait_for(POLLIN, 0ms); }
  const sockaddr_in& sender() const { return sender_; }
  void close() { socket_.close(); }

 private:
  Peer socket_;
  Endpoint endpoint_;
  sockaddr_in sender_{};
};

TEST(UdpClient, one_reply_for_each_request) {
  UdpServer server;
  UdpClient client(server.endpoint(), patience);
  for (const std::string& text : {std::string("hello"), std::string(), std::string(UdpClient::max_datagram, 'x')}) {
    std::string got;
    Background answering([&] {
      got = server.receive();
      server.answer(got);
    });
    EXPECT_TRUE(client.request(text) == text) << text.size();
    answering.join();
    EXPECT_TRUE(got == text) << text.size();
  }
}

TEST(UdpClient, datagrams_stay_apart) {
  UdpServer server;
  UdpClient client(server.endpoint(), patience);
  client.send("one");
  client.send("");
  client.send("three");
  EXPECT_EQ(server.receive(), "one");
  EXPECT_EQ(server.receive(), "");
  EXPECT_EQ(server.receive(), "three");
  server.answer("");
  server.answer("two");
  EXPECT_EQ(client.receive(), "");
  EXPECT_EQ(client.receive(), "two");
}

TEST(UdpClient, names_and_limits) {
  UdpServer server;
  UdpClient client(server.endpoint(), patience);
  EXPECT_EQ(client.peer().to_string(), server.endpoint().to_string());
  client.send("x");
  server.receive();
  EXPECT_EQ(client.local().to_string(), "127.0.0.1:" + std::to_string(ntohs(server.sender().sin_port)));
  EXPECT_THROW(client.send(std::string(UdpClient::max_datagram + 1, 'x')), std::invalid_argument);
  EXPECT_THROW(UdpClient(Endpoint::parse("unix:/tmp/x")), std::invalid_argument);
  client.close();
  client.close();
  EXPECT_THROW(client.request("x"), std::system_error);
  EXPECT_THROW(client.receive(), std::system_error);
}

TEST(UdpClient, replies_that_were_waiting_are_dropped) {
  UdpServer server;
  UdpClient client(server.endpoint(), patience);
  client.send("first");
  server.receive();
  for (int i = 0; i < 100; ++i) server.answer("old");
  Background answering([&] {
    server.receive();
    server.answer("new");
  });
  EXPECT_EQ(client.request("second"), "new");
  answering.join();
}

// What the taught threading server does: one datagram is answered for ever, as fast as it can.
TEST(UdpClient, a_flood_does_no_harm) {
  UdpServer server;
  UdpClient client(server.endpoint(), patience);
  std::atomic<bool> stop = false;
  std::atomic<int> sent = 0;
  Background flooding([&] {
    server.receive();
    while (!stop) {
      if (server.has_datagram()) server.receive();
      server.answer("HELLO");
      ++sent;
    }
  });
  const std::shared_ptr<void> end(nullptr, [&](void*) { stop = true; });  // however the test ends
  const auto start = Clock::now();
  EXPECT_EQ(client.request("hello"), "HELLO");
  while (sent < 5000) std::this_thread::yield();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client.request("hello"), "HELLO");
  EXPECT_LT(Clock::now() - start, patience);
}

TEST(UdpClient, nobody_there_is_a_reply_that_does_not_come) {
  UdpServer server;
  server.close();
  UdpClient client(server.endpoint(), 50ms);
  for (int i = 0; i < 3; ++i) {
    const auto start = Clock::now();
    EXPECT_EQ(client.request("hello"), std::nullopt);
    EXPECT_GE(Clock::now() - start, 50ms);
  }
  client.send("hello");
  client.send("hello");  // meets the report about the one before
  EXPECT_EQ(client.receive(), std::nullopt);
}

TEST(UdpClient, only_the_server_is_heard) {
  UdpServer server;
  UdpClient client(server.endpoint(), patience);
  client.send("hello");
  server.receive();
  const Peer other(::socket(AF_INET, SOCK_DGRAM, 0));
  const auto* const to = reinterpret_cast<const sockaddr*>(&server.sender());
  ASSERT_EQ(::sendto(other.socket(), "forged", 6, 0, to, sizeof(sockaddr_in)), 6);
  server.answer("real");
  EXPECT_EQ(client.receive(), "real");
}

struct Stop {};

TEST(UdpClient, a_check_ends_a_wait) {
  UdpServer server;
  int calls = 0;
  UdpClient client(server.endpoint(), patience, [&calls] {
    if (++calls == 2) throw Stop();
  });
  EXPECT_THROW(client.request("hello"), Stop);
  server.receive();
  server.answer("still usable");
  EXPECT_EQ(client.receive(), "still usable");
}

TEST(UdpClient, a_late_reply_is_not_taken_for_one_to_the_next_request) {
  UdpServer server;
  UdpClient client(server.endpoint(), std::chrono::milliseconds(100));
  Background first([&] { EXPECT_EQ(server.receive(), "one"); });
  EXPECT_EQ(client.request("one"), std::nullopt);
  first.join();
  server.answer("ONE");  // to the port of the first request
  const sockaddr_in late = server.sender();
  Background second([&] {
    EXPECT_EQ(server.receive(), "two");
    EXPECT_NE(server.sender().sin_port, late.sin_port);
    server.answer("TWO");
  });
  EXPECT_EQ(client.request("two"), "TWO");
  second.join();
}

}  // namespace
}  // namespace framecall::udp_client_test
