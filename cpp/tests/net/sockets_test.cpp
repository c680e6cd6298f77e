#include "net/sockets.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <climits>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "framecall/client_options.hpp"
#include "support/temporary_folder.hpp"

namespace framecall::sockets_test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

const Endpoint any_port = Endpoint::parse("127.0.0.1:0");

bool is_blocking(int socket) { return (::fcntl(socket, F_GETFL) & O_NONBLOCK) == 0; }

int option(int socket, int level, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  EXPECT_EQ(::getsockopt(socket, level, name, &value, &size), 0);
  return value;
}

// "ERRNO: MESSAGE" of the std::system_error that `call` throws.
template <class Call>
std::string problem(Call call) {
  try {
    call();
  } catch (const std::system_error& error) {
    return std::to_string(error.code().value()) + ": " + error.what();
  }
  return "nothing";
}

TEST(Sockets, a_listener_and_a_connection_know_their_addresses_and_do_not_block) {
  const Socket listener(open_listener(any_port));
  const Endpoint endpoint = bound_endpoint(listener.get(), "the listener");
  EXPECT_EQ(endpoint.host, "127.0.0.1");
  EXPECT_NE(endpoint.port, 0);
  const Socket client(open_connection(endpoint, 10s));
  EXPECT_EQ(connected_endpoint(client.get(), "the client").to_string(), endpoint.to_string());
  for (const int socket : {listener.get(), client.get()}) {
    EXPECT_FALSE(is_blocking(socket));
    EXPECT_NE(::fcntl(socket, F_GETFD) & FD_CLOEXEC, 0) << "programs that are started must not inherit it";
  }
  EXPECT_NE(option(client.get(), IPPROTO_TCP, TCP_NODELAY), 0);
  EXPECT_THROW(connected_endpoint(listener.get(), "the listener"), std::system_error);
}

TEST(Sockets, errors_name_the_address) {
  Socket listener(open_listener(any_port));
  const Endpoint endpoint = bound_endpoint(listener.get(), "");
  EXPECT_EQ(problem([&] { open_listener(endpoint); }),
            std::to_string(EADDRINUSE) + ": cannot listen on " + endpoint.to_string() + ": " + ::strerror(EADDRINUSE));
  ::close(listener.release());
  EXPECT_EQ(
      problem([&] { open_connection(endpoint, 10s); }),
      std::to_string(ECONNREFUSED) + ": cannot connect to " + endpoint.to_string() + ": " + ::strerror(ECONNREFUSED));
  EXPECT_EQ(lookup_failed(EAI_NONAME, endpoint).code().category(), lookup_category());
  EXPECT_TRUE(std::string(lookup_failed(EAI_NONAME, endpoint).what()).starts_with("host not found: 127.0.0.1:"));
  EXPECT_TRUE(std::string(lookup_failed(EAI_AGAIN, endpoint).what()).starts_with("cannot look up the host of "));
}

TEST(Sockets, only_a_socket_file_that_nobody_listens_on_is_replaced) {
  const TemporaryFolder folder;
  const Endpoint endpoint = Endpoint::parse("unix:" + (folder / "s").string());
  Socket first(open_listener(endpoint));
  EXPECT_THROW(open_listener(endpoint), std::system_error) << "a server is alive there";
  EXPECT_NO_THROW(Socket(open_connection(endpoint, 10s)));
  ::close(first.release());
  EXPECT_TRUE(fs::is_socket(folder / "s"));
  EXPECT_NO_THROW(Socket(open_listener(endpoint)));
  make_file(folder / "file", "content");
  EXPECT_THROW(open_listener(Endpoint::parse("unix:" + (folder / "file").string())), std::system_error);
  EXPECT_EQ(content_of(folder / "file"), "content");
}

TEST(Sockets, a_given_descriptor_must_be_a_listening_stream_socket) {
  const Socket listener(open_listener(any_port));
  ::fcntl(listener.get(), F_SETFL, 0);
  ::fcntl(listener.get(), F_SETFD, 0);
  prepare_listener(listener.get());
  EXPECT_FALSE(is_blocking(listener.get()));
  EXPECT_NE(::fcntl(listener.get(), F_GETFD) & FD_CLOEXEC, 0);
  const Socket idle(::socket(AF_INET, SOCK_STREAM, 0)), udp(::socket(AF_INET, SOCK_DGRAM, 0));
  const Socket packets(::socket(AF_UNIX, SOCK_SEQPACKET, 0));
  sockaddr_un unnamed{};
  unnamed.sun_family = AF_UNIX;
  ASSERT_EQ(::bind(packets.get(), reinterpret_cast<sockaddr*>(&unnamed), sizeof unnamed.sun_family), 0);
  ASSERT_EQ(::listen(packets.get(), 1), 0);
  const Socket file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (const int other : {idle.get(), udp.get(), packets.get(), file.get(), -1}) {
    const std::string text = problem([&] { prepare_listener(other); });
    EXPECT_NE(text.find("descriptor " + std::to_string(other) + " is no listening socket"), std::string::npos) << text;
  }
}

