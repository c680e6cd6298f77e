# -*- coding: utf-8 -*-
"""T6, UDP client: one datagram, one reply. Waits for ever when the reply is lost.

Usage: t06_udp_client.py [PORT]      default 8080
"""
from __future__ import print_function

import socket
import sys

client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.sendto(b'hello server baby!', ('127.0.0.1', int(sys.argv[1]) if len(sys.argv) > 1 else 8080))
data, address = client.recvfrom(1024)
print(data.decode('utf-8'))
client.close()
