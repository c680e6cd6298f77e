# -*- coding: utf-8 -*-
"""W E1, chat client: framed dicts with `from`, `msg` and `time`, each of which comes back as it was.

Usage: w_e1_chat_client.py PORT NAME MESSAGE...

Quirks kept: native byte order; recv(4) and recv(n) once each; only the three keys are looked at in what
comes back; an empty message is not sent.
"""
import json
import socket
import struct
import sys
import time

name = sys.argv[2]
tcp_socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
tcp_socket.connect(('127.0.0.1', int(sys.argv[1])))
lost = 0
for msg in sys.argv[3:]:
    if not msg:
        continue
    info = {'from': name, 'msg': msg, 'time': time.strftime('%Y-%m-%d %H:%M:%S')}
    info_bytes = json.dumps(info).encode('utf-8')
    tcp_socket.send(struct.pack('i', len(info_bytes)))
    tcp_socket.send(info_bytes)

    back_len = struct.unpack('i', tcp_socket.recv(4))[0]
    back = json.loads(tcp_socket.recv(back_len).decode('utf-8'))
    print('%s> %s' % (back['from'], back['msg']))
    if back != info:
        lost += 1
tcp_socket.close()
print('%d messages lost' % lost)
sys.exit(1 if lost else 0)
