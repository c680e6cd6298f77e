"""One file from Python, as `framecall send`, `put` and `get` do it. Prints what they print with --json, in short.
Usage: framecall_client.py send|put PORT FILE; framecall_client.py get PORT NAME FILE"""

import json
import os
import sys
import time

import framecall

action, port, *files = sys.argv[1:]
with framecall.Client("127.0.0.1:" + port) as client:
    started = time.perf_counter()
    if action == "send":
        client.send_file(files[0])
    else:
        getattr(client, action)(*files)
    seconds = time.perf_counter() - started
print(json.dumps({"bytes": os.path.getsize(files[-1]), "seconds": seconds}))
