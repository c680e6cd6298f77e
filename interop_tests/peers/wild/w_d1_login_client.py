# -*- coding: utf-8 -*-
"""W D1, client with a login: {"operate": "login"} is a frame, and so is everything behind it.

Usage: w_d1_login_client.py PORT USER PASSWORD ls
       w_d1_login_client.py PORT USER PASSWORD get|put FILE

Quirks kept: keys `operate`, `filename`, `filesize`; the password travels as it is; recv(4) and
recv(header_len) are never repeated; send() whose result nobody looks at; no answer to a put.
"""
import json
import os
import socket
import struct
import sys


def send_dic(dic):
    dic_bytes = json.dumps(dic).encode('utf-8')
    client.send(struct.pack('i', len(dic_bytes)))
    client.send(dic_bytes)


def recv_dic():
    dic_len = struct.unpack('i', client.recv(4))[0]
    return json.loads(client.recv(dic_len).decode('utf-8'))


username, password, operate = sys.argv[2:5]
client = socket.socket()
client.connect(('127.0.0.1', int(sys.argv[1])))
send_dic({'operate': 'login', 'username': username, 'password': password})
answer = recv_dic()
print('login: %s' % answer['result'])
if answer['operate'] != 'login' or answer['result'] is not True:
    sys.exit(1)

if operate == 'ls':
    send_dic({'operate': 'ls'})
    print('files: ' + ' '.join(sorted(recv_dic()['files'])))
elif operate == 'get':
    send_dic({'operate': 'get', 'filename': sys.argv[5]})
    head = recv_dic()
    recv_size = 0
    with open(head['filename'], 'wb') as f:
        while recv_size < head['filesize']:
            data = client.recv(1024)
            f.write(data)
            recv_size += len(data)
    print('got %s, %d bytes' % (head['filename'], recv_size))
elif operate == 'put':
    size = os.path.getsize(sys.argv[5])
    send_dic({'operate': 'put', 'filename': os.path.basename(sys.argv[5]), 'filesize': size})
    with open(sys.argv[5], 'rb') as f:
        for line in f:
            client.send(line)
    print('put %s, %d bytes' % (sys.argv[5], size))
client.close()
