# -*- coding: utf-8 -*-
"""W F2, download client, 8 big-endian bytes of length: '>Q' in front of the request and of the header.

Usage: w_f2_quad_client.py PORT NAME...

Quirks kept: keys `task`, `file`, `length`; a connection for each file; a length of 0 in place of a header
means that there is no such file, which is printed and no failure; recv(8) is not repeated.
"""
import json
import socket
import struct
import sys


def fetch(name):
    conn = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
    request = json.dumps({'task': 'fetch', 'file': name}).encode('utf-8')
    conn.sendall(struct.pack('>Q', len(request)) + request)
    header_len, = struct.unpack('>Q', conn.recv(8))
    if header_len == 0:
        return None
    header = json.loads(conn.recv(header_len).decode('utf-8'))
    content = bytearray()
    while len(content) < header['length']:
        chunk = conn.recv(20480)
        if not chunk:
            sys.exit('%s: %d of %d bytes' % (name, len(content), header['length']))
        content += chunk
    conn.close()
    return bytes(content)


for name in sys.argv[2:]:
    content = fetch(name)
    if content is None:
        print(name + ': not there')
        continue
    with open(name, 'wb') as f:
        f.write(content)
    print('%s: %d bytes' % (name, len(content)))
