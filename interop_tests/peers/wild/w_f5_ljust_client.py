# -*- coding: utf-8 -*-
"""W F5, upload client whose lengths are ten characters: '%-10d' % n, then the header, the body, and an answer.

Usage: w_f5_ljust_client.py PORT FILE...

Quirks kept: keys `fileName`, `fileSize`, `fmd5`; the answer must repeat the md5 and has ten characters in
front too; a connection for each file.
"""
import hashlib
import json
import os
import socket
import sys

failed = 0
for path in sys.argv[2:]:
    with open(path, 'rb') as f:
        content = f.read()
    fmd5 = hashlib.md5(content).hexdigest()
    header = json.dumps({'fileName': os.path.basename(path), 'fileSize': len(content), 'fmd5': fmd5})
    sock = socket.socket()
    sock.connect(('127.0.0.1', int(sys.argv[1])))
    sock.send(('%-10d' % len(header)).encode())
    sock.send(header.encode())
    sock.sendall(content)

    length = int(sock.recv(10).decode().strip())
    result = json.loads(sock.recv(length).decode())
    good = result['result'] == 'ok' and result['fmd5'] == fmd5
    print('%s: %s' % (path, 'md5 confirmed' if good else result))
    failed += not good
    sock.close()
sys.exit(1 if failed else 0)
