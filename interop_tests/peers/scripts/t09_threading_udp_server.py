# -*- coding: utf-8 -*-
"""T9, UDP server, one thread per datagram.

Usage: t09_threading_udp_server.py [PORT]      default 8080, 0 picks a free one

Quirk kept: the handler loops for ever on its one datagram, so one datagram is answered tens of
thousands of times a second until the program is ended.
"""
from __future__ import print_function

import sys

try:
    import socketserver
except ImportError:  # Python 2
    import SocketServer as socketserver


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        while True:
            data, sock = self.request
            print(data)
            sock.sendto(data.upper(), self.client_address)


server = socketserver.ThreadingUDPServer(
    ('127.0.0.1', int(sys.argv[1]) if len(sys.argv) > 1 else 8080), Handler)
server.serve_forever()
