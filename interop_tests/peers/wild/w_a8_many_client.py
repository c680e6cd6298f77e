# -*- coding: utf-8 -*-
"""W A8, upload client: any number of files over one connection, and a length of 0 at the end.

Usage: w_a8_many_client.py PORT FILE...

Quirks kept: file after file without a pause or an answer; struct.pack('i', 0) means that no more files
follow; keys `filename` and `file_size`; the body in lines, each in a send() of its own.
"""
import json
import os
import socket
import struct
import sys

client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client.connect(('127.0.0.1', int(sys.argv[1])))
count = 0
for path in sys.argv[2:]:
    head_dict = {'filename': os.path.basename(path), 'file_size': os.path.getsize(path)}
    head_bytes = json.dumps(head_dict).encode('utf-8')
    client.send(struct.pack('i', len(head_bytes)))
    client.send(head_bytes)
    with open(path, 'rb') as f:
        for line in f:
            client.send(line)
    count += 1
client.send(struct.pack('i', 0))
# the server closes when it has seen the 0
tail = client.recv(1024)
print('%d files sent, the server said %r' % (count, tail))
sys.exit(0 if tail == b'' else 1)
