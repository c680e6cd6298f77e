# -*- coding: utf-8 -*-
"""W E3, collector: big-endian frames with `device` and `value`, each answered {"status": "ok"}.

Usage: w_e3_device_server.py PORT      0 picks a free one

Quirks kept: '!I'; a value that is no number is answered {"status": "error"}; the newest value of each
device goes to the file DEVICE.txt of the working directory; helpers that read exactly n bytes.
"""
import json
import socket
import struct
import sys


def read_exactly(conn, n):
    chunks = []
    while n > 0:
        chunk = conn.recv(n)
        if not chunk:
            return None
        chunks.append(chunk)
        n -= len(chunk)
    return b''.join(chunks)


def read_message(conn):
    prefix = read_exactly(conn, 4)
    if prefix is None:
        return None
    return json.loads(read_exactly(conn, struct.unpack('!I', prefix)[0]).decode('utf-8'))


listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(('127.0.0.1', int(sys.argv[1])))
listener.listen(1)
while True:
    conn, _ = listener.accept()
    with conn:
        message = read_message(conn)
        while message is not None:
            status = 'error'
            if isinstance(message.get('value'), (int, float)):
                with open(message['device'] + '.txt', 'w') as f:
                    f.write('%g\n' % message['value'])
                status = 'ok'
            data = json.dumps({'status': status}).encode('utf-8')
            conn.sendall(struct.pack('!I', len(data)) + data)
            message = read_message(conn)
