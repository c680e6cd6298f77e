# -*- coding: utf-8 -*-
"""W A6, download server: a name that is not there is answered with a header of size 0.

Usage: w_a6_missing_server.py PORT      0 picks a free one; serves its working directory

Quirks kept: raw `get NAME`, one recv(1024) for it; keys `filename` and `filesize`; anything that is not a
get is passed over in silence; prefix, header and lines in a send() of their own.
"""
import json
import os
import socket
import struct
import sys

sk = socket.socket()
sk.bind(('127.0.0.1', int(sys.argv[1])))
sk.listen(5)

while True:
    conn, addr = sk.accept()
    while True:
        msg = conn.recv(1024)
        if not msg:
            break
        words = msg.decode('utf-8').split()
        if len(words) < 2 or words[0] != 'get':
            continue
        name = words[1]
        exists = os.path.isfile(name)
        header = {'filename': name, 'filesize': os.path.getsize(name) if exists else 0}
        header = json.dumps(header).encode('utf-8')
        conn.send(struct.pack('i', len(header)))
        conn.send(header)
        if exists:
            with open(name, 'rb') as f:
                for line in f:
                    conn.send(line)
    conn.close()
