# -*- coding: utf-8 -*-
"""W C2, framed GET and PUT with status numbers, big-endian: '>I'.

Usage: w_c2_status_client.py PORT PUT FILE
       w_c2_status_client.py PORT GET NAME      ends with 2 if the server has no such file

A put waits for {"status": 100} before the body and for {"status": 200} after it; the header of a get
says {"status": 200} or {"status": 404}.
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


def read(sock):
    return json.loads(sock.recv(struct.unpack('>I', sock.recv(4))[0]).decode())


operation, name = sys.argv[2:4]
sock = socket.socket()
sock.connect(('127.0.0.1', int(sys.argv[1])))
if operation == 'PUT':
    write(sock, operation='PUT', fileName=name, fileSize=os.path.getsize(name))
    head = read(sock)
    if head['status'] == 100:
        with open(name, 'rb') as f:
            sock.sendfile(f)
        head = read(sock)
else:
    write(sock, operation='GET', fileName=name)
    head = read(sock)
    if head['status'] == 404:
        print(name, 'is not there:', head)
        sys.exit(2)
    size = head['fileSize']
    with open(head['fileName'], 'wb') as f:
        while size:
            size -= f.write(sock.recv(1024))
sock.close()
print(operation, name, head['status'])
sys.exit(0 if head['status'] == 200 else 1)
