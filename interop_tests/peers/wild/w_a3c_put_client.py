# -*- coding: utf-8 -*-
"""W A3c, upload client: `upload PATH` as raw text, a nap against the sticky packet, then the frame.

Usage: w_a3c_put_client.py PORT PATH

Quirks kept: time.sleep() between the line and the frame is all that keeps them apart; the path stays in the
line as it was typed, and the header has it once more under `file_path`; keys `filename` and `filesize`.
"""
import json
import os
import socket
import struct
import sys
import time

HOST, PORT = '127.0.0.1', int(sys.argv[1])
path = sys.argv[2]

tcp_client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
tcp_client.connect((HOST, PORT))
tcp_client.send(f'upload {path}'.encode('utf8'))
time.sleep(0.3)

file_info = {'file_path': path, 'filename': os.path.basename(path), 'filesize': os.path.getsize(path)}
file_info = json.dumps(file_info).encode('utf8')
tcp_client.send(struct.pack('i', len(file_info)))
tcp_client.send(file_info)
with open(path, 'rb') as f:
    for line in f:
        tcp_client.send(line)
print(f'{path} uploaded')
tcp_client.close()
