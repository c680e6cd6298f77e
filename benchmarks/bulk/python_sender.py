"""The best sender that Python's standard library has: socket.sendfile. Usage: python_sender.py PORT FILE"""

import socket
import sys

with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as peer, open(sys.argv[2], "rb") as file:
    peer.sendfile(file)
    peer.shutdown(socket.SHUT_WR)
    assert peer.recv(1) == b""
