# -*- coding: utf-8 -*-
"""W C4b, remote command client, big-endian: the command is a frame, {"type": "command", "key": LINE}.

Usage: w_c4b_frame_client.py PORT COMMAND

Quirks kept: keys `type`, `key`, `total_size`; a helper that reads exactly n bytes; one command for each
connection; an empty output counts as an unknown command.
"""
import json
import socket
import struct
import sys


def recvall(sock, n):
    data = bytearray()
    while len(data) < n:
        packet = sock.recv(n - len(data))
        if not packet:
            sys.exit('the server closed after %d of %d bytes' % (len(data), n))
        data.extend(packet)
    return bytes(data)


with socket.socket() as sock:
    sock.connect(('127.0.0.1', int(sys.argv[1])))
    msg = json.dumps({'type': 'command', 'key': sys.argv[2]}).encode()
    sock.sendall(struct.pack('>I', len(msg)) + msg)
    size, = struct.unpack('>I', recvall(sock, 4))
    head = json.loads(recvall(sock, size).decode())
    output = recvall(sock, head['total_size'])
print(output.decode())
sys.exit(0 if output else 1)
