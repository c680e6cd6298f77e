# -*- coding: utf-8 -*-
"""W B1, upload client: waits for the raw text `200` after the body.

Usage: w_b1_ok_client.py PORT FILE

Quirks kept: keys `filename`, `filesize` and a constant `md5`; the answer is whatever one recv(1024) gives;
it waits for ever when the server stays silent; FILE goes into the header as it was typed.
"""
import json
import os
import socket
import struct
import sys

filename = sys.argv[2]
sk = socket.socket()
sk.connect(('127.0.0.1', int(sys.argv[1])))

header_dic = {'filename': filename, 'filesize': os.path.getsize(filename), 'md5': '123456'}
header_bytes = json.dumps(header_dic).encode('utf-8')
sk.send(struct.pack('i', len(header_bytes)))
sk.send(header_bytes)
with open(filename, 'rb') as f:
    for line in f:
        sk.send(line)

answer = sk.recv(1024)
print(answer)
sk.close()
sys.exit(0 if answer == b'200' else 'upload failed')
