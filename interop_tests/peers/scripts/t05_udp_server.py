# -*- coding: utf-8 -*-
"""T5, UDP server: answers one datagram with `hello` and ends.

Usage: t05_udp_server.py [PORT]      default 8080, 0 picks a free one
"""
from __future__ import print_function

import socket
import sys

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('127.0.0.1', int(sys.argv[1]) if len(sys.argv) > 1 else 8080))

data, address = server.recvfrom(1024)
print(data.decode('utf-8'))
server.sendto(b'hello', address)
server.close()
