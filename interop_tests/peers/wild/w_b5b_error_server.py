# -*- coding: utf-8 -*-
"""W B5b, download server: {"error": "no such file: NAME"} instead of a header when there is no file.

Usage: w_b5b_error_server.py PORT      0 picks a free one; serves its working directory

Quirks kept: raw `get NAME`; keys `fileName`, `size`, `error`; every other command is an error, too; one
sendall for prefix, header and file.
"""
import json
import socket
import struct
import sys


def reply(command):
    word, _, name = command.partition(' ')
    if word != 'get':
        return {'error': 'unknown command: ' + word}, b''
    try:
        with open(name, 'rb') as f:
            content = f.read()
    except OSError:
        return {'error': 'no such file: ' + name}, b''
    return {'fileName': name, 'size': len(content)}, content


with socket.socket() as listener:
    listener.bind(('127.0.0.1', int(sys.argv[1])))
    listener.listen()
    while True:
        s, address = listener.accept()
        with s:
            command = s.recv(2048).decode()
            if command:
                header, content = reply(command)
                header = json.dumps(header).encode()
                s.sendall(struct.pack('i', len(header)) + header + content)
