# -*- coding: utf-8 -*-
"""W D2, server with a login: a bare JSON dict is answered `ok` or `no`, then one raw `get` or `put`.

Usage: w_d2_json_server.py PORT      0 picks a free one; its files are those of its working directory

Quirks kept: one recv(1024) is the login; a wrong one ends the connection; what is behind a put's line
goes on in the same buffer, read through makefile(); no answer to a put; names without blanks.
"""
import io
import json
import os
import socket
import struct
import sys

users = [{'user': 'student', 'pwd': '123456'}, {'user': 'teacher', 'pwd': 'pass word'}]

server = socket.socket()
server.bind(('127.0.0.1', int(sys.argv[1])))
server.listen()


def serve(conn):
    if json.loads(conn.recv(1024).decode('utf-8')) not in users:
        conn.send(b'no')
        return
    conn.send(b'ok')
    first = conn.recv(1024)
    if first.startswith(b'get '):
        name = first[4:].decode('utf-8').strip()
        head = json.dumps({'file_name': name, 'file_size': os.path.getsize(name)}).encode('utf-8')
        conn.send(struct.pack('i', len(head)))
        conn.send(head)
        with open(name, 'rb') as f:
            conn.sendall(f.read())
    elif first.startswith(b'put '):
        while b'\0\0{' not in first:  # the frame: its length ends with two zeros
            first += conn.recv(1024)
        at = first.index(b'\0\0{') - 2
        rest = io.BytesIO(first[at:] + conn.makefile('rb').read())
        n = struct.unpack('i', rest.read(4))[0]
        head = json.loads(rest.read(n).decode('utf-8'))
        with open(head['file_name'], 'wb') as f:
            f.write(rest.read(head['file_size']))


while True:
    conn, addr = server.accept()
    serve(conn)
    conn.close()
