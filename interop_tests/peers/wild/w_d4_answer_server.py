# -*- coding: utf-8 -*-
"""W D4, upload server with a login: answers behind the body, and keeps nothing from a peer it does not know.

Usage: w_d4_answer_server.py PORT      0 picks a free one; stores into its working directory

Quirks kept: keys `type`, `fname`, `fsize`, `state`; a body is read even if it is thrown away, all of it
into memory; recv(4) and recv(size) once each for a head; a thread for each client.
"""
import json
import os
import socket
import struct
import sys
import threading

DB = {'student': 'letmein'}


def answer(conn, **dic):
    data = json.dumps(dic).encode()
    conn.send(struct.pack('i', len(data)))
    conn.send(data)


def talk(conn):
    known = False
    while True:
        prefix = conn.recv(4)
        if not prefix:
            break
        head = json.loads(conn.recv(struct.unpack('i', prefix)[0]).decode())
        if head['type'] == 'auth':
            known = DB.get(head['user']) == head['password']
            answer(conn, state=1 if known else 0)
        elif head['type'] == 'upload':
            body = b''
            while len(body) < head['fsize']:
                body += conn.recv(min(8192, head['fsize'] - len(body)))
            if not known:
                answer(conn, state=0)
                continue
            with open(os.path.basename(head['fname']), 'wb') as f:
                f.write(body)
            answer(conn, state=1, fname=head['fname'], fsize=len(body))
    conn.close()


s = socket.socket()
s.bind(('127.0.0.1', int(sys.argv[1])))
s.listen(10)
while True:
    connection, address = s.accept()
    threading.Thread(target=talk, args=(connection,), daemon=True).start()
