# -*- coding: utf-8 -*-
"""T10, UDP loop client: sends `hello` and prints the reply, once a second, for ever.

Usage: t10_udp_loop_client.py [PORT]      default 8080
"""
from __future__ import print_function

import socket
import sys
import time

client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

while True:
    client.sendto(b'hello', ('127.0.0.1', int(sys.argv[1]) if len(sys.argv) > 1 else 8080))
    data, address = client.recvfrom(1024)
    print(data)
    time.sleep(1)
