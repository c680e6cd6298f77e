"""pyzmq, a ROUTER, which sends back what came."""

import load
import zmq

args = load.arguments()
sock = zmq.Context(1).socket(zmq.ROUTER)
sock.sndhwm = sock.rcvhwm = 0
sock.bind("tcp://127.0.0.1:*")
while True:
    peer, body = sock.recv_multipart()
    sock.send_multipart((peer, body))
