# -*- coding: utf-8 -*-
"""W B3b, upload client: header, body, 32 characters of md5; the server says whether they are right.

Usage: w_b3b_trailer_client.py PORT FILE [MD5]

Ends with 0 if the server says `md5 ok`. Another MD5 on the command line stands for a damaged file.
Quirks kept: keys `name` and `filesize`; body and checksum leave without a pause, so that a server that reads
1024 bytes at a time has them in one piece; the answer is raw text.
"""
import hashlib
import json
import os
import socket
import struct
import sys

path = sys.argv[2]
md5 = hashlib.md5()
client = socket.socket()
client.connect(('127.0.0.1', int(sys.argv[1])))

info = json.dumps({'name': os.path.basename(path), 'filesize': os.path.getsize(path)}).encode('utf-8')
client.send(struct.pack('i', len(info)))
client.send(info)
with open(path, 'rb') as f:
    while True:
        data = f.read(1024)
        if not data:
            break
        client.send(data)
        md5.update(data)
check = sys.argv[3] if len(sys.argv) > 3 else md5.hexdigest()
client.send(check.encode('utf-8'))

answer = client.recv(1024)
print(answer)
client.close()
sys.exit(0 if answer == b'md5 ok' else 1)
