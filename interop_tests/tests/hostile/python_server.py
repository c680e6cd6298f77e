"""A server of the framecall package to be attacked: python_server.py ROOT KEYWORDS, the latter a JSON object for Server();
its "udp": true opens a UDP socket too, its "numpy": true adds the methods that take arrays."""
import json
import signal
import sys
import threading
import time
import typing

import framecall

root, keywords = sys.argv[1], json.loads(sys.argv[2])
udp, numpy = keywords.pop("udp", False), keywords.pop("numpy", False)
server = framecall.Server("127.0.0.1:0", root=root, **dict({"drain_timeout": 1.0}, **keywords))
ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())
PART_SIZE = 1 << 20


@server.method
def add(a: float, b: float) -> float:
    return a + b


@server.method
def wait(body: memoryview) -> int:
    """Waits until the server ends."""
    ended.wait(60)
    return len(body)


@server.method
def half() -> None:
    time.sleep(0.5)


@server.method
def large(size: int) -> bytes:
    return bytes(size)


@server.method
def text(size: int) -> str:
    return "x" * size


@server.method
async def parts():
    while not ended.is_set():
        yield b"x" * PART_SIZE


@server.method
def thread_parts():
    while not ended.is_set():
        yield b"x" * PART_SIZE


@server.handler
def echo(request):
    return framecall.Response(request.params, request.body)


if numpy:
    import numpy as np

    @server.method
    def same(body: np.ndarray) -> np.ndarray:
        return body

    @server.method
    def several(body: typing.Dict[str, np.ndarray]) -> typing.Dict[str, np.ndarray]:
        return body

announced = "listening tcp %s frames\n" % server.address
if udp:
    announced += "listening udp %s calls\n" % server.listen_udp("127.0.0.1:0")
with server:
    sys.stdout.write(announced)
    sys.stdout.flush()
    while not ended.wait(0.2):
        pass
