# -*- coding: utf-8 -*-
"""W B6, download server: struct.pack('i', 0) when there is no such file.

Usage: w_b6_zero_server.py PORT      0 picks a free one; serves its working directory

Quirks kept: raw `get NAME`; keys `filename` and `filesize`; the answer to a missing file is 4 zero bytes and
no header; a line without a blank kills it.
"""
import json
import os
import socket
import struct
import sys

server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.bind(('127.0.0.1', int(sys.argv[1])))
server.listen(5)

while True:
    conn, addr = server.accept()
    while True:
        cmd = conn.recv(1024)
        if not cmd:
            break
        action, filename = cmd.decode('utf-8').split(' ', 1)
        if not os.path.isfile(filename):
            conn.send(struct.pack('i', 0))
            continue
        header = json.dumps({'filename': filename, 'filesize': os.path.getsize(filename)}).encode('utf-8')
        conn.send(struct.pack('i', len(header)))
        conn.send(header)
        with open(filename, 'rb') as f:
            for line in f:
                conn.send(line)
    conn.close()
