# -*- coding: utf-8 -*-
"""T3, file sender: prefix, header and content of one file, and nothing ever read back.

Usage: t03_file_sender.py FILE [PORT]      default port 8080

Quirks kept: the key `file_siz`, one letter short; json.dumps with default arguments; the prefix, the
header and every line of the file leave in a send() of their own; native byte order; no shutdown, no
close: the socket closes when the program ends. FILE goes into the header as it was typed.
"""
import json
import os
import socket
import struct
import sys

file_name = sys.argv[1]

client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client.connect(('127.0.0.1', int(sys.argv[2]) if len(sys.argv) > 2 else 8080))

header = {
    'file_name': file_name,
    'file_siz': os.path.getsize(file_name),
}
header_bytes = json.dumps(header).encode('utf-8')

client.send(struct.pack('i', len(header_bytes)))
client.send(header_bytes)
with open(file_name, 'rb') as f:
    for line in f:
        client.send(line)
