// A coroutine for each connection to a free port of 127.0.0.1.
#pragma once
#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>

using asio::ip::tcp;
using Session = asio::awaitable<void> (*)(tcp::socket);

inline asio::awaitable<void> accept_all(tcp::acceptor& acceptor, Session session) {
  for (;;) {
    tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
    socket.set_option(tcp::no_delay(true));
    auto running = session(std::move(socket));
    asio::co_spawn(acceptor.get_executor(), std::move(running), asio::detached);
  }
}

inline void serve(Session session) {
  asio::io_context io(1);
  tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
  auto accepting = accept_all(acceptor, session);
  asio::co_spawn(io, std::move(accepting), asio::detached);
  io.run();
}
