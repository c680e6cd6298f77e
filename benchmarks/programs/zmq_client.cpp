// ZeroMQ DEALER: one thread, one socket for each connection.
#include <deque>
#include <zmq.hpp>

#include "load.hpp"

int main(int argument_count, char** arguments) {
  const load::Arguments flags(argument_count, arguments);
  load::Clock clock(flags);
  zmq::context_t context(1);
  std::deque<zmq::socket_t> sockets;
  std::vector<zmq::pollitem_t> items;
  zmq::message_t reply;
  for (int i = 0; i < flags.connections; ++i) {
    zmq::socket_t& socket = sockets.emplace_back(context, zmq::socket_type::dealer);
    socket.set(zmq::sockopt::linger, 0);
    socket.connect("tcp://" + flags.address());
    for (int k = 0; k < load::checks; ++k) {
      const std::string body = load::body_of(flags.body, ++clock.total);
      socket.send(zmq::buffer(body), zmq::send_flags::none);
      if (!socket.recv(reply) || reply.to_string_view() != body) load::fail("a wrong reply");
    }
    items.push_back({socket.handle(), 0, ZMQ_POLLIN, 0});
  }
  const std::string body = load::body_of(flags.body, 1);
  const auto in_flight = static_cast<std::size_t>(flags.in_flight);
  std::vector<std::size_t> next(sockets.size(), 0);
  clock.start();
  std::vector<std::vector<std::uint64_t>> sent(sockets.size(), std::vector<std::uint64_t>(in_flight, load::now()));
  for (zmq::socket_t& socket : sockets) {
    for (std::size_t k = 0; k < in_flight; ++k) socket.send(zmq::buffer(body), zmq::send_flags::none);
  }
  const bool alone = sockets.size() == 1;
  for (bool on = true; on;) {
    if (!alone) zmq::poll(items, std::chrono::milliseconds(-1));
    for (std::size_t i = 0; i < sockets.size() && on; ++i) {
      if (!alone && !(items[i].revents & ZMQ_POLLIN)) continue;
      auto how = alone ? zmq::recv_flags::none : zmq::recv_flags::dontwait;
      while (on && sockets[i].recv(reply, how)) {
        how = zmq::recv_flags::dontwait;
        const std::uint64_t when = load::now();
        if (reply.size() != body.size() || std::memcmp(reply.data(), body.data(), 32) != 0) {
          load::fail("a wrong reply");
        }
        on = clock.answered(sent[i][next[i]], when);
        if (in_flight == 1) {
          sent[i][0] = load::now();
        } else {
          sent[i][next[i]] = when;
          if (++next[i] == in_flight) next[i] = 0;
        }
        sockets[i].send(zmq::buffer(body), zmq::send_flags::none);
        if (in_flight == 1) break;
      }
    }
  }
  clock.print();
}
