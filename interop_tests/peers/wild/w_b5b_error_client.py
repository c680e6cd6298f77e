# -*- coding: utf-8 -*-
"""W B5b, download client: raw `get NAME`; a header with the key `error` says why there is no file.

Usage: w_b5b_error_client.py PORT MISSING NAME

Ends with 0 if MISSING gives an error and NAME a file.
Quirks kept: `if 'error' in header` is the only test; keys `fileName` and `size`; a connection for each
request; the received file is called `copy_of_NAME`.
"""
import json
import socket
import struct
import sys


def fetch(port, name):
    with socket.socket() as s:
        s.connect(('127.0.0.1', port))
        s.sendall('get {}'.format(name).encode())
        header = json.loads(s.recv(struct.unpack('i', s.recv(4))[0]).decode())
        if 'error' in header:
            return header['error']
        data = b''
        while len(data) < header['size']:
            data += s.recv(header['size'] - len(data))
    with open('copy_of_' + header['fileName'], 'wb') as f:
        f.write(data)
    return data


first, second = [fetch(int(sys.argv[1]), name) for name in sys.argv[2:4]]
print('first: %r' % first)
print('second: %d bytes' % len(second))
sys.exit(0 if isinstance(first, str) and isinstance(second, bytes) else 1)
