# -*- coding: utf-8 -*-
"""W B1, upload server: the raw text `200` when the body is complete, `500` when it could not be written.

Usage: w_b1_ok_server.py PORT      0 picks a free one; stores in its working directory

Quirks kept: keys `filename` and `filesize`; recv(4) and recv(header_size) are not repeated; recv(1024) past
the end of the body; the answer has no length and no end mark; only the last part of the name counts.
"""
import json
import os
import socket
import struct
import sys

sk = socket.socket()
sk.bind(('127.0.0.1', int(sys.argv[1])))
sk.listen(5)

while True:
    conn, addr = sk.accept()
    while True:
        obj = conn.recv(4)
        if not obj:
            break
        header_size = struct.unpack('i', obj)[0]
        header_dic = json.loads(conn.recv(header_size).decode('utf-8'))
        recv_size, data_list = 0, []
        while recv_size < header_dic['filesize']:
            data = conn.recv(1024)
            data_list.append(data)
            recv_size += len(data)
        try:
            with open(os.path.basename(header_dic['filename']), 'wb') as f:
                f.writelines(data_list)
            conn.send(b'200')
        except OSError:
            conn.send(b'500')
    conn.close()
