// Asio coroutines, no JSON: one for each connection, with all its calls in flight; what one read brought is sent again.
#include <asio/read.hpp>

#include <algorithm>

#include "asio_server.hpp"
#include "load.hpp"

namespace {

std::string frame_of(const std::string& body) {
  const auto length = static_cast<std::uint32_t>(body.size());
  return std::string(reinterpret_cast<const char*>(&length), 4) + body;
}

asio::awaitable<void> call(tcp::socket& socket, int in_flight, const std::string& frame, load::Clock& clock) {
  std::string in(std::max<std::size_t>(1 << 18, frame.size()), 0), out;
  std::vector<std::uint64_t> sent(static_cast<std::size_t>(in_flight), load::now());
  std::size_t size = 0, next = 0;
  for (int i = 0; i < in_flight; ++i) out += frame;
  for (bool on = true; on;) {
    if (in_flight == 1) sent[0] = load::now();
    const asio::const_buffer frames = asio::buffer(out);
    co_await asio::async_write(socket, frames, asio::use_awaitable);
    do {
      const asio::mutable_buffer room = asio::buffer(in.data() + size, in.size() - size);
      size += co_await socket.async_read_some(room, asio::use_awaitable);
    } while (size < frame.size());
    const std::uint64_t when = load::now();
    out.clear();
    std::size_t at = 0;
    for (; size - at >= frame.size(); at += frame.size()) {
      if (std::memcmp(in.data() + at, frame.data(), std::min<std::size_t>(frame.size(), 36)) != 0) {
        load::fail("a wrong reply");
      }
      on = clock.answered(sent[next], when) && on;
      sent[next] = when;
      if (++next == sent.size()) next = 0;
      out += frame;
    }
    std::memmove(in.data(), in.data() + at, size - at);
    size -= at;
  }
}

}  // namespace

int main(int argument_count, char** arguments) {
  const load::Arguments flags(argument_count, arguments);
  asio::io_context io(1);
  load::Clock clock(flags);
  std::vector<tcp::socket> sockets;
  for (int i = 0; i < flags.connections; ++i) {
    tcp::socket& socket = sockets.emplace_back(io);
    socket.connect({asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(flags.port)});
    socket.set_option(tcp::no_delay(true));
    for (int k = 0; k < load::checks; ++k) {
      const std::string frame = frame_of(load::body_of(flags.body, ++clock.total));
      std::string reply(frame.size(), 0);
      asio::write(socket, asio::buffer(frame));
      asio::read(socket, asio::buffer(reply));
      if (reply != frame) load::fail("a wrong reply");
    }
  }
  const std::string frame = frame_of(load::body_of(flags.body, 1));
  clock.start();
  for (tcp::socket& socket : sockets) {
    auto calling = call(socket, flags.in_flight, frame, clock);
    asio::co_spawn(io, std::move(calling), asio::detached);
  }
  io.run();
  clock.print();
}
