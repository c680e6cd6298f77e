"""pyzmq, a DEALER."""

import load
import zmq

args = load.arguments()
sock = zmq.Context(1).socket(zmq.DEALER)
sock.linger = 0
sock.connect(f"tcp://127.0.0.1:{args.port}")


def call(body):
    sock.send(body)
    return sock.recv()


load.one_at_a_time(args, call, lambda body: body)
