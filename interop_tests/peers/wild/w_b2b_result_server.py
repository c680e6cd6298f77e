# -*- coding: utf-8 -*-
"""W B2b, upload server: {"result": "ready"}, the body, {"result": "ok", "size": N}.

Usage: w_b2b_result_server.py PORT      0 picks a free one; stores in its working directory

Quirks kept: keys `filename` and `total_size`; `size` in the last answer is what was counted, and nothing
follows it; socketserver, one client at a time; recv(n) once for a header.
"""
import json
import os
import socketserver
import struct
import sys


class Receiver(socketserver.BaseRequestHandler):
    def answer(self, **what):
        data = json.dumps(what).encode()
        self.request.sendall(struct.pack('i', len(data)) + data)

    def handle(self):
        while True:
            prefix = self.request.recv(4)
            if not prefix:
                break
            head = json.loads(self.request.recv(struct.unpack('i', prefix)[0]).decode())
            self.answer(result='ready')
            left = head['total_size']
            with open(os.path.basename(head['filename']), 'wb') as f:
                while left:
                    data = self.request.recv(min(left, 8192))
                    f.write(data)
                    left -= len(data)
                written = f.tell()
            self.answer(result='ok', size=written)


server = socketserver.TCPServer(('127.0.0.1', int(sys.argv[1])), Receiver)
server.serve_forever()
