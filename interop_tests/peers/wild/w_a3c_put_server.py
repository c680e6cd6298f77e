# -*- coding: utf-8 -*-
"""W A3c, upload server: one recv(1024) is the command, `upload PATH`; the frame comes after it.

Usage: w_a3c_put_server.py PORT      0 picks a free one; stores in its working directory

Quirks kept: a frame that is glued to the command is lost, and the program dies of the decode error; the
file gets the last part of the path in the command, whatever the header says; only `filesize` is read from
the header; recv(1024) past the end of a body; no answer.
"""
import json
import os
import socket
import struct
import sys

tcp_server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
tcp_server.bind(('127.0.0.1', int(sys.argv[1])))
tcp_server.listen(5)

while True:
    print('waiting for a client')
    conn, addr = tcp_server.accept()
    while True:
        cmd = conn.recv(1024).decode('utf8')
        if not cmd:
            print('client %s is gone' % addr[1])
            break
        action, path = cmd.split(maxsplit=1)
        if action != 'upload':
            continue
        header_len = struct.unpack('i', conn.recv(4))[0]
        file_info = json.loads(conn.recv(header_len).decode('utf8'))
        has_received = 0
        with open(os.path.basename(path), 'wb') as f:
            while has_received < file_info['filesize']:
                data = conn.recv(1024)
                f.write(data)
                has_received += len(data)
    conn.close()
