# -*- coding: utf-8 -*-
"""W D3, download server with a login: it knows the md5 of each password, and lets nobody register.

Usage: w_d3_digest_server.py PORT      0 picks a free one; serves its working directory

Quirks kept: keys `action_type`, `flag`, `msg`, `file_name`, `file_size`; a table of functions; a wrong
login may be followed by another one; a download before the login is answered like a wrong login.
"""
import hashlib
import json
import os
import socket
import struct
import sys

PASSWORDS = {'student': hashlib.md5(b'123').hexdigest(), 'tank': hashlib.md5(b'tank8').hexdigest()}
online = set()


def send_dic(conn, dic):
    data = json.dumps(dic).encode('utf-8')
    conn.send(struct.pack('i', len(data)) + data)


def login(conn, dic):
    if PASSWORDS.get(dic['username']) == dic['password']:
        online.add(conn)
        send_dic(conn, {'flag': True, 'msg': 'welcome ' + dic['username']})
    else:
        send_dic(conn, {'flag': False, 'msg': 'refused'})


def register(conn, dic):
    send_dic(conn, {'flag': False, 'msg': 'refused'})


def download(conn, dic):
    if conn not in online:
        send_dic(conn, {'flag': False, 'msg': 'refused'})
        return
    send_dic(conn, {'file_name': dic['file_name'], 'file_size': os.path.getsize(dic['file_name'])})
    with open(dic['file_name'], 'rb') as f:
        for line in f:
            conn.sendall(line)


func_dic = {'login': login, 'register': register, 'download': download}
server = socket.socket()
server.bind(('127.0.0.1', int(sys.argv[1])))
server.listen(5)
while True:
    conn, addr = server.accept()
    while True:
        try:
            header_len = struct.unpack('i', conn.recv(4))[0]
            dic = json.loads(conn.recv(header_len).decode('utf-8'))
            func_dic[dic['action_type']](conn, dic)
        except Exception as e:  # an empty recv(4) ends up here too
            print(e)
            break
    online.discard(conn)
    conn.close()
