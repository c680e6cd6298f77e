# -*- coding: utf-8 -*-
"""W C1, upload client: network byte order, struct.pack('!I', n); nothing comes back.

Usage: w_c1_upload_client.py PORT FILE

Quirks kept: keys `fileName` and `fileSize`; prefix, header and blocks of 2048 bytes each in a send(); the
name is what was typed.
"""
import json
import os
import socket
import struct
import sys

BUFFER = 2048

fileName = sys.argv[2]
fileSize = os.path.getsize(fileName)
tcpCliSock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
tcpCliSock.connect(('127.0.0.1', int(sys.argv[1])))

header = {'fileName': fileName, 'fileSize': fileSize}
headerBytes = json.dumps(header).encode('utf-8')
tcpCliSock.send(struct.pack('!I', len(headerBytes)))
tcpCliSock.send(headerBytes)

sent = 0
with open(fileName, 'rb') as f:
    while sent < fileSize:
        block = f.read(BUFFER)
        sent += tcpCliSock.send(block)
print('%s: %d/%d' % (fileName, sent, fileSize))
tcpCliSock.close()
