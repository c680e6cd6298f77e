# -*- coding: utf-8 -*-
"""W A3, upload server: `put NAME`, with the frame behind it or glued to it.

Usage: w_a3_put_server.py PORT      0 picks a free one; stores in its working directory

Quirks kept: its cure for the sticky packet is to look for three zero bytes and a `{`, one byte before which
the prefix begins: right for headers of 1 to 255 bytes; the name in the line is printed, the one in the
header counts; keys `file_name` and `file_size`; no answer; a sender that dies in the middle of a line or a
header leaves it without a word.
"""
import json
import socket
import struct
import sys


def serve(conn):
    data = b''
    while True:
        while b'\x00\x00\x00{' not in data:
            more = conn.recv(1024)
            if not more:
                return
            data += more
        start = data.index(b'\x00\x00\x00{') - 1
        print(data[:start].decode('utf-8'))
        header_len = struct.unpack('i', data[start:start + 4])[0]
        data = data[start + 4:]
        while len(data) < header_len:
            data += conn.recv(1024)
        header = json.loads(data[:header_len].decode('utf-8'))
        data = data[header_len:]
        while len(data) < header['file_size']:
            data += conn.recv(1024)
        with open(header['file_name'], 'wb') as f:
            f.write(data[:header['file_size']])
        data = data[header['file_size']:]


server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.bind(('127.0.0.1', int(sys.argv[1])))
server.listen(5)
while True:
    connection, address = server.accept()
    serve(connection)
    connection.close()
