# -*- coding: utf-8 -*-
"""W F4, client whose lengths are four digits: b'0042', then the header; put, get, dir over one connection.

Usage: w_f4_digits_client.py PORT put FILE get NAME dir ...      as many as there are

Quirks kept: str(n).zfill(4); keys `opt`, `filename`, `total_size`; int(recv(4)) for a length; `0000` tells
the server that it was the last one; an empty read in a get makes it spin.
"""
import json
import os
import socket
import sys


def send_head(head):
    head = json.dumps(head)
    sk.send((str(len(head)).zfill(4) + head).encode('utf-8'))


def recv_head():
    size = int(sk.recv(4).decode('utf-8'))
    return json.loads(sk.recv(size).decode('utf-8'))


sk = socket.socket()
sk.connect(('127.0.0.1', int(sys.argv[1])))
todo = sys.argv[2:]
while todo:
    opt = todo.pop(0)
    if opt == 'dir':
        send_head({'opt': 'dir'})
        print('dir: ' + ', '.join(sorted(recv_head()['names'])))
        continue
    name = todo.pop(0)
    if opt == 'put':
        send_head({'opt': 'put', 'filename': name, 'total_size': os.path.getsize(name)})
        with open(name, 'rb') as f:
            sk.sendall(f.read())
        print('put ' + name)
    elif opt == 'get':
        send_head({'opt': 'get', 'filename': name})
        left = recv_head()['total_size']
        with open(name, 'wb') as f:
            while left:
                left -= f.write(sk.recv(min(left, 1024)))
        print('got ' + name)
sk.send(b'0000')
sys.exit(0 if sk.recv(1) == b'' else 1)
