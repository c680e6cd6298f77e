# -*- coding: utf-8 -*-
"""W A3, upload client: the raw line `put NAME`, and at once the prefix, the header and the body.

Usage: w_a3_put_client.py PORT FILE...

Quirks kept: nothing marks the end of the line, so that the server gets `put a.txt` and the first frame in
one piece; several files follow each other on one connection in the same way; keys `file_name` and
`file_size`; no answer is read.
"""
import json
import os
import socket
import struct
import sys

client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client.connect(('127.0.0.1', int(sys.argv[1])))

for file_name in sys.argv[2:]:
    cmd = 'put ' + file_name
    header = json.dumps({
        'file_name': os.path.basename(file_name),
        'file_size': os.path.getsize(file_name),
    }).encode('utf-8')
    with open(file_name, 'rb') as f:
        client.sendall(cmd.encode('utf-8') + struct.pack('i', len(header)) + header + f.read())
    print('put %s' % file_name)

client.close()
