# -*- coding: utf-8 -*-
"""W B1c, upload server: takes {"type": "upload", ...} and answers with a Chinese sentence.

Usage: w_b1c_sentence_server.py PORT      0 picks a free one; stores in its working directory

Quirks kept: keys `type`, `filename`, `data_size`; a type that it does not know is answered with another
sentence; raw UTF-8 text without a length; recv(1024) past the end of the body.
"""
import json
import socket
import struct
import sys

server = socket.socket()
server.bind(('127.0.0.1', int(sys.argv[1])))
server.listen(5)

while True:
    conn, addr = server.accept()
    print('connected:', addr)
    while True:
        head = conn.recv(4)
        if not head:
            break
        msg = json.loads(conn.recv(struct.unpack('i', head)[0]).decode('utf-8'))
        if msg['type'] != 'upload':
            conn.send('未知操作'.encode('utf-8'))
            continue
        size = 0
        with open(msg['filename'], 'wb') as f:
            while size < msg['data_size']:
                chunk = conn.recv(1024)
                f.write(chunk)
                size += len(chunk)
        conn.send('上传成功'.encode('utf-8'))
    conn.close()
