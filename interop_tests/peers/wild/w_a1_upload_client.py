# -*- coding: utf-8 -*-
"""W A1, upload client: one file goes to the server, and nothing ever comes back.

Usage: w_a1_upload_client.py PORT FILE

Quirks kept: keys `filename` and `filesize`, and an `md5` that is the same constant for every file; the
body leaves in pieces of 1, 10, 100 ... bytes; send() whose result nobody looks at; native byte order;
FILE goes into the header as it was typed; no shutdown.
"""
import json
import os
import socket
import struct
import sys

port, filename = int(sys.argv[1]), sys.argv[2]

phone = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
phone.connect(('127.0.0.1', port))

header_dic = {
    'filename': filename,
    'md5': 'xxdxxx',
    'filesize': os.path.getsize(filename),
}
header_json = json.dumps(header_dic)
header_bytes = header_json.encode('utf-8')

phone.send(struct.pack('i', len(header_bytes)))
phone.send(header_bytes)

send_size, piece = 0, 1
with open(filename, 'rb') as f:
    while True:
        data = f.read(piece)
        if not data:
            break
        phone.send(data)
        send_size += len(data)
        piece = piece * 10 if piece < 10000 else 1
print('sent %s %d' % (filename, send_size))
phone.close()
