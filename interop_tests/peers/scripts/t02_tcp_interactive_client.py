# -*- coding: utf-8 -*-
"""T2, TCP interactive client: one line from the keyboard, one message, one reply.

Usage: t02_tcp_interactive_client.py [PORT]      default 8080

Quirks kept: the prompt; lines are stripped and empty ones skipped; one recv(1024) is taken for the
whole reply; the end of the input ends it with an EOFError.
"""
from __future__ import print_function

import socket
import sys

if sys.version_info[0] == 2:
    input = raw_input  # noqa: F821

client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client.connect(('127.0.0.1', int(sys.argv[1]) if len(sys.argv) > 1 else 8080))

while True:
    message = input('请输入你:').strip()
    if not message:
        continue
    if not isinstance(message, bytes):  # Python 2 reads bytes
        message = message.encode('utf-8')
    client.send(message)
    reply = client.recv(1024)
    print(reply.decode('utf-8'))
