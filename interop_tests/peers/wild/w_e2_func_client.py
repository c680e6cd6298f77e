# -*- coding: utf-8 -*-
"""W E2, record client: {"func": NAME, "args": [...]} in a frame; one dict in a frame says that it was taken.

Usage: w_e2_func_client.py PORT FUNC ARG...      ARG is JSON, or else a string

The same record goes three times over one connection. Quirks kept: ensure_ascii=False, so that the header
is raw UTF-8; the length of the bytes, not of the string; a read loop for what comes back.
"""
import json
import socket
import struct
import sys


def value(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def read(sock, n):
    data = b''
    while len(data) < n:
        more = sock.recv(n - len(data))
        if not more:
            raise EOFError('%d of %d bytes' % (len(data), n))
        data += more
    return data


s = socket.socket()
s.connect(('127.0.0.1', int(sys.argv[1])))
record = {'func': sys.argv[2], 'args': [value(a) for a in sys.argv[3:]], 'kwargs': {}}
packed = json.dumps(record, ensure_ascii=False).encode('utf-8')
answers = []
for i in range(3):
    s.sendall(struct.pack('i', len(packed)) + packed)
    n, = struct.unpack('i', read(s, 4))
    answers.append(json.loads(read(s, n).decode('utf-8')))
    print('%d: %s' % (i, json.dumps(answers[-1], sort_keys=True)))
s.close()
sys.exit(0 if answers == [{'code': 0, 'data': 'accepted'}] * 3 else 1)
