# -*- coding: utf-8 -*-
"""W C2b, framed get, big-endian; the body waits until the client has said `ready`.

Usage: w_c2b_ready_server.py PORT      0 picks a free one; serves its working directory

Quirks kept: anything that comes after the header counts as `ready`, a client that says nothing hangs it;
'!I' for the length; keys `type`, `filename`, `file_size`; one file for each connection.
"""
import json
import os
import socket
import struct
import sys

server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.bind(('127.0.0.1', int(sys.argv[1])))
server.listen(5)

while True:
    conn, addr = server.accept()
    length = conn.recv(4)
    if length:
        request = json.loads(conn.recv(struct.unpack('!I', length)[0]).decode('utf-8'))
        filename = request['filename']
        if request['type'] == 'get' and os.path.isfile(filename):
            header = {'filename': filename, 'file_size': os.path.getsize(filename)}
            header = json.dumps(header).encode('utf-8')
            conn.send(struct.pack('!I', len(header)))
            conn.send(header)
            print(conn.recv(1024))
            with open(filename, 'rb') as f:
                for line in f:
                    conn.send(line)
    conn.close()
