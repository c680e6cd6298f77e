# -*- coding: utf-8 -*-
"""W B4b, upload client: sends the real md5 in the header; the server answers {"success": true} if it fits.

Usage: w_b4b_md5_client.py PORT FILE [MD5]

Another MD5 on the command line stands for a damaged file: it ends with 1 then.
Quirks kept: keys `filename`, `filesize`, `md5value` in upper case; the file is read into memory; the framed
answer is read with recv(4) and recv(n) once each.
"""
import hashlib
import json
import os
import socket
import struct
import sys

with open(sys.argv[2], 'rb') as f:
    content = f.read()
md5value = sys.argv[3] if len(sys.argv) > 3 else hashlib.md5(content).hexdigest().upper()
info = {'filename': os.path.basename(sys.argv[2]), 'filesize': len(content), 'md5value': md5value}
info = json.dumps(info).encode()

with socket.socket() as s:
    s.connect(('127.0.0.1', int(sys.argv[1])))
    s.sendall(struct.pack('i', len(info)))
    s.sendall(info)
    s.sendall(content)
    n = struct.unpack('i', s.recv(4))[0]
    answer = json.loads(s.recv(n).decode())
print(answer)
sys.exit(0 if answer.get('success') is True else 1)
