# -*- coding: utf-8 -*-
"""W E3, device: sends its values as big-endian frames, {"device": NAME, "value": NUMBER}.

Usage: w_e3_device_client.py PORT DEVICE VALUE...

Quirks kept: to_bytes(4, 'big') instead of struct; all values leave first, then as many answers are read;
compact separators; the answers come out of one buffer that recv(128) fills.
"""
import json
import socket
import sys

device = sys.argv[2]
values = [float(v) for v in sys.argv[3:]]
sock = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
for value in values:
    body = json.dumps({'device': device, 'value': value}, separators=(',', ':')).encode('ascii')
    sock.sendall(len(body).to_bytes(4, 'big') + body)

accepted, buffer = 0, b''
while accepted < len(values):
    while len(buffer) < 4 or len(buffer) < 4 + int.from_bytes(buffer[:4], 'big'):
        data = sock.recv(128)
        if not data:
            sys.exit('closed after %d answers' % accepted)
        buffer += data
    size = int.from_bytes(buffer[:4], 'big')
    answer, buffer = json.loads(buffer[4:4 + size].decode('ascii')), buffer[4 + size:]
    if answer != {'status': 'ok'}:
        sys.exit('refused: %r' % answer)
    accepted += 1
sock.close()
print('%s: %d values accepted' % (device, accepted))
