# -*- coding: utf-8 -*-
"""W A4, framed requests: {"cmd": "get", ...} and {"cmd": "put", ...}, dispatched with getattr.

Usage: w_a4_cmd_client.py PORT get|put FILE

Quirks kept: keys `cmd`, `filename`, `filesize`; the request of a put is the file's header as well; no answer
to a put; un-looped recv(4) and recv(head_len); a received file is written in blocks of 1024.
"""
import json
import os
import socket
import struct
import sys


class FtpClient(object):
    def __init__(self, port):
        self.client = socket.socket()
        self.client.connect(('127.0.0.1', port))

    def send_head(self, head):
        head = json.dumps(head).encode('utf-8')
        self.client.send(struct.pack('i', len(head)))
        self.client.send(head)

    def put(self, filename):
        self.send_head({'cmd': 'put', 'filename': filename, 'filesize': os.path.getsize(filename)})
        with open(filename, 'rb') as f:
            for line in f:
                self.client.send(line)
        print('put %s: sent' % filename)
        return True

    def get(self, filename):
        self.send_head({'cmd': 'get', 'filename': filename})
        head_len = struct.unpack('i', self.client.recv(4))[0]
        head = json.loads(self.client.recv(head_len).decode('utf-8'))
        size = 0
        with open(head['filename'], 'wb') as f:
            while size < head['filesize']:
                data = self.client.recv(1024)
                f.write(data)
                size += len(data)
        print('get %s: %s bytes' % (head['filename'], size))
        return size == head['filesize'] and head['filename'] == filename


ftp = FtpClient(int(sys.argv[1]))
if not hasattr(ftp, sys.argv[2]):
    sys.exit('no such command: ' + sys.argv[2])
ok = getattr(ftp, sys.argv[2])(sys.argv[3])
ftp.client.close()
sys.exit(not ok)
