# -*- coding: utf-8 -*-
"""T8, TCP loop client: sends `hello` and prints the reply, for ever.

Usage: t08_tcp_loop_client.py [PORT]      default 8080
"""
from __future__ import print_function

import socket
import sys

client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client.connect(('127.0.0.1', int(sys.argv[1]) if len(sys.argv) > 1 else 8080))

while True:
    client.send(b'hello')
    print(client.recv(1024))
