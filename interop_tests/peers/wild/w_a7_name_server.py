# -*- coding: utf-8 -*-
"""W A7, download server: whatever it is sent is the name of a file.

Usage: w_a7_name_server.py PORT      0 picks a free one; serves its working directory

Quirks kept: recv(1024) is the name; one file for each connection; a name that is not there closes the
connection without a word; keys `file_name` and `file_size`; f.read(1024) and send.
"""
import json
import os
import socket
import struct
import sys

tcp = socket.socket()
tcp.bind(('127.0.0.1', int(sys.argv[1])))
tcp.listen(128)
while True:
    new_tcp, ip_port = tcp.accept()
    name = new_tcp.recv(1024).decode('utf-8')
    if not os.path.isfile(name):
        print('no file %r' % name)
        new_tcp.close()
        continue
    header = json.dumps({'file_name': name, 'file_size': os.path.getsize(name)}).encode('utf-8')
    new_tcp.send(struct.pack('i', len(header)))
    new_tcp.send(header)
    with open(name, 'rb') as f:
        while True:
            data = f.read(1024)
            if not data:
                break
            new_tcp.send(data)
    new_tcp.close()
