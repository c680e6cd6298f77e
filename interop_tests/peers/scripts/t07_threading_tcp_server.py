# -*- coding: utf-8 -*-
"""T7, TCP echo server for many clients at once, one thread each.

Usage: t07_threading_tcp_server.py [PORT]      default 8081, 0 picks a free one

Quirk kept: recv(1204), two digits swapped.
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
            data = self.request.recv(1204)
            if not data:
                break
            print(data)
            self.request.send(data.upper())


server = socketserver.ThreadingTCPServer(
    ('127.0.0.1', int(sys.argv[1]) if len(sys.argv) > 1 else 8081), Handler)
server.serve_forever()
