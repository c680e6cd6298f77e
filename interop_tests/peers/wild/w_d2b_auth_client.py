# -*- coding: utf-8 -*-
"""W D2b, download client with a login: bare JSON dict there, bare JSON dict back, then raw `get` lines.

Usage: w_d2b_auth_client.py PORT NAME PASSWD FILE...

Quirks kept: neither login nor answer has a length in front; keys `cmd`, `name`, `passwd`, `code`; several
gets over one connection; `quit` ends it; only the body is read to its exact size.
"""
import json
import socket
import struct
import sys


class FtpClient(object):
    def __init__(self, port):
        self.s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.s.connect(('127.0.0.1', port))

    def auth(self, name, passwd):
        msg = {'cmd': 'auth', 'name': name, 'passwd': passwd}
        self.s.send(json.dumps(msg).encode())
        reply = json.loads(self.s.recv(1024).decode())
        print('code %d for %s' % (reply['code'], reply['name']))
        return reply['code'] == 200

    def get(self, filename):
        self.s.send(('get ' + filename).encode())
        header_size = struct.unpack('i', self.s.recv(4))[0]
        header = json.loads(self.s.recv(header_size).decode())
        left = header['size']
        with open(header['name'], 'wb') as f:
            while left:
                data = self.s.recv(min(left, 4096))
                if not data:
                    sys.exit('the server went away')
                f.write(data)
                left -= len(data)
        print('%s %d bytes' % (header['name'], header['size']))


c = FtpClient(int(sys.argv[1]))
if not c.auth(sys.argv[2], sys.argv[3]):
    sys.exit(1)
for filename in sys.argv[4:]:
    c.get(filename)
c.s.send(b'quit')
sys.exit(0 if c.s.recv(1024) == b'' else 1)
