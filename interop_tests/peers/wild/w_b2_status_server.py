# -*- coding: utf-8 -*-
"""W B2, upload server: {"status": 200} before the body, {"status": 201} after it, {"status": 403} for a
file that is already there.

Usage: w_b2_status_server.py PORT      0 picks a free one; stores in its working directory

Quirks kept: keys `action`, `file_name`, `file_size`; un-looped reads of prefix and header; recv(1024) past
the end of the body; a refused sender that sends its body all the same brings it out of step.
"""
import json
import os
import socket
import struct
import sys


def send_msg(conn, dic):
    data = json.dumps(dic).encode('utf-8')
    conn.send(struct.pack('i', len(data)))
    conn.send(data)


def upload(conn, head):
    name, total = head['file_name'], head['file_size']
    if os.path.exists(name):
        send_msg(conn, {'status': 403, 'msg': 'the file exists'})
        return
    send_msg(conn, {'status': 200, 'msg': 'go on'})
    recv_size = 0
    with open(name, 'wb') as f:
        while recv_size < total:
            data = conn.recv(1024)
            f.write(data)
            recv_size += len(data)
    send_msg(conn, {'status': 201, 'file_name': name})


server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.bind(('127.0.0.1', int(sys.argv[1])))
server.listen(5)
while True:
    conn, addr = server.accept()
    while True:
        four = conn.recv(4)
        if not four:
            break
        head = json.loads(conn.recv(struct.unpack('i', four)[0]).decode('utf-8'))
        if head['action'] == 'upload':
            upload(conn, head)
    conn.close()
