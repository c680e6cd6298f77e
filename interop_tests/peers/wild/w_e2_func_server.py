# -*- coding: utf-8 -*-
"""W E2, record server: takes {"func": NAME, "args": [...]} and says the same to each: it was accepted.

Usage: w_e2_func_server.py PORT      0 picks a free one

Quirks kept: nothing is called, the record is only put on a queue; native byte order; a record without
`func` or `args` is a KeyError that ends the connection; the answer is made once, when the script starts.
"""
import json
import queue
import socketserver
import struct
import sys

jobs = queue.Queue()
answer = json.dumps({'code': 0, 'data': 'accepted'}).encode('utf-8')
answer = struct.pack('i', len(answer)) + answer


class Taker(socketserver.StreamRequestHandler):
    def handle(self):
        while True:
            prefix = self.rfile.read(4)
            if len(prefix) < 4:
                return
            record = json.loads(self.rfile.read(struct.unpack('i', prefix)[0]).decode('utf-8'))
            jobs.put((record['func'], record['args']))
            self.wfile.write(answer)


server = socketserver.ThreadingTCPServer(('127.0.0.1', int(sys.argv[1])), Taker)
server.daemon_threads = True
server.serve_forever()
