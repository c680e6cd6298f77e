# -*- coding: utf-8 -*-
"""W E4b, payload receiver: appends the `data_len` bytes behind each dict to SENSOR.dat and says `received`.

Usage: w_e4b_payload_server.py PORT      0 picks a free one; writes into its working directory

Quirks kept: native byte order; a dict without `data_len` has no payload; recv(1024) bounded by what is
left; the answer is raw text; an empty read in a payload makes it spin.
"""
import json
import socket
import struct
import sys

s = socket.socket()
s.bind(('127.0.0.1', int(sys.argv[1])))
s.listen(3)
while True:
    conn, addr = s.accept()
    while True:
        obj = conn.recv(4)
        if len(obj) < 4:
            break
        head = json.loads(conn.recv(struct.unpack('i', obj)[0]).decode())
        total, got = head.get('data_len', 0), 0
        with open(head['sensor'] + '.dat', 'ab') as f:
            while got < total:
                part = conn.recv(min(1024, total - got))
                f.write(part)
                got += len(part)
        conn.send(b'received')
    conn.close()
