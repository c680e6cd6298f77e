# -*- coding: utf-8 -*-
"""W A5, remote command server: one raw line in, prefix + header with `total_size` + output out.

Usage: w_a5_command_server.py PORT      0 picks a free one

What arrives is looked up in a fixed table and never run; only the form of the reply is the lesson's.
Quirks kept: one recv(1024) is one command; the header also names a file that does not exist, with a constant
`md5`; standard output and standard error are sent one after the other; an unknown command is answered in
the words of a Windows shell.
"""
import json
import socket
import struct
import sys

OUTPUT = {  # command: (standard output, standard error)
    'dir': ('a.txt\nb.txt\n', ''),
    'ipconfig': ('adapter lo\n   address 127.0.0.1\n' * 100, ''),
    'tasklist /v': ('python.exe 4242\n', 'a warning: 进程\n'),
}

phone = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
phone.bind(('127.0.0.1', int(sys.argv[1])))
phone.listen(5)

while True:
    conn, client_addr = phone.accept()
    while True:
        try:
            cmd = conn.recv(1024)
            if not cmd:
                break
            name = cmd.decode('utf-8')
            stdout, stderr = OUTPUT.get(name, ('', "'%s' is not recognized as a command\r\n" % name))
            stdout, stderr = stdout.encode('utf-8'), stderr.encode('utf-8')
            header_dic = {'filename': 'a.txt', 'md5': 'xxdxxx', 'total_size': len(stdout) + len(stderr)}
            header_bytes = json.dumps(header_dic).encode('utf-8')
            conn.send(struct.pack('i', len(header_bytes)))
            conn.send(header_bytes)
            conn.send(stdout)
            conn.send(stderr)
        except ConnectionResetError:
            break
    conn.close()
