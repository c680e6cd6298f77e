# -*- coding: utf-8 -*-
"""W E4, record receiver, big-endian: stores the `data_len` bytes of each `record` and acknowledges them.

Usage: w_e4_record_server.py PORT      0 picks a free one; stores into its working directory

Quirks kept: '>I' through one struct.Struct; recv(..., MSG_WAITALL) reads a part of a record; the payload is
in memory before it is stored; a record of 0 bytes is stored too.
"""
import json
import os
import socket
import struct
import sys

PREFIX = struct.Struct('>I')


def recv_all(conn, n):
    return conn.recv(n, socket.MSG_WAITALL) if n else b''


def records(conn):
    while True:
        prefix = recv_all(conn, PREFIX.size)
        if len(prefix) < PREFIX.size:
            return
        meta = json.loads(recv_all(conn, PREFIX.unpack(prefix)[0]).decode('utf-8'))
        yield meta, recv_all(conn, meta['data_len'])


s = socket.socket()
s.bind(('127.0.0.1', int(sys.argv[1])))
s.listen(5)
while True:
    conn, peer = s.accept()
    for meta, payload in records(conn):
        with open(os.path.basename(meta['record']), 'wb') as f:
            f.write(payload)
        ack = json.dumps({'ack': meta['record'], 'data_len': len(payload)}).encode('utf-8')
        conn.sendall(PREFIX.pack(len(ack)) + ack)
    conn.close()
