# -*- coding: utf-8 -*-
"""W A1b, upload server: socketserver with a thread for each sender; nothing is sent back.

Usage: w_a1b_upload_server.py PORT      0 picks a free one

Quirks kept: keys `name` and `size`; one recv(4) and one recv(length) without a loop; body in recv(20480);
an exception of the handler is printed and ends that connection only; b'' in the middle of a body spins.
"""
import json
import os
import socketserver
import struct
import sys


class MyServer(socketserver.BaseRequestHandler):
    def handle(self):
        while True:
            pack = self.request.recv(4)
            if len(pack) == 0:
                return
            length = struct.unpack('i', pack)[0]
            info = json.loads(self.request.recv(length).decode('utf-8'))
            name, size = info['name'], info['size']
            path = os.path.join(os.getcwd(), name)
            got = 0
            f = open(path, 'wb')
            while got != size:
                block = self.request.recv(20480 if size - got > 20480 else size - got)
                f.write(block)
                got += len(block)
            f.close()
            print('%s has %s bytes' % (name, os.path.getsize(path)))


if __name__ == '__main__':
    server = socketserver.ThreadingTCPServer(('127.0.0.1', int(sys.argv[1])), MyServer)
    server.serve_forever()
