# -*- coding: utf-8 -*-
"""W A7, download client: the request is the bare name of the file, nothing else.

Usage: w_a7_name_client.py PORT NAME

Quirks kept: no word, no length, no line end around the name, which may hold blanks; keys `file_name` and
`file_size`; the header is read with one recv; received into `NAME.part`, renamed when whole.
"""
import json
import os
import socket
import struct
import sys

name = sys.argv[2]
tcp = socket.socket()
tcp.connect(('127.0.0.1', int(sys.argv[1])))
tcp.send(name.encode('utf-8'))

length = struct.unpack('i', tcp.recv(4))[0]
header = json.loads(tcp.recv(length).decode('utf-8'))
assert header['file_name'] == name, header
rest = header['file_size']
with open(name + '.part', 'wb') as f:
    while rest > 0:
        data = tcp.recv(1024 if rest >= 1024 else rest)
        if not data:
            sys.exit('%d bytes did not come' % rest)
        f.write(data)
        rest -= len(data)
os.rename(name + '.part', name)
print('received <%s>, %d bytes' % (name, header['file_size']))
tcp.close()
