# -*- coding: utf-8 -*-
"""W C2b, framed get, big-endian; the client says `ready` when it has read the header, and then reads.

Usage: w_c2b_ready_client.py PORT NAME

Quirks kept: the raw `ready` keeps header and body apart; '!I' for the length; keys `type`, `filename`,
`file_size`; one file for each connection; recv(header_len) once.
"""
import json
import socket
import struct
import sys

client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client.connect(('127.0.0.1', int(sys.argv[1])))

request = json.dumps({'type': 'get', 'filename': sys.argv[2]}).encode('utf-8')
client.send(struct.pack('!I', len(request)))
client.send(request)

header_len = struct.unpack('!I', client.recv(4))[0]
header = json.loads(client.recv(header_len).decode('utf-8'))
client.send(b'ready')

received_size = 0
with open(header['filename'], 'wb') as f:
    while received_size < header['file_size']:
        data = client.recv(1024)
        if not data:
            break
        f.write(data)
        received_size += len(data)
client.close()
print('%s: %d of %d' % (header['filename'], received_size, header['file_size']))
sys.exit(0 if received_size == header['file_size'] else 1)
