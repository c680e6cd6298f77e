# -*- coding: utf-8 -*-
"""W C3, raw lines and big-endian frames: `get NAME`, or `put NAME` with the frame glued to it.

Usage: w_c3_line_client.py PORT get NAME
       w_c3_line_client.py PORT put FILE

Quirks kept: line, prefix, header and body of a put are one sendall(); keys `fname` and `total_size`; a put is
not answered; '>L', which is 4 bytes wherever it runs.
"""
import json
import os
import socket
import struct
import sys


def get(sk, name):
    sk.sendall(b'get ' + name.encode('utf-8'))
    n, = struct.unpack('>L', sk.recv(4))
    head = json.loads(sk.recv(n).decode('utf-8'))
    content = b''
    while len(content) < head['total_size']:
        content += sk.recv(8192)
    with open(head['fname'], 'wb') as f:
        f.write(content)
    return len(content) == head['total_size']


def put(sk, name):
    head = json.dumps({'fname': os.path.basename(name), 'total_size': os.path.getsize(name)}).encode('utf-8')
    with open(name, 'rb') as f:
        sk.sendall(b'put ' + name.encode('utf-8') + struct.pack('>L', len(head)) + head + f.read())
    return True


word, name = sys.argv[2], sys.argv[3]
sk = socket.socket()
sk.connect(('127.0.0.1', int(sys.argv[1])))
ok = {'get': get, 'put': put}[word](sk, name)
sk.close()
print(word, name, 'done' if ok else 'failed')
sys.exit(0 if ok else 1)
