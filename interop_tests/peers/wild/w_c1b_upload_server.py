# -*- coding: utf-8 -*-
"""W C1b, upload server: a careful one, big-endian lengths, every read repeated until it is whole.

Usage: w_c1b_upload_server.py PORT      0 picks a free one; stores in its working directory

Quirks kept: keys `name` and `size`; a header above 4096 bytes ends the connection, which is what becomes of
little-endian peers; a part that never ends is kept under its name; no answer.
"""
import json
import os
import socket
import sys
import threading


def recv_exact(sock, n):
    data = b''
    while len(data) < n:
        chunk = sock.recv(n - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data


def client_thread(sock):
    try:
        while True:
            n = int.from_bytes(recv_exact(sock, 4), 'big')
            if n > 4096:
                raise EOFError
            head = json.loads(recv_exact(sock, n).decode('utf-8'))
            left = head['size']
            with open(os.path.basename(head['name']), 'wb') as f:
                while left:
                    chunk = recv_exact(sock, min(left, 65536))
                    f.write(chunk)
                    left -= len(chunk)
    except EOFError:
        sock.close()


server = socket.socket()
server.bind(('127.0.0.1', int(sys.argv[1])))
server.listen()
while True:
    client, _ = server.accept()
    threading.Thread(target=client_thread, args=(client,), daemon=True).start()
