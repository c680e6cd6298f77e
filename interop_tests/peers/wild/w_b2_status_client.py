# -*- coding: utf-8 -*-
"""W B2, upload client: waits for a framed go-ahead before the body and for a framed result after it.

Usage: w_b2_status_client.py PORT FILE

Quirks kept: {"status": 200} lets it send, {"status": 201} is success, anything else is printed and the end;
keys `action`, `file_name`, `file_size`; each part of a frame is read once; it hangs when either answer
does not come.
"""
import json
import os
import socket
import struct
import sys


def send_msg(sock, dic):
    data = json.dumps(dic).encode('utf-8')
    sock.send(struct.pack('i', len(data)))
    sock.send(data)


def recv_msg(sock):
    length = struct.unpack('i', sock.recv(4))[0]
    return json.loads(sock.recv(length).decode('utf-8'))


path = sys.argv[2]
sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
sock.connect(('127.0.0.1', int(sys.argv[1])))
send_msg(sock, {'action': 'upload', 'file_name': path, 'file_size': os.path.getsize(path)})
ready = recv_msg(sock)
print(ready)
if ready['status'] != 200:
    sys.exit(1)
with open(path, 'rb') as f:
    for line in f:
        sock.send(line)
result = recv_msg(sock)
print(result)
sock.close()
sys.exit(0 if result['status'] == 201 and result['file_name'] == path else 1)
