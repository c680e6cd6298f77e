# -*- coding: utf-8 -*-
"""W D3, download client with a login: what is sent is the md5 of the password, never the password.

Usage: w_d3_digest_client.py PORT USER WRONG RIGHT FILE

It tries to register first, then to log in with the wrong and with the right password, all over one
connection; the first two have to fail. Quirks kept: keys `action_type`, `flag`, `msg`, `file_name`,
`file_size`; recv(4) and recv(header_len) are never repeated; the md5 has no salt.
"""
import hashlib
import json
import socket
import struct
import sys


def get_md5(pwd):
    md5 = hashlib.md5()
    md5.update(pwd.encode('utf-8'))
    return md5.hexdigest()


def send_recv(client, send_dic):
    json_bytes = json.dumps(send_dic).encode('utf-8')
    client.send(struct.pack('i', len(json_bytes)))
    client.send(json_bytes)
    back_len = struct.unpack('i', client.recv(4))[0]
    return json.loads(client.recv(back_len).decode('utf-8'))


port, user, wrong, right, file_name = sys.argv[1:]
client = socket.socket()
client.connect(('127.0.0.1', int(port)))
flags = []
for action, pwd in (('register', right), ('login', wrong), ('login', right)):
    back = send_recv(client, {'action_type': action, 'username': user, 'password': get_md5(pwd)})
    print('%s: %s, %s' % (action, back['flag'], back['msg']))
    flags.append(back['flag'])
if flags != [False, False, True]:
    sys.exit(1)

back = send_recv(client, {'action_type': 'download', 'file_name': file_name})
recv_size = 0
with open(file_name, 'wb') as f:
    while recv_size < back['file_size']:
        data = client.recv(1024)
        f.write(data)
        recv_size += len(data)
print('%s: %d of %d' % (file_name, recv_size, back['file_size']))
client.close()
sys.exit(0 if recv_size == back['file_size'] else 1)
