// ZeroMQ ROUTER: one thread of ours and libzmq's own one.
#include <zmq.hpp>

int main() {
  zmq::context_t context(1);
  zmq::socket_t socket(context, zmq::socket_type::router);
  socket.set(zmq::sockopt::sndhwm, 0);
  socket.set(zmq::sockopt::rcvhwm, 0);
  socket.bind("tcp://127.0.0.1:*");
  zmq::message_t peer, body;
  while (socket.recv(peer) && socket.recv(body)) {
    socket.send(peer, zmq::send_flags::sndmore);
    socket.send(body, zmq::send_flags::none);
  }
}
