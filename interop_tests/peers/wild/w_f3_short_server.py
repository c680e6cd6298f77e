# -*- coding: utf-8 -*-
"""W F3, server with 2 big-endian bytes of length: '>H'; texts go back, files are stored.

Usage: w_f3_short_server.py PORT      0 picks a free one; stores into its working directory

Quirks kept: keys `type`, `fname`, `content-length`; a class with one buffer that every recv(4096) fills;
answers have a header with a `content-length` too; a type it does not know ends the connection.
"""
import json
import socket
import struct
import sys


class Message:
    def __init__(self, sock):
        self.sock = sock
        self.buffer = b''

    def take(self, n):
        while len(self.buffer) < n:
            data = self.sock.recv(4096)
            if not data:
                raise ConnectionError('Peer closed.')
            self.buffer += data
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def write(self, content=b'', **header):
        header['content-length'] = len(content)
        encoded = json.dumps(header).encode('utf-8')
        self.sock.sendall(struct.pack('>H', len(encoded)) + encoded + content)

    def process(self):
        length = struct.unpack('>H', self.take(2))[0]
        header = json.loads(self.take(length).decode('utf-8'))
        content = self.take(header['content-length'])
        if header['type'] == 'text':
            self.write(content, type='text')
        elif header['type'] == 'file':
            with open(header['fname'], 'wb') as f:
                f.write(content)
            self.write(type='done', stored=header['fname'])
        else:
            raise ConnectionError('unknown type %r' % header['type'])


lsock = socket.socket()
lsock.bind(('127.0.0.1', int(sys.argv[1])))
lsock.listen()
while True:
    sock, addr = lsock.accept()
    message = Message(sock)
    try:
        while True:
            message.process()
    except ConnectionError as e:
        print(addr, e)
    sock.close()
