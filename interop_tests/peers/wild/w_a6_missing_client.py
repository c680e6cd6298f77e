# -*- coding: utf-8 -*-
"""W A6, download client: a header with the size 0 means that there is no such file.

Usage: w_a6_missing_client.py PORT NAME MISSING

Ends with 0 if NAME was received and MISSING is not there.
Quirks kept: raw `get NAME`; an empty file and a missing one cannot be told apart; keys `filename` and
`filesize`; both requests over one connection; recv(4) and recv(n) are not repeated.
"""
import json
import socket
import struct
import sys


def get(sk, name):
    sk.send(b'get ' + name.encode('utf-8'))
    n = struct.unpack('i', sk.recv(4))[0]
    header = json.loads(sk.recv(n).decode('utf-8'))
    if header['filesize'] == 0:
        print('%s: no such file' % header['filename'])
        return False
    recv_size = 0
    with open(header['filename'], 'wb') as f:
        while recv_size < header['filesize']:
            data = sk.recv(1024)
            f.write(data)
            recv_size += len(data)
    print('%s: %d bytes' % (header['filename'], recv_size))
    return True


sk = socket.socket()
sk.connect(('127.0.0.1', int(sys.argv[1])))
there = get(sk, sys.argv[2])
missing = get(sk, sys.argv[3])
sk.close()
sys.exit(0 if there and not missing else 1)
