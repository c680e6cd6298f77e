# -*- coding: utf-8 -*-
"""W A2, download server: `get NAME` as raw text is answered with prefix, header and the file.

Usage: w_a2_get_server.py PORT      0 picks a free one; serves its working directory

Quirks kept: recv(8096), the lesson's typo of 8192; one recv is taken for one command; the line is split on
blanks, so that a name with a blank cannot be asked for; a missing file kills the server; the header holds
a constant `md5`; prefix, header and every line of the file leave in a send() of their own.
"""
import json
import os
import socket
import struct
import sys

phone = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
phone.bind(('127.0.0.1', int(sys.argv[1])))
phone.listen(5)

while True:
    conn, client_addr = phone.accept()
    while True:
        try:
            res = conn.recv(8096)
            if not res:
                break
            cmds = res.decode('utf-8').split()  # ['get', 'a.txt']
            filename = cmds[1]
            header_dic = {
                'filename': filename,
                'md5': 'xxdxxx',
                'file_size': os.path.getsize(filename),
            }
            header_bytes = json.dumps(header_dic).encode('utf-8')
            conn.send(struct.pack('i', len(header_bytes)))
            conn.send(header_bytes)
            with open(filename, 'rb') as f:
                for line in f:
                    conn.send(line)
        except ConnectionResetError:
            break
    conn.close()
