# -*- coding: utf-8 -*-
"""W F3, client with 2 big-endian bytes of length: '>H', a text that comes back, or a file that is stored.

Usage: w_f3_short_client.py PORT text WORDS
       w_f3_short_client.py PORT file PATH

Quirks kept: keys `type`, `fname`, `content-length`; `byteorder` and `content-encoding` tell the peer what
it does not need; headers above 65535 bytes are a struct.error; the answer is read until it is whole.
"""
import json
import os
import socket
import struct
import sys


def create_message(content, **header):
    header.update({'byteorder': sys.byteorder, 'content-encoding': 'utf-8', 'content-length': len(content)})
    jsonheader = json.dumps(header).encode('utf-8')
    return struct.pack('>H', len(jsonheader)) + jsonheader + content


def read_message(sock):
    buf = b''
    while len(buf) < 2 or len(buf) < 2 + struct.unpack('>H', buf[:2])[0]:
        data = sock.recv(4096)
        if not data:
            raise RuntimeError('Peer closed.')
        buf += data
    end = 2 + struct.unpack('>H', buf[:2])[0]
    header = json.loads(buf[2:end].decode('utf-8'))
    content = buf[end:]
    while len(content) < header['content-length']:
        content += sock.recv(4096)
    return header, content


port, kind, value = sys.argv[1:]
sock = socket.create_connection(('127.0.0.1', int(port)))
if kind == 'text':
    sock.sendall(create_message(value.encode('utf-8'), type='text'))
    header, content = read_message(sock)
    print('%s of %d bytes came back: %s' % (header['type'], len(content), content.decode('utf-8')))
    sys.exit(0 if content.decode('utf-8') == value else 1)
with open(value, 'rb') as f:
    sock.sendall(create_message(f.read(), type='file', fname=os.path.basename(value)))
header, content = read_message(sock)
print('%s, %s' % (header['type'], header['stored']))
sys.exit(0 if header['stored'] == os.path.basename(value) else 1)
