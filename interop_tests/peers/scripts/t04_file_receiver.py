# -*- coding: utf-8 -*-
"""T4, file receiver: stores files under the names it is told, in its working directory.

Usage: t04_file_receiver.py [PORT]      default 8080, 0 picks a free one

Quirks kept: one recv(4) is taken for the whole prefix and one recv(header_len) for the whole header;
native byte order; it reads the key `file_size`, so T3 makes it die with a KeyError; the last recv(1024)
of a file swallows the start of whatever follows it; a sender that dies in the middle leaves it
spinning on b'' for ever; it writes wherever the name points to; it sends nothing back.
"""
import json
import socket
import struct
import sys

server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.bind(('127.0.0.1', int(sys.argv[1]) if len(sys.argv) > 1 else 8080))
server.listen(5)

while True:
    connection, address = server.accept()
    while True:
        prefix = connection.recv(4)
        if not prefix:
            break
        header_len = struct.unpack('i', prefix)[0]
        header = json.loads(connection.recv(header_len).decode('utf-8'))
        file_name = header['file_name']
        file_size = header['file_size']
        received = 0
        with open(file_name, 'wb') as f:
            while received < file_size:
                data = connection.recv(1024)
                f.write(data)
                received += len(data)
    connection.close()
