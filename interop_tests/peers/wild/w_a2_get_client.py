# -*- coding: utf-8 -*-
"""W A2, download client: asks with a bare line of text, `get NAME`, and stores what comes.

Usage: w_a2_get_client.py PORT NAME

Quirks kept: the request has no length in front and no line end; recv(4) and recv(header_size) are not
repeated; keys `filename` and `file_size`; recv(1024) past the end of the body would go unnoticed; b'' in
the middle spins; the file is written wherever the header says.
"""
import json
import socket
import struct
import sys

phone = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
phone.connect(('127.0.0.1', int(sys.argv[1])))

cmd = 'get %s' % sys.argv[2]
phone.send(cmd.encode('utf-8'))

obj = phone.recv(4)
header_size = struct.unpack('i', obj)[0]
header_bytes = phone.recv(header_size)
header_dic = json.loads(header_bytes.decode('utf-8'))
print(header_dic)

total_size = header_dic['file_size']
filename = header_dic['filename']
with open(filename, 'wb') as f:
    recv_size = 0
    while recv_size < total_size:
        line = phone.recv(1024)
        f.write(line)
        recv_size += len(line)
print('total: %s  received: %s' % (total_size, recv_size))
phone.close()
sys.exit(0 if recv_size == total_size and filename == sys.argv[2] else 1)
