# -*- coding: utf-8 -*-
"""W C4, remote command server, big-endian: to_bytes(4, 'big') + {"data_size": N} + output.

Usage: w_c4_command_server.py PORT      0 picks a free one

What arrives is looked up in a fixed table and never run; only the form of the reply is the lesson's.
Quirks kept: one recv(1024) is one command; `q` ends the conversation; an unknown command has an empty
output, with a size of 0.
"""
import json
import socket
import sys

commands = {
    'hostname': 'lesson\n',
    'netstat -an': 'tcp 127.0.0.1:8080 LISTEN\n' * 500,
    'pwd': '/home/学生\n',
}

server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.bind(('127.0.0.1', int(sys.argv[1])))
server.listen(5)

while True:
    conn, addr = server.accept()
    try:
        while True:
            cmd = conn.recv(1024).decode('utf-8')
            if not cmd or cmd == 'q':
                break
            output = commands.get(cmd, '').encode('utf-8')
            header = json.dumps({'data_size': len(output)}).encode('utf-8')
            conn.send(len(header).to_bytes(4, 'big'))
            conn.send(header)
            conn.sendall(output)
    except ConnectionResetError as e:
        print(e)
    conn.close()
