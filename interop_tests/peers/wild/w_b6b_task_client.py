# -*- coding: utf-8 -*-
"""W B6b, framed digits: {"task": "0"} uploads, {"task": "1"} downloads, a length of 0 is a missing file.

Usage: w_b6b_task_client.py PORT up FILE
       w_b6b_task_client.py PORT down NAME         ends with 0 if it came
       w_b6b_task_client.py PORT missing NAME      ends with 0 if it is not there

Quirks kept: the digits are strings; keys `task`, `key`, `data_len`; an upload is answered with one letter.
"""
import json
import os
import socket
import struct
import sys

port, what, name = int(sys.argv[1]), sys.argv[2], sys.argv[3]
s = socket.socket()
s.connect(('127.0.0.1', port))


def send(**head):
    head = json.dumps(head).encode()
    s.send(struct.pack('i', len(head)) + head)


if what == 'up':
    send(task='0', key=name, data_len=os.path.getsize(name))
    with open(name, 'rb') as f:
        s.sendall(f.read())
    letter = s.recv(1)
    print('answer', letter)
    sys.exit(0 if letter == b'y' else 1)

send(task='1', key=name)
n = struct.unpack('i', s.recv(4))[0]
if n == 0:
    print('not there:', name)
    sys.exit(0 if what == 'missing' else 1)
head = json.loads(s.recv(n).decode())
data = b''
while len(data) < head['data_len']:
    data += s.recv(1024)
open(head['key'], 'wb').write(data)
print('received', head['key'], len(data))
sys.exit(0 if what == 'down' else 1)
