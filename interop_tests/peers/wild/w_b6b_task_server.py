# -*- coding: utf-8 -*-
"""W B6b, framed digits: serves {"task": "0"} and {"task": "1"}; 4 zero bytes for a missing file.

Usage: w_b6b_task_server.py PORT      0 picks a free one; its files are those of its working directory

Quirks kept: keys `task`, `key`, `data_len`; an upload is answered with the letter `y`; the files are kept
in a dict, too, and read from disk only once; un-looped reads of prefix and header.
"""
import json
import os
import socket
import struct
import sys

cache = {}


def load(key):
    if key not in cache and os.path.isfile(key):
        with open(key, 'rb') as f:
            cache[key] = f.read()
    return cache.get(key)


def serve(c, head):
    key = head['key']
    if head['task'] == '0':
        data = b''
        while len(data) < head['data_len']:
            data += c.recv(1024)
        cache[key] = data
        with open(key, 'wb') as f:
            f.write(data)
        c.send(b'y')
    elif load(key) is None:
        c.send(struct.pack('i', 0))
    else:
        b = json.dumps({'key': key, 'data_len': len(load(key))}).encode()
        c.send(struct.pack('i', len(b)) + b)
        c.sendall(load(key))


s = socket.socket()
s.bind(('127.0.0.1', int(sys.argv[1])))
s.listen(1)
while True:
    c, a = s.accept()
    n = c.recv(4)
    while n:
        serve(c, json.loads(c.recv(struct.unpack('i', n)[0]).decode()))
        n = c.recv(4)
    c.close()
