# -*- coding: utf-8 -*-
"""W A3b, menu client: one raw digit says what to do, and the frame is glued to it.

Usage: w_a3b_menu_client.py PORT 1 FILE       upload
       w_a3b_menu_client.py PORT 2 NAME       download

Quirks kept: `1` and `2` as raw text, one byte, without a name; for a download a frame with the name alone
follows; keys `name` and `size`; no answer to an upload.
"""
import json
import os
import socket
import struct
import sys


def send_dict(sk, dic):
    b = json.dumps(dic).encode('utf-8')
    sk.send(struct.pack('i', len(b)))
    sk.send(b)


port, choice, name = int(sys.argv[1]), sys.argv[2], sys.argv[3]
sk = socket.socket()
sk.connect(('127.0.0.1', port))
sk.send(choice.encode())
if choice == '1':
    send_dict(sk, {'name': name, 'size': os.path.getsize(name)})
    with open(name, 'rb') as f:
        while 1:
            data = f.read(4096)
            if not data:
                break
            sk.send(data)
    print('uploaded', name)
else:
    send_dict(sk, {'name': name})
    num = struct.unpack('i', sk.recv(4))[0]
    dic = json.loads(sk.recv(num).decode('utf-8'))
    left = dic['size']
    with open(dic['name'], 'wb') as f:
        while left > 0:
            data = sk.recv(4096 if left > 4096 else left)
            f.write(data)
            left -= len(data)
    print('downloaded', dic['name'], dic['size'])
sk.close()
