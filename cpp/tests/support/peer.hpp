// The other end of a connection, as a plain socket. Every wait has an end, so that a fault fails a test, not hangs it.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "framecall/endpoint.hpp"

namespace framecall {

inline constexpr std::chrono::seconds patience{60};  // only a test that fails waits so long

/// Work on a thread of its own, which is over when this goes, however the test ends. What it throws fails the test.
class Background {
 public:
  Background() = default;
  template <class Function>
  explicit Background(Function work)
      : problem_(std::make_unique<std::string>()),
        thread_([problem = problem_.get(), work = std::move(work)]() mutable {
          try {
            work();
          } catch (const std::exception& error) {
            *problem = error.what();
          }
        }) {}
  Background(Background&&) noexcept = default;
  Background& operator=(Background&& other) noexcept {
    join();
    problem_ = std::move(other.problem_);
    thread_ = std::move(other.thread_);
    return *this;
  }
  ~Background() { join(); }
  void join() {
    if (!thread_.joinable()) return;
    thread_.join();
    EXPECT_EQ(*problem_, "");
  }

 private:
  std::unique_ptr<std::string> problem_;
  std::thread thread_;
};

class Peer {
 public:
  explicit Peer(int socket) : socket_(socket) {
    const timeval limit{patience.count(), 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  /// Connects, to 127.0.0.1 or a Unix socket.
  explicit Peer(const Endpoint& endpoint) : Peer(::socket(endpoint.is_unix() ? AF_UNIX : AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in tcp{};
    tcp.sin_family = AF_INET;
    tcp.sin_port = htons(endpoint.port);
    tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    endpoint.path.copy(un.sun_path, sizeof un.sun_path - 1);
    const auto* address = endpoint.is_unix() ? reinterpret_cast<sockaddr*>(&un) : reinterpret_cast<sockaddr*>(&tcp);
    const socklen_t size = endpoint.is_unix() ? sizeof un : sizeof tcp;
    if (::connect(socket_, address, size) != 0) {
      const int problem = errno;
      close();
      throw std::system_error(problem, std::generic_category(), endpoint.to_string());
    }
  }
  Peer(Peer&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  ~Peer() { close(); }
  int socket() const { return socket_; }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count < 0) throw std::system_error(errno, std::generic_category(), "send");
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  /// As much as goes out until nothing moved for `limit`; how much that was.
  std::size_t send_until_stuck(std::string_view bytes, std::chrono::milliseconds limit) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t count = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count > 0) sent += static_cast<std::size_t>(count);
      if (count < 0 && (errno != EAGAIN || !wait_for(POLLOUT, limit))) break;
    }
    return sent;
  }
  bool wait_for(short events, std::chrono::milliseconds limit) {
    pollfd wanted{socket_, events, 0};
    return ::poll(&wanted, 1, static_cast<int>(limit.count())) > 0;
  }
  /// One recv(). Empty at the end of the stream.
  std::string receive_some(std::size_t size = 1 << 16) {
    std::string bytes(size, '\0');
    const ssize_t count = ::recv(socket_, bytes.data(), size, 0);
    if (count < 0) throw std::system_error(errno, std::generic_category(), "recv");
    bytes.resize(static_cast<std::size_t>(count));
    return bytes;
  }
  std::string receive(std::size_t size) {
    std::string bytes;
    while (bytes.size() < size) {
      const std::string piece = receive_some(size - bytes.size());
      if (piece.empty()) throw std::runtime_error("the stream ended after \"" + bytes + "\"");
      bytes += piece;
    }
    return bytes;
  }
  std::string receive_all() {
    std::string bytes;
    for (std::string piece = receive_some(); !piece.empty(); piece = receive_some()) bytes += piece;
    return bytes;
  }
  void half_close() { ::shutdown(socket_, SHUT_WR); }
  void close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }
  void reset() {
    const linger at_once{1, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
  }

 private:
  int socket_;
};

/// A receiver on 127.0.0.1 that does what the test says.
class PeerListener {
 public:
  /// `receive_buffer`: of its connections, 0: the system's.
  explicit PeerListener(int receive_buffer = 0, int backlog = 16) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_buffer > 0) {
      ::setsockopt(socket_.socket(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket_.socket(), generic, size) != 0 || ::listen(socket_.socket(), backlog) != 0 ||
        ::getsockname(socket_.socket(), generic, &size) != 0) {
      throw std::system_error(errno, std::generic_category(), "listen");
    }
    endpoint_.host = "127.0.0.1";
    endpoint_.port = ntohs(address.sin_port);
  }
  const Endpoint& endpoint() const { return endpoint_; }
  Peer accept() {
    const int socket = ::accept(socket_.socket(), nullptr, nullptr);
    if (socket < 0) throw std::system_error(errno, std::generic_category(), "accept");
    return Peer(socket);
  }

 private:
  Peer socket_;
  Endpoint endpoint_;
};

}  // namespace framecall
