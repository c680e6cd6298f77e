# -*- coding: utf-8 -*-
"""W E1, chat server: sends every framed dict back to the one it came from, and prints it.

Usage: w_e1_chat_server.py PORT      0 picks a free one

Quirks kept: native byte order; recv(4) and recv(n) once each; the three keys have to be there; the dict
is dumped anew, with whatever other keys it has.
"""
import json
import struct
import sys
from socket import socket

server = socket()
server.bind(('127.0.0.1', int(sys.argv[1])))
server.listen(5)
while True:
    conn, addr = server.accept()
    while True:
        try:
            msg_len = conn.recv(4)
            if not msg_len:
                break
            msg_len = struct.unpack('i', msg_len)[0]
            message = json.loads(conn.recv(msg_len).decode('utf-8'))
            print('[%s] %s: %s' % (message['time'], message['from'], message['msg'].encode('unicode_escape').decode()))
            back = json.dumps(message).encode('utf-8')
            conn.send(struct.pack('i', len(back)))
            conn.send(back)
        except ConnectionResetError:
            break
    conn.close()
