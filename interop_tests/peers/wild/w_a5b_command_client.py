# -*- coding: utf-8 -*-
"""W A5b, remote command client: one command for each connection, ended by a line feed.

Usage: w_a5b_command_client.py PORT COMMAND WORD

Ends with 0 if the reply to COMMAND contains WORD.
Quirks kept: size key `data_size`; everything after the header is read at once if it fits in recv(8192), in
a second loop if it does not; it tells the server `exit` before it closes.
"""
import json
import socket
import struct
import sys

ip_port = ('127.0.0.1', int(sys.argv[1]))
command, word = sys.argv[2], sys.argv[3]

with socket.socket() as s:
    s.connect(ip_port)
    s.sendall(command.encode() + b'\n')
    n = struct.unpack('i', s.recv(4))[0]
    head = json.loads(s.recv(n).decode())
    reply = s.recv(8192) if head['data_size'] else b''
    while len(reply) < head['data_size']:
        reply += s.recv(8192)
    s.sendall(b'exit')

text = reply.decode('utf-8', 'replace')
print(text)
print('%d bytes' % len(reply))
sys.exit(0 if word in text and len(reply) == head['data_size'] else 1)
