# -*- coding: utf-8 -*-
"""W A4b, framed requests in two steps: the action first, a put's header in a frame of its own.

Usage: w_a4b_action_server.py PORT      0 picks a free one; its files are those of its working directory

Quirks kept: a put without a second frame hangs it; keys `action`, `file_name`, `file_size`; a table of
functions; no answer to a put; it serves one client at a time and dies of a missing file.
"""
import json
import os
import socket
import struct
import sys


def send_json(sock, obj):
    data = json.dumps(obj).encode('utf-8')
    sock.sendall(struct.pack('i', len(data)) + data)


def recv_json(sock):
    head = sock.recv(4)
    if not head:
        return None
    return json.loads(sock.recv(struct.unpack('i', head)[0]).decode('utf-8'))


def put(sock, request):
    info = recv_json(sock)
    content = b''
    while len(content) < info['file_size']:
        content += sock.recv(min(1024, info['file_size'] - len(content)))
    with open(info['file_name'], 'wb') as f:
        f.write(content)


def get(sock, request):
    name = request['file_name']
    send_json(sock, {'file_name': name, 'file_size': os.path.getsize(name)})
    with open(name, 'rb') as f:
        sock.sendall(f.read())


func_dic = {'put': put, 'get': get}
server = socket.socket()
server.bind(('127.0.0.1', int(sys.argv[1])))
server.listen(5)
while True:
    conn, _ = server.accept()
    request = recv_json(conn)
    while request:
        func_dic[request['action']](conn, request)
        request = recv_json(conn)
    conn.close()
