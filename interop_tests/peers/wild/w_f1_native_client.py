# -*- coding: utf-8 -*-
"""W F1, upload client, 8 bytes of length: struct.pack('q', n) in front of the header, no answer.

Usage: w_f1_native_client.py PORT FILE...

Quirks kept: keys `Name` and `Size`; native byte order; file after file without a pause; the body leaves
through sendfile(); it waits for the server's end at last.
"""
import json
import os
import socket
import struct
import sys

s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.connect(('127.0.0.1', int(sys.argv[1])))
total = 0
for path in sys.argv[2:]:
    info = {'Name': os.path.split(path)[1], 'Size': os.stat(path).st_size}
    info_bytes = json.dumps(info).encode('utf8')
    s.send(struct.pack('q', len(info_bytes)))
    s.send(info_bytes)
    with open(path, 'rb') as f:
        if info['Size']:
            s.sendfile(f)
    total += info['Size']
s.shutdown(socket.SHUT_WR)
rest = s.recv(100)
s.close()
print('%d files, %d bytes' % (len(sys.argv) - 2, total))
sys.exit(0 if rest == b'' else 1)
