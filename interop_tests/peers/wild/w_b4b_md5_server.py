# -*- coding: utf-8 -*-
"""W B4b, upload server: compares the md5 in the header with the bytes that came.

Usage: w_b4b_md5_server.py PORT      0 picks a free one; stores in its working directory

Quirks kept: keys `filename`, `filesize`, `md5value`; the file is written only when the checksum fits;
{"success": true} or {"success": false} as a frame; the whole file in memory; one file for each connection.
"""
import hashlib
import json
import os
import socket
import struct
import sys

with socket.socket() as s:
    s.bind(('127.0.0.1', int(sys.argv[1])))
    s.listen()
    while True:
        conn, addr = s.accept()
        with conn:
            prefix = conn.recv(4)
            if not prefix:
                continue
            info = json.loads(conn.recv(struct.unpack('i', prefix)[0]).decode())
            content = bytearray()
            while len(content) < info['filesize']:
                content += conn.recv(65536)
            good = hashlib.md5(content).hexdigest() == info['md5value'].lower()
            if good:
                with open(os.path.basename(info['filename']), 'wb') as f:
                    f.write(content)
            print(info['filename'], 'complete' if good else 'damaged')
            answer = json.dumps({'success': good}).encode()
            conn.sendall(struct.pack('i', len(answer)) + answer)
