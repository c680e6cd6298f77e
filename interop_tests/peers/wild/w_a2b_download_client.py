# -*- coding: utf-8 -*-
"""W A2b, download client: `download NAME` as raw text, with a progress display.

Usage: w_a2b_download_client.py PORT NAME

Quirks kept: keys `file_name` and `total_size`; the word and a line feed; header and body by a helper that
reads once; the body is cut at the announced size; it keeps the server's file under `new_NAME`.
"""
import json
import socket
import struct
import sys


def recv_header(sock):
    length, = struct.unpack('i', sock.recv(4))
    return json.loads(sock.recv(length).decode())


def progress(done, total):
    percent = 100 if not total else done * 100 // total
    print('\r[%-20s] %d%%' % ('#' * (percent // 5), percent), end='')


def main():
    port, name = int(sys.argv[1]), sys.argv[2]
    with socket.socket() as sock:
        sock.connect(('127.0.0.1', port))
        sock.sendall(('download ' + name + '\n').encode())
        header = recv_header(sock)
        left = total = header['total_size']
        with open('new_' + header['file_name'], 'wb') as out:
            while left:
                data = sock.recv(min(4096, left))
                if not data:
                    sys.exit('the server went away, %d bytes are missing' % left)
                out.write(data)
                left -= len(data)
                progress(total - left, total)
    print('\n%s done' % header['file_name'])


if __name__ == '__main__':
    main()
