# -*- coding: utf-8 -*-
"""W B6, download client: a length of 0 instead of a header means that there is no such file.

Usage: w_b6_zero_client.py PORT NAME MISSING

Ends with 0 if NAME was received and MISSING is not there.
Quirks kept: raw `get NAME`; keys `filename` and `filesize`; the 0 is 4 bytes and nothing follows; both
requests over one connection; recv(4) and recv(header_len) are not repeated.
"""
import json
import socket
import struct
import sys

client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client.connect(('127.0.0.1', int(sys.argv[1])))
found = []
for filename in sys.argv[2:]:
    client.send(('get ' + filename).encode('utf-8'))
    header_len = struct.unpack('i', client.recv(4))[0]
    if header_len == 0:
        print('%s does not exist on the server' % filename)
        found.append(False)
        continue
    header = json.loads(client.recv(header_len).decode('utf-8'))
    size = 0
    with open(header['filename'], 'wb') as f:
        while size < header['filesize']:
            data = client.recv(1024)
            f.write(data)
            size += len(data)
    print('%s, %d bytes' % (header['filename'], size))
    found.append(True)
client.close()
sys.exit(0 if found == [True, False] else 1)
