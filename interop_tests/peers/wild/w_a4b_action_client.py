# -*- coding: utf-8 -*-
"""W A4b, framed requests in two steps: {"action": "put"} alone, then the file's header in a second frame.

Usage: w_a4b_action_client.py PORT put FILE
       w_a4b_action_client.py PORT get NAME [SAVE_AS]

Quirks kept: the first frame of a put has neither a name nor a size; keys `file_name` and `file_size`; no
answer to a put; one blocking read for each part of a head; the body's size is trusted.
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
    size = struct.unpack('i', sock.recv(4))[0]
    return json.loads(sock.recv(size).decode('utf-8'))


sock = socket.socket()
sock.connect(('127.0.0.1', int(sys.argv[1])))
action, name = sys.argv[2:4]
if action == 'put':
    send_json(sock, {'action': 'put'})
    send_json(sock, {'file_name': os.path.basename(name), 'file_size': os.path.getsize(name)})
    with open(name, 'rb') as f:
        sock.sendall(f.read())
    print('%s is gone' % name)
elif action == 'get':
    send_json(sock, {'action': 'get', 'file_name': name})
    info = recv_json(sock)
    content = b''
    while len(content) < info['file_size']:
        content += sock.recv(1024)
    with open(sys.argv[-1], 'wb') as f:
        f.write(content)
    print('%s: %d of %d bytes' % (info['file_name'], len(content), info['file_size']))
sock.close()
