# -*- coding: utf-8 -*-
"""W D1, server with a login: framed dicts with `operate`, then get, put and ls of its working directory.

Usage: w_d1_login_server.py PORT      0 picks a free one

Quirks kept: the users are a dict in the script; what `operate` says is the name of the method that is
called; recv(4) and recv(header_len) once each; no answer to a put; one client at a time.
"""
import json
import os
import socket
import struct
import sys

USERS = {'student': '123', 'admin': 'abc 456'}


class Handler:
    def __init__(self, conn):
        self.conn = conn
        self.user = None

    def send_dic(self, dic):
        data = json.dumps(dic).encode('utf-8')
        self.conn.send(struct.pack('i', len(data)))
        self.conn.send(data)

    def handle(self):
        while True:
            head = self.conn.recv(4)
            if not head:
                break
            dic = json.loads(self.conn.recv(struct.unpack('i', head)[0]).decode('utf-8'))
            if self.user is None and dic['operate'] != 'login':
                self.send_dic({'operate': dic['operate'], 'result': False})
                break
            getattr(self, dic['operate'])(dic)

    def login(self, dic):
        good = USERS.get(dic['username']) == dic['password']
        if good:
            self.user = dic['username']
        self.send_dic({'operate': 'login', 'result': good})

    def ls(self, dic):
        self.send_dic({'operate': 'ls', 'files': os.listdir('.')})

    def get(self, dic):
        self.send_dic({'filename': dic['filename'], 'filesize': os.path.getsize(dic['filename'])})
        with open(dic['filename'], 'rb') as f:
            self.conn.sendall(f.read())

    def put(self, dic):
        left = dic['filesize']
        with open(dic['filename'], 'wb') as f:
            while left > 0:
                data = self.conn.recv(min(left, 1024))
                f.write(data)
                left -= len(data)


sock = socket.socket()
sock.bind(('127.0.0.1', int(sys.argv[1])))
sock.listen(5)
while True:
    conn, addr = sock.accept()
    Handler(conn).handle()
    conn.close()
