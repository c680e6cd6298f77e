# -*- coding: utf-8 -*-
"""W B4, download server: header with the real md5 of the file, read once for it and once more to be sent.

Usage: w_b4_md5_server.py PORT      0 picks a free one; serves its working directory

Quirks kept: framed request {"opt": "download", "file_name": NAME}; keys `file_name`, `file_size`, `file_md5`;
the checksum stands between name and size; one request for each connection.
"""
import hashlib
import json
import os
import socket
import struct
import sys


def get_md5(path):
    obj = hashlib.md5()
    with open(path, 'rb') as f:
        for line in f:
            obj.update(line)
    return obj.hexdigest()


server = socket.socket()
server.bind(('127.0.0.1', int(sys.argv[1])))
server.listen(5)
while True:
    conn, addr = server.accept()
    size = conn.recv(4)
    if size:
        req = json.loads(conn.recv(struct.unpack('i', size)[0]).decode('utf-8'))
        name = req['file_name']
        if req['opt'] == 'download' and os.path.isfile(name):
            head = {'file_name': name, 'file_md5': get_md5(name), 'file_size': os.path.getsize(name)}
            head = json.dumps(head).encode('utf-8')
            conn.send(struct.pack('i', len(head)))
            conn.send(head)
            with open(name, 'rb') as f:
                for line in f:
                    conn.send(line)
    conn.close()
