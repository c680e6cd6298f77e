# -*- coding: utf-8 -*-
"""W A5b, remote command server: one line in, prefix + {"data_size": N} + output out, until `exit`.

Usage: w_a5b_command_server.py PORT      0 picks a free one

What arrives is looked up in a fixed table and never run; only the form of the reply is the lesson's.
Quirks kept: the reply leaves in one sendall; a command that gives nothing is answered with `ok`; an unknown
one with a sentence; a line feed is stripped, two commands in one read are one unknown command.
"""
import json
import socketserver
import struct
import sys

COMMANDS = {
    'uname -a': 'Linux lesson 5.10\n',
    'cd ..': '',
    'cat poem.txt': '床前明月光\n疑是地上霜\n',
}


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        while True:
            line = self.request.recv(1024).decode().strip()
            if line in ('', 'exit'):
                return
            output = COMMANDS.get(line, 'no such command: ' + line) or 'ok'
            output = output.encode()
            head = json.dumps({'data_size': len(output)}).encode()
            self.request.sendall(struct.pack('i', len(head)) + head + output)


socketserver.TCPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
