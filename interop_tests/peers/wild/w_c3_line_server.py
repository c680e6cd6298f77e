# -*- coding: utf-8 -*-
"""W C3, raw lines and big-endian frames: serves `get NAME` and `put NAME`, one for each connection.

Usage: w_c3_line_server.py PORT      0 picks a free one; its files are those of its working directory

Quirks kept: a put's frame begins 4 bytes before the first `{`, so that no name may hold one; whether it is
glued to the line does not matter; keys `fname` and `total_size`; '>L'; no answer to a put; a peer that
leaves in the middle of a put makes it spin.
"""
import json
import os
import socket
import struct
import sys


def put(conn, data):
    while b'{' not in data:
        data += conn.recv(1024)
    start = data.index(b'{')
    n, = struct.unpack('>L', data[start - 4:start])
    while len(data) < start + n:
        data += conn.recv(1024)
    head = json.loads(data[start:start + n].decode('utf-8'))
    content = data[start + n:]
    while len(content) < head['total_size']:
        content += conn.recv(1024)
    with open(head['fname'], 'wb') as f:
        f.write(content)


def get(conn, data):
    name = data[4:].decode('utf-8')
    head = json.dumps({'fname': name, 'total_size': os.path.getsize(name)}).encode('utf-8')
    with open(name, 'rb') as f:
        conn.sendall(struct.pack('>L', len(head)) + head + f.read())


s = socket.socket()
s.bind(('127.0.0.1', int(sys.argv[1])))
s.listen(5)
while True:
    conn, addr = s.accept()
    data = conn.recv(1024)
    if data[:3] == b'put':
        put(conn, data)
    elif data[:3] == b'get':
        get(conn, data)
    conn.close()
