# -*- coding: utf-8 -*-
"""W A1b, upload client: every FILE over a connection of its own, read into memory whole.

Usage: w_a1b_upload_client.py PORT FILE...

Quirks kept: keys `name` and `size`, with keys beside them that nobody needs; the length is taken of the
JSON string, not of its bytes (the same number, as long as json.dumps escapes); prefix and header glued
with +, body in one send; the name is cut at the last slash with split; no answer is read.
"""
import json
import os
import socket
import struct
import sys
import time


def send_file(address, path):
    info = {
        'name': path.split('/')[-1],
        'size': os.stat(path).st_size,
        'isfile': True,
        'time': time.strftime('%Y-%m-%d'),
        'filepath': os.path.abspath(path),
    }
    head = json.dumps(info)
    sk = socket.socket()
    sk.connect(address)
    with open(path, 'rb') as f:
        content = f.read()
    sk.send(struct.pack('i', len(head)) + head.encode('utf-8'))
    sk.send(content)
    sk.close()
    print('%s: %d bytes on their way' % (info['name'], len(content)))


if __name__ == '__main__':
    for argument in sys.argv[2:]:
        send_file(('127.0.0.1', int(sys.argv[1])), argument)