TEST(Sockets, datagrams_need_a_host_and_a_port) {
  const Endpoint path = Endpoint::parse("unix:/tmp/s");
  EXPECT_THROW(open_udp_listener(path), std::invalid_argument);
  EXPECT_THROW(open_udp_socket(path), std::invalid_argument);
  const Socket listener(open_udp_listener(any_port));
  const Socket client(open_udp_socket(bound_endpoint(listener.get(), "")));
  EXPECT_FALSE(is_blocking(listener.get()));
  EXPECT_FALSE(is_blocking(client.get()));
  ASSERT_EQ(::send(client.get(), "abc", 3, 0), 3);
  ASSERT_TRUE(wait_ready(listener.get(), POLLIN, std::chrono::steady_clock::now() + 10s));
  char block[8];
  EXPECT_EQ(::recv(listener.get(), block, sizeof block, 0), 3);
}

TEST(Sockets, a_wait_ends_when_the_socket_is_ready_late_or_checked) {
  const Socket listener(open_listener(any_port));
  const auto late = std::chrono::steady_clock::now() - 1s;
  EXPECT_FALSE(wait_ready(listener.get(), POLLIN, late));
  int checks = 0;
  EXPECT_FALSE(wait_ready(listener.get(), POLLIN, late, [&] { ++checks; }));
  EXPECT_EQ(checks, 1);
  EXPECT_THROW(wait_ready(listener.get(), POLLIN, std::chrono::steady_clock::now() + 24h,
                          [] { throw std::runtime_error("interrupted"); }),
               std::runtime_error);
  const Socket client(open_connection(bound_endpoint(listener.get(), ""), 10s));
  EXPECT_TRUE(wait_ready(listener.get(), POLLIN, late + 60s, [&] { ++checks; }));
  EXPECT_EQ(checks, 1) << "it was ready at once";
}

TEST(Sockets, a_silent_peer_is_given_up_after_the_patience_that_is_set) {
  const Socket socket(::socket(AF_INET, SOCK_STREAM, 0));
  watch_peer(socket.get(), 0ms);
  EXPECT_NE(option(socket.get(), SOL_SOCKET, SO_KEEPALIVE), 0);
  EXPECT_EQ(option(socket.get(), IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
  watch_peer(socket.get(), 90s);
  EXPECT_EQ(option(socket.get(), IPPROTO_TCP, TCP_USER_TIMEOUT), 90'000);
  watch_peer(socket.get(), std::chrono::hours(24 * 365));
  EXPECT_EQ(option(socket.get(), IPPROTO_TCP, TCP_USER_TIMEOUT), INT_MAX);
}

TEST(Sockets, a_blocking_socket_waits_for_its_slice_at_most) {
  for (const std::chrono::milliseconds slice : {5ms, 1000ms, 2500ms}) {
    const Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    set_blocking(socket.get(), slice);
    EXPECT_TRUE(!(::fcntl(socket.get(), F_GETFL) & O_NONBLOCK));
    for (const int name : {SO_RCVTIMEO, SO_SNDTIMEO}) {
      timeval time{};
      socklen_t size = sizeof time;
      ASSERT_EQ(::getsockopt(socket.get(), SOL_SOCKET, name, &time, &size), 0);
      const auto set = std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
      EXPECT_GE(set, slice);
      EXPECT_LE(set, slice + 10ms) << "the system rounds to its ticks";
    }
  }
}

TEST(Sockets, a_moved_owner_closes_the_socket_once) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  const Socket other(ends[1]);
  {
    Socket owner(ends[0]);
    const Socket second(std::move(owner));
    EXPECT_EQ(owner.get(), -1);
    EXPECT_EQ(second.get(), ends[0]);
  }
  char byte = 0;
  EXPECT_EQ(::recv(other.get(), &byte, 1, MSG_DONTWAIT), 0) << "closed";
}

TEST(Sockets, a_peer_is_named_by_address_and_port) {
  sockaddr_storage address{};
  auto& v4 = reinterpret_cast<sockaddr_in&>(address);
  v4.sin_family = AF_INET;
  v4.sin_port = htons(4000);
  v4.sin_addr.s_addr = htonl(0xC0000207);
  EXPECT_EQ(peer_name(address), "192.0.2.7:4000");
  address = {};
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(4000);
  v6.sin6_addr = in6addr_loopback;
  EXPECT_EQ(peer_name(address), "[::1]:4000");
  address = {};
  address.ss_family = AF_UNIX;
  EXPECT_EQ(peer_name(address), "unix");
}

TEST(Sockets, a_network_of_ipv6_has_one_share) {
  EXPECT_EQ(peer_network("192.0.2.7:4000"), "192.0.2.7");
  EXPECT_EQ(peer_network("[2001:db8:1:2:3:4:5:6]:4000"), "[2001:db8:1:2::]/64");
  EXPECT_EQ(peer_network("[2001:db8:1:2::9]:4001"), "[2001:db8:1:2::]/64");
  EXPECT_EQ(peer_network("[::ffff:192.0.2.7]:4000"), "[::ffff:192.0.2.7]");
  EXPECT_EQ(peer_network("[::1]:4000"), "[::1]");
  EXPECT_EQ(peer_network("unix"), "unix");
}

}  // namespace
}  // namespace framecall::sockets_test
