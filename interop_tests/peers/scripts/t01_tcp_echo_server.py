# -*- coding: utf-8 -*-
"""T1, TCP echo server: one connection at a time, every message back in upper case.

Usage: t01_tcp_echo_server.py [PORT]      default 8080, 0 picks a free one

Quirks kept: backlog 5; one recv(1024) is taken for one message; one send() that may send a part;
a second client waits until the first has gone; no SO_REUSEADDR.
"""
from __future__ import print_function

import socket
import sys

try:
    ConnectionResetError
except NameError:  # Python 2
    ConnectionResetError = socket.error

server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.bind(('127.0.0.1', int(sys.argv[1]) if len(sys.argv) > 1 else 8080))
server.listen(5)

while True:
    connection, address = server.accept()
    while True:
        try:
            message = connection.recv(1024)
            if not message:
                break
            print(message)
            connection.send(message.upper())
        except ConnectionResetError:
            break
    connection.close()
