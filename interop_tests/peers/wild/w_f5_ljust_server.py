# -*- coding: utf-8 -*-
"""W F5, upload server whose lengths are ten characters: str(n).ljust(10); checks the md5 and says what it is.

Usage: w_f5_ljust_server.py PORT      0 picks a free one; stores into its working directory

Quirks kept: keys `fileName`, `fileSize`, `fmd5`; a file whose md5 differs is removed again and answered
{"result": "bad"}; recv(1024) may read past the body, which nobody minds with one file for each connection.
"""
import hashlib
import json
import os
import socket
import sys

ss = socket.socket()
ss.bind(('127.0.0.1', int(sys.argv[1])))
ss.listen(5)
while True:
    sock, addr = ss.accept()
    length = sock.recv(10)
    if not length:
        sock.close()
        continue
    header = json.loads(sock.recv(int(length)).decode())
    m, size = hashlib.md5(), 0
    with open(header['fileName'], 'wb') as f:
        while size < header['fileSize']:
            data = sock.recv(1024)
            if not data:
                break
            f.write(data)
            m.update(data)
            size += len(data)
    result = {'result': 'ok', 'fmd5': m.hexdigest()}
    if m.hexdigest() != header['fmd5']:
        os.remove(header['fileName'])
        result['result'] = 'bad'
    result = json.dumps(result)
    sock.send(str(len(result)).ljust(10).encode())
    sock.send(result.encode())
    sock.close()
