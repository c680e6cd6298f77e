# -*- coding: utf-8 -*-
"""W B3b, upload server: reads 32 characters of md5 behind the body and says `md5 ok` or `md5 error`.

Usage: w_b3b_trailer_server.py PORT      0 picks a free one; stores in its working directory

Quirks kept: keys `name` and `filesize`; recv(32) once for the checksum; the file of a wrong checksum is
removed; raw text as the answer.
"""
import hashlib
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
    while True:
        size = conn.recv(4)
        if not size:
            break
        info = json.loads(conn.recv(struct.unpack('i', size)[0]).decode('utf-8'))
        md5, left = hashlib.md5(), info['filesize']
        with open(info['name'], 'wb') as f:
            while left > 0:
                data = conn.recv(min(left, 1024))
                f.write(data)
                md5.update(data)
                left -= len(data)
        if conn.recv(32).decode('utf-8') == md5.hexdigest():
            conn.send(b'md5 ok')
        else:
            os.remove(info['name'])
            conn.send(b'md5 error')
    conn.close()
