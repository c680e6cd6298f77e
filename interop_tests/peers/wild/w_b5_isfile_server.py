# -*- coding: utf-8 -*-
"""W B5, download server: {"is_file": true, ...} and the file, or {"is_file": false} alone.

Usage: w_b5_isfile_server.py PORT      0 picks a free one; serves its working directory

Quirks kept: keys `operation_type`, `name`, `is_file`, `size`; `exit` ends the conversation, and so does
whatever is not known; un-looped reads of prefix and header.
"""
import json
import os
import socket
import struct
import sys


def send_dict(conn, dic):
    b = json.dumps(dic).encode('utf-8')
    conn.send(struct.pack('i', len(b)))
    conn.send(b)


sk = socket.socket()
sk.bind(('127.0.0.1', int(sys.argv[1])))
sk.listen()
while True:
    conn, addr = sk.accept()
    while True:
        four = conn.recv(4)
        if not four:
            break
        dic = json.loads(conn.recv(struct.unpack('i', four)[0]).decode('utf-8'))
        if dic['operation_type'] != 'download':
            break
        name = dic['name']
        if os.path.isfile(name):
            send_dict(conn, {'is_file': True, 'name': name, 'size': os.path.getsize(name)})
            with open(name, 'rb') as f:
                for line in f:
                    conn.send(line)
        else:
            send_dict(conn, {'is_file': False})
    conn.close()
