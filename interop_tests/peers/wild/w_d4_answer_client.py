# -*- coding: utf-8 -*-
"""W D4, upload client with a login: every upload is answered behind its body, and only a user's is kept.

Usage: w_d4_answer_client.py PORT USER PASSWORD FILE

It uploads before the login, which has to be refused, logs in and uploads again over the same connection.
Quirks kept: keys `type`, `fname`, `fsize`, `state`; the whole file in one sendall; small answers, each
part of them read once.
"""
import json
import os
import socket
import struct
import sys


class Client:
    def __init__(self, port):
        self.sock = socket.socket()
        self.sock.connect(('127.0.0.1', port))

    def ask(self, body=b'', **head):
        head = json.dumps(head).encode()
        self.sock.sendall(struct.pack('i', len(head)) + head + body)
        size, = struct.unpack('i', self.sock.recv(4))
        answer = json.loads(self.sock.recv(size).decode())
        print(answer)
        return answer

    def upload(self, path):
        with open(path, 'rb') as f:
            body = f.read()
        return self.ask(body, type='upload', fname=os.path.basename(path), fsize=len(body))


port, user, password, path = sys.argv[1:]
client = Client(int(port))
refused = client.upload(path)
login = client.ask(type='auth', user=user, password=password)
stored = client.upload(path)
states = [refused['state'], login['state'], stored['state']]
print('states %s, %s bytes stored' % (states, stored.get('fsize')))
sys.exit(0 if states == [0, 1, 1] and stored['fsize'] == os.path.getsize(path) else 1)
