# -*- coding: utf-8 -*-
"""W A8b, download server: raw `get NAME`, again and again, until `quit` or until the client closes.

Usage: w_a8b_gets_server.py PORT      0 picks a free one; serves its working directory

Quirks kept: the command is data[4:], so that names may hold blanks; keys `name` and `file_size`; one send()
for prefix and header together, one for the whole file; two requests in one read are one wrong name, and a
wrong name is the end of the program.
"""
import json
import os
import socket
import struct
import sys

s = socket.socket()
s.bind(('127.0.0.1', int(sys.argv[1])))
s.listen(3)
while True:
    c, a = s.accept()
    print('hello', a)
    while True:
        data = c.recv(1024).decode()
        if data == '' or data == 'quit':
            break
        if data[:4] == 'get ':
            name = data[4:]
            d = json.dumps({'name': name, 'file_size': os.path.getsize(name)}).encode()
            c.send(struct.pack('i', len(d)) + d)
            with open(name, 'rb') as f:
                c.sendall(f.read())
    c.close()
