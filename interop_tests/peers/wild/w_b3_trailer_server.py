# -*- coding: utf-8 -*-
"""W B3, download server: the md5 of the file as 32 hexadecimal characters right behind it.

Usage: w_b3_trailer_server.py PORT      0 picks a free one; serves its working directory

Quirks kept: raw `get NAME`, one recv(1024) for it; keys `filename` and `file_size`; the checksum has neither
a key nor a length; the file is read in lines; a missing file is the end of the program.
"""
import hashlib
import json
import os
import socket
import struct
import sys

phone = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
phone.bind(('127.0.0.1', int(sys.argv[1])))
phone.listen(5)

while True:
    conn, addr = phone.accept()
    while True:
        cmd = conn.recv(1024)
        if not cmd:
            break
        filename = cmd.decode('utf-8').split()[1]
        head_dic = {'filename': filename, 'file_size': os.path.getsize(filename)}
        head_bytes = json.dumps(head_dic).encode('utf-8')
        conn.send(struct.pack('i', len(head_bytes)))
        conn.send(head_bytes)
        m = hashlib.md5()
        with open(filename, 'rb') as f:
            for line in f:
                m.update(line)
                conn.send(line)
        conn.send(m.hexdigest().encode('utf-8'))
    conn.close()
