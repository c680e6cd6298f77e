# -*- coding: utf-8 -*-
"""W A2b, download server: waits for `download NAME`, one request for each connection.

Usage: w_a2b_download_server.py PORT      0 picks a free one; serves its working directory

Quirks kept: keys `file_name` and `total_size`; whatever the first word is, it means download; the whole
file is read into memory; it closes right after the body; a name that is not there ends the program.
"""
import json
import socket
import struct
import sys


def make_head(name, content):
    head = {'file_name': name, 'total_size': len(content)}
    head = json.dumps(head).encode()
    return struct.pack('i', len(head)) + head


def main():
    server = socket.socket()
    server.bind(('127.0.0.1', int(sys.argv[1])))
    server.listen()
    while True:
        conn, addr = server.accept()
        line = conn.recv(1024).decode().strip()
        if line:
            word, name = line.split(' ', 1)
            print(addr, 'wants', name)
            with open(name, 'rb') as f:
                content = f.read()
            conn.sendall(make_head(name, content))
            conn.sendall(content)
        conn.close()


if __name__ == '__main__':
    main()
