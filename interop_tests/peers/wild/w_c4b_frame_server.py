# -*- coding: utf-8 -*-
"""W C4b, remote command server, big-endian: framed commands, {"total_size": N} + output.

Usage: w_c4b_frame_server.py PORT      0 picks a free one

What arrives is looked up in a fixed table and never run; only the form of the reply is the lesson's.
Quirks kept: keys `type`, `key`, `total_size`; a type other than `command` is an empty output; the socket
file does the reading, read(n) of it is whole.
"""
import json
import socketserver
import struct
import sys

TABLE = {'uptime': ' 10:00:00 up 1 day,  1 user\n', 'who am i': 'student\n'}


class CommandHandler(socketserver.StreamRequestHandler):
    def handle(self):
        while True:
            prefix = self.rfile.read(4)
            if len(prefix) < 4:
                break
            size, = struct.unpack('>I', prefix)
            msg = json.loads(self.rfile.read(size).decode())
            output = TABLE.get(msg.get('key'), '') if msg.get('type') == 'command' else ''
            output = output.encode()
            head = json.dumps({'total_size': len(output)}).encode()
            self.wfile.write(struct.pack('>I', len(head)) + head + output)


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True


Server(('127.0.0.1', int(sys.argv[1])), CommandHandler).serve_forever()
