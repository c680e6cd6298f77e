# -*- coding: utf-8 -*-
"""W A8, upload server: files over one connection until a length of 0, or until the sender closes.

Usage: w_a8_many_server.py PORT      0 picks a free one; stores in its working directory

Quirks kept: recv(4) and recv(n) once each, which a prefix across two segments breaks; the body is cut at
its size with a second, shorter recv; nothing is sent back.
"""
import json
import socket
import struct
import sys

server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.bind(('127.0.0.1', int(sys.argv[1])))
server.listen(5)


def receive_one(conn, n):
    head_dict = json.loads(conn.recv(n).decode('utf-8'))
    left = head_dict['file_size']
    with open(head_dict['filename'], 'wb') as f:
        while left > 1024:
            data = conn.recv(1024)
            f.write(data)
            left -= len(data)
        while left > 0:
            data = conn.recv(left)
            f.write(data)
            left -= len(data)
    print('got', head_dict['filename'])


while True:
    conn, addr = server.accept()
    while True:
        four = conn.recv(4)
        if not four or four == b'\0\0\0\0':
            break
        receive_one(conn, struct.unpack('i', four)[0])
    conn.close()
