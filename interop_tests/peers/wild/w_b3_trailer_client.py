# -*- coding: utf-8 -*-
"""W B3, download client: behind the body come 32 characters, its md5 in hexadecimal, outside any frame.

Usage: w_b3_trailer_client.py PORT NAME

Ends with 0 if the checksum is right.
Quirks kept: raw `get NAME`; keys `filename` and `file_size`; the body is cut at its size, or the checksum
would be in the file; recv(32) once; the file stays when the checksum is wrong.
"""
import hashlib
import json
import socket
import struct
import sys

phone = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
phone.connect(('127.0.0.1', int(sys.argv[1])))
phone.send(('get %s' % sys.argv[2]).encode('utf-8'))

head_size = struct.unpack('i', phone.recv(4))[0]
head_dic = json.loads(phone.recv(head_size).decode('utf-8'))
m = hashlib.md5()
total_size, recv_size = head_dic['file_size'], 0
with open(head_dic['filename'], 'wb') as f:
    while recv_size < total_size:
        if total_size - recv_size > 1024:
            res = phone.recv(1024)
        else:
            res = phone.recv(total_size - recv_size)
        f.write(res)
        m.update(res)
        recv_size += len(res)
server_md5 = phone.recv(32).decode('utf-8')
phone.close()
print(server_md5)
if m.hexdigest() != server_md5:
    sys.exit('wrong checksum, here it is ' + m.hexdigest())
print('checksum is right')
