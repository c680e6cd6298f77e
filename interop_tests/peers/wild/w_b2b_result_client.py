# -*- coding: utf-8 -*-
"""W B2b, upload client: {"result": "ready"} before the body, {"result": "ok", "size": N} after it.

Usage: w_b2b_result_client.py PORT FILE...

Quirks kept: no operation, the file's header comes first; keys `filename` and `total_size`; `size` in the
answer is the number of bytes that the server counted, not of bytes that follow; several files over one
connection.
"""
import json
import os
import socket
import struct
import sys


class Sender:
    def __init__(self, port):
        self.sock = socket.create_connection(('127.0.0.1', port))

    def answer(self):
        n, = struct.unpack('i', self.sock.recv(4))
        return json.loads(self.sock.recv(n).decode())

    def send(self, path):
        total = os.path.getsize(path)
        head = json.dumps({'filename': path, 'total_size': total}).encode()
        self.sock.sendall(struct.pack('i', len(head)) + head)
        if self.answer()['result'] != 'ready':
            raise SystemExit('not ready for ' + path)
        with open(path, 'rb') as f:
            self.sock.sendall(f.read())
        answer = self.answer()
        print(path, answer['result'], answer['size'])
        return answer['result'] == 'ok' and answer['size'] == total


sender = Sender(int(sys.argv[1]))
good = [sender.send(path) for path in sys.argv[2:]]
sender.sock.close()
sys.exit(0 if all(good) else 1)
