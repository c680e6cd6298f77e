# -*- coding: utf-8 -*-
"""W C1b, upload client: the length as to_bytes(4, 'big'), compact JSON, files over one connection.

Usage: w_c1b_upload_client.py PORT FILE...

Quirks kept: separators=(',', ':') and sorted keys; keys `name` and `size` beside `kind`, which nobody reads;
it half-closes and waits until the server has closed, which is how it knows that all was read.
"""
import json
import os
import socket
import sys


def pack(head):
    data = json.dumps(head, separators=(',', ':'), sort_keys=True).encode('utf-8')
    return len(data).to_bytes(4, 'big') + data


with socket.create_connection(('127.0.0.1', int(sys.argv[1]))) as sock:
    for path in sys.argv[2:]:
        head = {'kind': 'file', 'name': os.path.basename(path), 'size': os.path.getsize(path)}
        sock.sendall(pack(head))
        with open(path, 'rb') as f:
            sock.sendfile(f)
        print('%(name)s %(size)d' % head)
    sock.shutdown(socket.SHUT_WR)
    rest = sock.recv(1024)
print('the server said', rest)
sys.exit(0 if rest == b'' else 1)
