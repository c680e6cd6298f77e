# -*- coding: utf-8 -*-
"""W A6b, download client: framed {"operate": "download"}, size 0 means that there is no such file.

Usage: w_a6b_missing_client.py PORT MISSING NAME

Ends with 0 if MISSING is not there and NAME is; each request has a connection of its own.
Quirks kept: keys `operate`, `file_name`, `file_size`; the received file is opened only when there is
something in it; a partial file stays when the server dies, and the loop never ends.
"""
import json
import socket
import struct
import sys


def download(port, file_name):
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    client.connect(('127.0.0.1', port))
    request = json.dumps({'operate': 'download', 'file_name': file_name}).encode('utf-8')
    client.send(struct.pack('i', len(request)))
    client.send(request)

    header_len = struct.unpack('i', client.recv(4))[0]
    header = json.loads(client.recv(header_len).decode('utf-8'))
    received, out = 0, None
    while received < header['file_size']:
        data = client.recv(1024)
        out = out or open(file_name, 'wb')
        out.write(data)
        received += len(data)
    client.close()
    if out:
        out.close()
    print(file_name, received if out else 'does not exist')
    return out is not None


port = int(sys.argv[1])
sys.exit(0 if [download(port, name) for name in sys.argv[2:4]] == [False, True] else 1)
