# -*- coding: utf-8 -*-
"""W A6b, download server: framed {"operate": "download"}; what it cannot read has the size 0.

Usage: w_a6b_missing_server.py PORT      0 picks a free one; serves its working directory

Quirks kept: keys `operate`, `file_name`, `file_size`; try and except OSError around the whole file, read
into memory; the header carries keys that nobody reads; one request for each connection.
"""
import json
import socket
import struct
import sys

server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.bind(('127.0.0.1', int(sys.argv[1])))
server.listen(5)

while True:
    connection, address = server.accept()
    prefix = connection.recv(4)
    if prefix:
        request = json.loads(connection.recv(struct.unpack('i', prefix)[0]).decode('utf-8'))
        if request['operate'] == 'download':
            try:
                with open(request['file_name'], 'rb') as f:
                    content = f.read()
            except OSError as error:
                print(error)
                content = b''
            header = {'file_name': request['file_name'], 'file_size': len(content), 'from': 'server', 'version': 1.0}
            header = json.dumps(header).encode('utf-8')
            connection.send(struct.pack('i', len(header)))
            connection.send(header)
            connection.sendall(content)
    connection.close()
