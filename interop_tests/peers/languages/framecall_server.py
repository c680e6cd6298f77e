"""The methods of this folder's cases, served by the Python package.

    ROOT=folder python framecall_server.py [PORT]    prints `listening tcp 127.0.0.1:PORT`, 0 or none: a free port

Uploads, `upper`, `echo` and the file. methods are the package's own. Ends with 0 on SIGTERM.
"""
import os
import signal
import sys
import threading

import framecall

port = sys.argv[1] if len(sys.argv) > 1 else "0"
server = framecall.Server("127.0.0.1:" + port, root=os.environ.get("ROOT", "."))


@server.method
def add(a: int, b: int) -> int:
    return a + b


@server.method
def say(text: str) -> str:
    return text


@server.method
def count(n: int):
    yield from range(n)


def main():
    end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: end.set())
    with server:
        print("listening tcp " + server.address, flush=True)
        end.wait()


if __name__ == "__main__":
    main()
