# -*- coding: utf-8 -*-
"""W F2, download server, 8 big-endian bytes of length: '>Q', a framed {"task": "fetch"} for each connection.

Usage: w_f2_quad_server.py PORT      0 picks a free one; serves its working directory

Quirks kept: keys `task`, `file`, `length`; eight zero bytes are the answer to whatever is no file; recv(8)
and recv(n) once each; the file in pieces of 4096.
"""
import json
import os
import socket
import struct
import sys

server = socket.socket()
server.bind(('127.0.0.1', int(sys.argv[1])))
server.listen(5)
while True:
    conn, addr = server.accept()
    raw = conn.recv(8)
    if len(raw) == 8:
        request = json.loads(conn.recv(struct.unpack('>Q', raw)[0]).decode('utf-8'))
        name = request['file']
        if request['task'] != 'fetch' or not os.path.isfile(name):
            conn.sendall(struct.pack('>Q', 0))
        else:
            header = json.dumps({'file': name, 'length': os.path.getsize(name)}).encode('utf-8')
            conn.sendall(struct.pack('>Q', len(header)))
            conn.sendall(header)
            with open(name, 'rb') as f:
                piece = f.read(4096)
                while piece:
                    conn.sendall(piece)
                    piece = f.read(4096)
    conn.close()
