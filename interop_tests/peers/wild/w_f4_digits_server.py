# -*- coding: utf-8 -*-
"""W F4, server whose lengths are four digits: put, get and dir until a length of `0000`.

Usage: w_f4_digits_server.py PORT      0 picks a free one; its files are those of its working directory

Quirks kept: '%04d' % n; keys `opt`, `filename`, `total_size`; a header above 9999 bytes would break it;
int() of an empty read is caught as the client's end; no answer to a put.
"""
import json
import os
import socket
import sys


def send_head(conn, head):
    head = json.dumps(head).encode('ascii')
    conn.sendall(b'%04d' % len(head) + head)


def put(conn, head):
    with open(head['filename'], 'wb') as f:
        size = head['total_size']
        while size > 0:
            data = conn.recv(min(size, 1024))
            f.write(data)
            size -= len(data)


def get(conn, head):
    send_head(conn, {'filename': head['filename'], 'total_size': os.path.getsize(head['filename'])})
    with open(head['filename'], 'rb') as f:
        for data in iter(lambda: f.read(1024), b''):
            conn.sendall(data)


def list_dir(conn, head):
    send_head(conn, {'names': os.listdir(os.curdir)})


server = socket.socket()
server.bind(('127.0.0.1', int(sys.argv[1])))
server.listen(5)
while True:
    conn, addr = server.accept()
    while True:
        try:
            size = int(conn.recv(4))
        except ValueError:
            break
        if size == 0:
            break
        head = json.loads(conn.recv(size).decode('ascii'))
        {'put': put, 'get': get, 'dir': list_dir}[head['opt']](conn, head)
    conn.close()
