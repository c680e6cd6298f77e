# -*- coding: utf-8 -*-
"""W B1c, upload client: {"type": "upload", ...} and a Chinese sentence as the answer.

Usage: w_b1c_sentence_client.py PORT FILE

Quirks kept: ensure_ascii=False, so that the header holds raw UTF-8; keys `type`, `filename`, `data_size`; the
answer is decoded from one recv(1024), a sentence cut in the middle of a character would kill it.
"""
import json
import os
import socket
import struct
import sys


def main():
    port, path = int(sys.argv[1]), sys.argv[2]
    client = socket.socket()
    client.connect(('127.0.0.1', port))
    msg = {'type': 'upload', 'filename': os.path.basename(path), 'data_size': os.path.getsize(path)}
    msg = json.dumps(msg, ensure_ascii=False).encode('utf-8')
    client.sendall(struct.pack('i', len(msg)))
    client.sendall(msg)
    with open(path, 'rb') as f:
        while True:
            chunk = f.read(1024)
            if not chunk:
                break
            client.sendall(chunk)
    answer = client.recv(1024).decode('utf-8')
    print(answer)
    client.close()
    return 0 if answer == '上传成功' else 1


sys.exit(main())
