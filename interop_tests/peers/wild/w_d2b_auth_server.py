# -*- coding: utf-8 -*-
"""W D2b, download server with a login: a bare JSON dict is answered by a bare JSON dict, then raw `get` lines.

Usage: w_d2b_auth_server.py PORT      0 picks a free one; serves its working directory

Quirks kept: keys `cmd`, `name`, `passwd`, `code`; three wrong logins end the connection; one recv is
taken for one line; the rest of a line is the name, blanks too; `quit` ends the connection.
"""
import json
import os
import socketserver
import struct
import sys

ACCOUNTS = {'egg': '123', 'guest': 'guest'}


class MyServer(socketserver.BaseRequestHandler):
    def handle(self):
        for _ in range(3):
            data = self.request.recv(1024)
            if not data:
                return
            msg = json.loads(data.decode())
            ok = msg['cmd'] == 'auth' and ACCOUNTS.get(msg['name']) == msg['passwd']
            reply = {'code': 200 if ok else 403, 'name': msg['name']}
            self.request.send(json.dumps(reply).encode())
            if ok:
                break
        else:
            return
        while True:
            line = self.request.recv(8096).decode()
            if not line or line == 'quit':
                return
            self.get(line.split(' ', 1)[1].strip())

    def get(self, name):
        header = {'name': name, 'size': os.path.getsize(name)}
        header = json.dumps(header).encode()
        self.request.send(struct.pack('i', len(header)))
        self.request.send(header)
        with open(name, 'rb') as f:
            self.request.sendall(f.read())


socketserver.ThreadingTCPServer(('127.0.0.1', int(sys.argv[1])), MyServer).serve_forever()
