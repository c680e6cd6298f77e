# -*- coding: utf-8 -*-
"""W B1b, upload client: `ok` after each header and `ACK` after each body, files over one connection.

Usage: w_b1b_ack_client.py PORT FILE...

Quirks kept: the answers are there to avoid sticky packets: their text is compared, nothing else is known
about them; keys `fname` and `fsize`; prefix and header in two sends; recv(2) and recv(3), so that an answer
that is longer would be read as the next one.
"""
import json
import os
import socket
import struct
import sys

BLOCK = 4096


def upload(sock, path):
    head = json.dumps({'fname': os.path.split(path)[1], 'fsize': os.path.getsize(path)}).encode()
    sock.send(struct.pack('i', len(head)))
    sock.send(head)
    if sock.recv(2) != b'ok':
        return False
    f = open(path, 'rb')
    block = f.read(BLOCK)
    while block:
        sock.send(block)
        block = f.read(BLOCK)
    f.close()
    return sock.recv(3) == b'ACK'


sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
sock.connect(('127.0.0.1', int(sys.argv[1])))
results = []
for path in sys.argv[2:]:
    results.append(upload(sock, path))
    print(path, 'acknowledged' if results[-1] else 'NOT acknowledged')
sock.close()
if not all(results):
    sys.exit(1)
