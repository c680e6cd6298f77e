# -*- coding: utf-8 -*-
"""W A4, framed requests: the value of `cmd` is the name of the method that serves it.

Usage: w_a4_cmd_server.py PORT      0 picks a free one; its files are those of its working directory

Quirks kept: keys `cmd`, `filename`, `filesize`; hasattr and getattr on what the peer sends; an unknown
command is passed over in silence; a put is not answered; a missing file ends the server; the last
recv(1024) of a body swallows the next request.
"""
import json
import os
import socket
import struct
import sys


class FtpServer(object):
    def __init__(self, port):
        self.server = socket.socket()
        self.server.bind(('127.0.0.1', port))
        self.server.listen(5)

    def run(self):
        while True:
            self.conn, self.addr = self.server.accept()
            while True:
                pack = self.conn.recv(4)
                if not pack:
                    break
                head_len = struct.unpack('i', pack)[0]
                args = json.loads(self.conn.recv(head_len).decode('utf-8'))
                if hasattr(self, args['cmd']):
                    getattr(self, args['cmd'])(args)
            self.conn.close()

    def put(self, args):
        size = 0
        with open(args['filename'], 'wb') as f:
            while size < args['filesize']:
                data = self.conn.recv(1024)
                f.write(data)
                size += len(data)

    def get(self, args):
        head = {'filename': args['filename'], 'filesize': os.path.getsize(args['filename'])}
        head = json.dumps(head).encode('utf-8')
        self.conn.send(struct.pack('i', len(head)))
        self.conn.send(head)
        with open(args['filename'], 'rb') as f:
            for line in f:
                self.conn.send(line)


FtpServer(int(sys.argv[1])).run()
