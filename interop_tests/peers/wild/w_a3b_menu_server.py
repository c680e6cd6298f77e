# -*- coding: utf-8 -*-
"""W A3b, menu server: reads exactly one byte, `1` for an upload or `2` for a download, then a frame.

Usage: w_a3b_menu_server.py PORT      0 picks a free one; its files are those of its working directory

Quirks kept: recv(1) for the choice; one job for each connection; keys `name` and `size`; un-looped reads of
prefix and header; an unknown digit is a closed connection; a missing file kills it.
"""
import json
import os
import socket
import struct
import sys

sk = socket.socket()
sk.bind(('127.0.0.1', int(sys.argv[1])))
sk.listen()
while 1:
    conn, addr = sk.accept()
    choice = conn.recv(1).decode()
    if choice in ('1', '2'):
        num = struct.unpack('i', conn.recv(4))[0]
        dic = json.loads(conn.recv(num).decode('utf-8'))
    if choice == '1':
        left = dic['size']
        with open(dic['name'], 'wb') as f:
            while left > 0:
                data = conn.recv(4096)
                f.write(data)
                left -= len(data)
    elif choice == '2':
        dic['size'] = os.path.getsize(dic['name'])
        b = json.dumps(dic).encode('utf-8')
        conn.send(struct.pack('i', len(b)))
        conn.send(b)
        with open(dic['name'], 'rb') as f:
            conn.sendall(f.read())
    conn.close()
