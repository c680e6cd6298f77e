# -*- coding: utf-8 -*-
"""W B4, download client: the header holds the real md5 of the file, and it is checked.

Usage: w_b4_md5_client.py PORT NAME

Quirks kept: framed request {"opt": "download", "file_name": NAME}; keys `file_name`, `file_size`, `file_md5`;
the checksum is taken of the file on disk, after it was written; the file of a wrong checksum is removed.
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


conn = socket.socket()
conn.connect(('127.0.0.1', int(sys.argv[1])))
req = json.dumps({'opt': 'download', 'file_name': sys.argv[2]}).encode('utf-8')
conn.send(struct.pack('i', len(req)))
conn.send(req)

head = conn.recv(struct.unpack('i', conn.recv(4))[0])
head = json.loads(head.decode('utf-8'))
with open(head['file_name'], 'wb') as f:
    while f.tell() < head['file_size']:
        f.write(conn.recv(1024))
conn.close()

if get_md5(head['file_name']) == head['file_md5']:
    print('%s is complete: %s' % (head['file_name'], head['file_md5']))
else:
    os.remove(head['file_name'])
    sys.exit('%s is damaged' % head['file_name'])
