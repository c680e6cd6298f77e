# -*- coding: utf-8 -*-
"""W B5, download client: framed request; {"is_file": false} comes back when there is no such file.

Usage: w_b5_isfile_client.py PORT NAME MISSING

Ends with 0 if NAME was received and MISSING is not there.
Quirks kept: keys `operation_type`, `name`, `is_file`, `size`; the header of a file has to say
"is_file": true; both requests over one connection; it leaves with {"operation_type": "exit"}.
"""
import json
import socket
import struct
import sys


def send_dict(sk, dic):
    b = json.dumps(dic).encode('utf-8')
    sk.send(struct.pack('i', len(b)))
    sk.send(b)


def download(sk, name):
    send_dict(sk, {'operation_type': 'download', 'name': name})
    n = struct.unpack('i', sk.recv(4))[0]
    head = json.loads(sk.recv(n).decode('utf-8'))
    if not head['is_file']:
        print(name, 'is no file')
        return False
    size = head['size']
    with open(head['name'], 'wb') as f:
        while size:
            content = sk.recv(1024)
            f.write(content)
            size -= len(content)
    print(name, 'received', head['size'])
    return True


sk = socket.socket()
sk.connect(('127.0.0.1', int(sys.argv[1])))
answers = [download(sk, name) for name in sys.argv[2:]]
send_dict(sk, {'operation_type': 'exit'})
sk.close()
sys.exit(0 if answers == [True, False] else 1)
