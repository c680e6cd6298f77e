# -*- coding: utf-8 -*-
"""W A1, upload server: stores what it is sent, in its working directory, and says nothing.

Usage: w_a1_upload_server.py PORT      0 picks a free one

Quirks kept: recv(4) and recv(header_size) are not repeated; it dies with a KeyError when the header has no
`md5`, which it prints and never checks; the last recv(1024) of a file swallows what follows it; it spins
on b'' when the sender dies in the middle; no SO_REUSEADDR.
"""
import json
import socket
import struct
import sys

phone = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
phone.bind(('127.0.0.1', int(sys.argv[1])))
phone.listen(5)

while True:
    conn, client_addr = phone.accept()
    while True:
        obj = conn.recv(4)
        if not obj:
            break
        header_size = struct.unpack('i', obj)[0]
        header_dic = json.loads(conn.recv(header_size).decode('utf-8'))
        print(header_dic['md5'])
        total_size = header_dic['filesize']
        with open(header_dic['filename'], 'wb') as f:
            recv_size = 0
            while recv_size < total_size:
                res = conn.recv(1024)
                f.write(res)
                recv_size += len(res)
    conn.close()
