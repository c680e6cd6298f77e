# -*- coding: utf-8 -*-
"""W A5, remote command client: raw lines of text go out, prefix + {"total_size": N} + output comes back.

Usage: w_a5_command_client.py PORT COMMAND...      each COMMAND is one line, all over one connection

Quirks kept: no end mark behind a command; recv(4) and recv(header_size) once; output in recv(1024) until the
size is there; `quit` closes on this side and is never sent.
"""
import json
import socket
import struct
import sys

phone = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
phone.connect(('127.0.0.1', int(sys.argv[1])))

for cmd in sys.argv[2:]:
    cmd = cmd.strip()
    if not cmd:
        continue
    if cmd == 'quit':
        break
    phone.send(cmd.encode('utf-8'))
    # 1. the length of the header
    obj = phone.recv(4)
    header_size = struct.unpack('i', obj)[0]
    # 2. the header
    header_dic = json.loads(phone.recv(header_size).decode('utf-8'))
    total_size = header_dic['total_size']
    # 3. the output
    recv_size = 0
    recv_data = b''
    while recv_size < total_size:
        res = phone.recv(1024)
        recv_data += res
        recv_size += len(res)
    print(recv_data.decode('utf-8'), end='')
    if recv_size != total_size:
        sys.exit('%d bytes instead of %d' % (recv_size, total_size))
phone.close()
