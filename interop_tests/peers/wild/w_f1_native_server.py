# -*- coding: utf-8 -*-
"""W F1, upload server, 8 bytes of length: struct.unpack('q', ...), header with `Name` and `Size`, body.

Usage: w_f1_native_server.py PORT      0 picks a free one; stores into its working directory

Quirks kept: recv(8) and recv(n) once each; native byte order; no answer; what is left of the body bounds
each recv, so that the next file can follow at once.
"""
import json
import socket
import struct
import sys


def save(conn):
    prefix = conn.recv(8)
    if not prefix:
        return False
    info = json.loads(conn.recv(struct.unpack('q', prefix)[0]).decode('utf8'))
    left = info['Size']
    with open(info['Name'], 'wb') as f:
        while left > 0:
            data = conn.recv(2048 if left > 2048 else left)
            if not data:
                raise EOFError('%s: %d bytes are missing' % (info['Name'], left))
            f.write(data)
            left -= len(data)
    print('%(Name)s %(Size)d' % info)
    return True


s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.bind(('127.0.0.1', int(sys.argv[1])))
s.listen(5)
while True:
    conn, addr = s.accept()
    while save(conn):
        pass
    conn.close()
