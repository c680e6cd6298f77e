# -*- coding: utf-8 -*-
"""W D2, client with a login: the account is one bare JSON dict, the answer `ok` or `no`, then `get`/`put`.

Usage: w_d2_json_client.py PORT USER PWD get|put FILE

Quirks kept: no length in front of the login; a put's frame follows its raw line at once, so that both
may arrive as one; keys `file_name`, `file_size` and a constant `md5`; no answer to a put.
"""
import json
import os
import socket
import struct
import sys

user, pwd, cmd, filename = sys.argv[2:6]
sk = socket.socket()
sk.connect(('127.0.0.1', int(sys.argv[1])))
sk.send(json.dumps({'user': user, 'pwd': pwd}).encode('utf-8'))
ret = sk.recv(1024).decode('utf-8')
print('login %s' % ret)
if ret != 'ok':
    sys.exit(1)

sk.send(('%s %s' % (cmd, os.path.basename(filename))).encode('utf-8'))
if cmd == 'put':
    head = {'file_name': os.path.basename(filename), 'file_size': os.path.getsize(filename), 'md5': '123456'}
    head_bytes = json.dumps(head).encode('utf-8')
    sk.send(struct.pack('i', len(head_bytes)))
    sk.send(head_bytes)
    with open(filename, 'rb') as f:
        sk.sendall(f.read())
else:
    n = struct.unpack('i', sk.recv(4))[0]
    head = json.loads(sk.recv(n).decode('utf-8'))
    content = b''
    while len(content) < head['file_size']:
        content += sk.recv(1024)
    with open(filename, 'wb') as f:
        f.write(content)
print('%s %s %d' % (cmd, filename, head['file_size']))
sk.close()
