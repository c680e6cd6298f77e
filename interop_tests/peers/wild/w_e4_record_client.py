# -*- coding: utf-8 -*-
"""W E4, record sender, big-endian: a dict with `record` and `data_len`, that many bytes, and a framed ack.

Usage: w_e4_record_client.py PORT FILE...

Quirks kept: '>I'; keys `record`, `data_len`, `version`; the payload is read whole before anything leaves;
one connection for everything; recv(4) and recv(n) once each for an ack.
"""
import json
import os
import socket
import struct
import sys

VERSION = 1


def send_record(sock, path):
    payload = open(path, 'rb').read()
    meta = json.dumps({'version': VERSION, 'record': os.path.basename(path), 'data_len': len(payload)})
    meta = meta.encode('utf-8')
    sock.sendall(struct.pack('>I', len(meta)))
    sock.sendall(meta)
    sock.sendall(payload)
    n = struct.unpack('>I', sock.recv(4))[0]
    return json.loads(sock.recv(n).decode('utf-8'))


sock = socket.socket()
sock.connect(('127.0.0.1', int(sys.argv[1])))
for path in sys.argv[2:]:
    ack = send_record(sock, path)
    if ack.get('ack') != os.path.basename(path) or ack.get('data_len') != os.path.getsize(path):
        sys.exit('not acknowledged: %r' % ack)
    print('acknowledged: %s, %d bytes' % (path, ack['data_len']))
sock.close()
