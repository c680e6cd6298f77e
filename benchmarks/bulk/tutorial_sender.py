"""The sender as it is taught, line by line; only its header says `file_size`, so that the taught receiver
(interop_tests/peers/scripts/t04_file_receiver.py) understands it. Usage: tutorial_sender.py PORT FILE"""

import json
import os
import socket
import struct
import sys

file_name = sys.argv[2]

client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client.connect(("127.0.0.1", int(sys.argv[1])))

header_bytes = json.dumps({"file_name": file_name, "file_size": os.path.getsize(file_name)}).encode("utf-8")

client.send(struct.pack("i", len(header_bytes)))
client.send(header_bytes)
with open(file_name, "rb") as f:
    for line in f:
        client.send(line)
