"""The best receiver that Python's standard library has: recv_into, unbuffered write. Usage: python_receiver.py FILE"""

import socket
import sys

buffer = memoryview(bytearray(1 << 20))
with socket.create_server(("127.0.0.1", 0)) as listener:
    while True:
        peer, _ = listener.accept()
        with peer, open(sys.argv[1], "wb", buffering=0) as file:
            while count := peer.recv_into(buffer):
                at = 0
                while at < count:
                    at += file.write(buffer[at:count])
