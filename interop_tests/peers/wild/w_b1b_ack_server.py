# -*- coding: utf-8 -*-
"""W B1b, upload server: `ok` after the header, `ACK` after the body.

Usage: w_b1b_ack_server.py PORT      0 picks a free one; stores in its working directory

Quirks kept: keys `fname` and `fsize`; answers in raw bytes; header in one recv; a thread for each client,
without an end; a sender that dies leaves its thread spinning.
"""
import json
import socket
import struct
import sys
import threading


def talk(sock):
    while True:
        head_len = sock.recv(4)
        if head_len == b'':
            sock.close()
            return
        head = json.loads(sock.recv(struct.unpack('i', head_len)[0]).decode())
        sock.send(b'ok')
        done = 0
        with open(head['fname'], 'wb') as f:
            while done < head['fsize']:
                block = sock.recv(4096)
                f.write(block)
                done += len(block)
        sock.send(b'ACK')


listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listener.bind(('127.0.0.1', int(sys.argv[1])))
listener.listen(10)
while True:
    sock, addr = listener.accept()
    threading.Thread(target=talk, args=(sock,)).start()
