# -*- coding: utf-8 -*-
"""W C1, upload server: network byte order, struct.unpack('!I', ...); it answers nothing.

Usage: w_c1_upload_server.py PORT      0 picks a free one; stores in its working directory

Quirks kept: keys `fileName` and `fileSize`; a little-endian peer's 70 is read as 1174405120, and the one
recv() of that length takes header and body together; recv(2048) past the end of a body.
"""
import json
import socket
import struct
import sys

BUFFER = 2048

tcpSerSock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
tcpSerSock.bind(('127.0.0.1', int(sys.argv[1])))
tcpSerSock.listen(5)

while True:
    tcpCliSock, addr = tcpSerSock.accept()
    print('...connected from:', addr)
    while True:
        lengthBytes = tcpCliSock.recv(4)
        if not lengthBytes:
            break
        length = struct.unpack('!I', lengthBytes)[0]
        header = json.loads(tcpCliSock.recv(length).decode('utf-8'))
        restSize = header['fileSize']
        with open(header['fileName'], 'wb') as f:
            while restSize > 0:
                block = tcpCliSock.recv(BUFFER)
                f.write(block)
                restSize -= len(block)
    tcpCliSock.close()
