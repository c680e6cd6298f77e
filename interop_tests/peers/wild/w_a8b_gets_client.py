# -*- coding: utf-8 -*-
"""W A8b, download client: several raw `get NAME` over one connection, then `quit`.

Usage: w_a8b_gets_client.py PORT NAME...

Quirks kept: the next request leaves when the last body is complete, which is all that keeps them apart;
keys `name` and `file_size`; recv(1024) without regard to what is left; everything is kept in memory.
"""
import json
import socket
import struct
import sys

c = socket.socket()
c.connect(('127.0.0.1', int(sys.argv[1])))
good = 0
for name in sys.argv[2:]:
    c.send(('get %s' % name).encode())
    n = struct.unpack('i', c.recv(4))[0]
    d = json.loads(c.recv(n).decode())
    buf = b''
    while len(buf) < d['file_size']:
        buf += c.recv(1024)
    if d['name'] == name and len(buf) == d['file_size']:
        good += 1
    open(name, 'wb').write(buf)
    print(name, len(buf))
c.send(b'quit')
c.close()
sys.exit(0 if good == len(sys.argv) - 2 else 1)
