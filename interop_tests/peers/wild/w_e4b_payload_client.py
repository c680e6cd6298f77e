# -*- coding: utf-8 -*-
"""W E4b, payload sender: a dict that names no file, with `data_len` bytes behind it; `received` comes back.

Usage: w_e4b_payload_client.py PORT SENSOR FILE

Quirks kept: native byte order; keys `sensor`, `unit`, `data_len`; two records, the second one with a
payload of 0 bytes; the answer is raw text and taken for whole after one recv.
"""
import json
import socket
import struct
import sys

sensor, path = sys.argv[2:4]
conn = socket.socket()
conn.connect(('127.0.0.1', int(sys.argv[1])))
with open(path, 'rb') as f:
    samples = f.read()
ok = 0
for payload in (samples, b''):
    head = json.dumps({'sensor': sensor, 'unit': u'\u00b0C', 'data_len': len(payload)}).encode()
    conn.send(struct.pack('i', len(head)))
    conn.send(head)
    conn.sendall(payload)
    reply = conn.recv(64)
    print('%d bytes: %s' % (len(payload), reply.decode()))
    ok += reply == b'received'
conn.close()
sys.exit(0 if ok == 2 else 1)
