# -*- coding: utf-8 -*-
"""W C2, framed GET and PUT with status numbers, big-endian: '>I'.

Usage: w_c2_status_server.py PORT      0 picks a free one; its files are those of its working directory

A put is answered with {"status": 100}, and with {"status": 200} when the file is there; a get with
{"status": 200, ...} and the file, or with {"status": 404}.
Quirks kept: upper-case words under `operation`; keys `fileName` and `fileSize`; un-looped reads of a head.
"""
import json
import os
import socket
import struct
import sys


def write(sock, **head):
    data = json.dumps(head).encode()
    sock.send(struct.pack('>I', len(data)))
    sock.send(data)


def serve(sock, operation, name, size):
    if operation == 'PUT':
        write(sock, status=100)
        with open(name, 'wb') as f:
            while size:
                size -= f.write(sock.recv(1024))
        write(sock, status=200, fileName=name)
    elif operation == 'GET' and os.path.isfile(name):
        write(sock, status=200, fileName=name, fileSize=os.path.getsize(name))
        with open(name, 'rb') as f:
            sock.sendfile(f)
    else:
        write(sock, status=404)


listener = socket.socket()
listener.bind(('127.0.0.1', int(sys.argv[1])))
listener.listen(5)
while True:
    sock, address = listener.accept()
    while True:
        prefix = sock.recv(4)
        if not prefix:
            break
        head = json.loads(sock.recv(struct.unpack('>I', prefix)[0]).decode())
        serve(sock, head['operation'], head['fileName'], head.get('fileSize'))
    sock.close()
