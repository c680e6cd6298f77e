# -*- coding: utf-8 -*-
"""W C4, remote command client, big-endian: a raw line out, to_bytes(4, 'big') + header + output back.

Usage: w_c4_command_client.py PORT COMMAND...

Quirks kept: size key `data_size`; the commands share a connection and are kept apart by waiting for the
output; recv(4) and recv(n) once each; `q` at the end.
"""
import json
import socket
import sys

client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client.connect(('127.0.0.1', int(sys.argv[1])))

for cmd in sys.argv[2:]:
    client.send(cmd.encode('utf-8'))
    n = int.from_bytes(client.recv(4), 'big')
    header = json.loads(client.recv(n).decode('utf-8'))
    output = b''
    while len(output) < header['data_size']:
        output += client.recv(1024)
    print('--- %s: %d bytes' % (cmd, len(output)))
    print(output.decode('utf-8'))
    if len(output) != header['data_size']:
        sys.exit('%d bytes were announced' % header['data_size'])
client.send(b'q')
client.close()
