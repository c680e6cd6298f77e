"""A server with methods of every kind, for the tests of the clients."""

import asyncio
import contextlib
import socket
import struct
import threading
import time

import framecall


def make_server(address="127.0.0.1:0", **options):
    server = framecall.Server(address, **options)
    server.began = threading.Event()  # a handler of sleep_later
    server.told = threading.Event()  # that nobody waits

    @server.method
    def add(a: int, b: int = 1) -> int:
        """The sum."""
        return a + b

    @server.method
    async def add_later(a: int, b: int = 1) -> int:
        await asyncio.sleep(0)
        return a + b

    @server.method
    def fail(message: str = "oops", kind: str = "ValueError"):
        raise {"ValueError": ValueError, "KeyError": KeyError, "PermissionError": PermissionError}[kind](message)

    @server.method
    def refuse(code: int, message: str, data=None):
        raise framecall.RemoteError(code, message, data)

    @server.method
    def sleep(seconds: float):
        time.sleep(seconds)

    @server.method
    async def sleep_later(seconds: float):
        server.began.set()
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            server.told.set()
            raise

    @server.method
    def count(n: int):
        yield from range(n)

    @server.method
    async def count_later(n: int, size: int = 0):
        for i in range(n):
            yield framecall.Response(i, bytes(size)) if size else i

    @server.handler
    def tell(request):
        return framecall.Response(
            {
                "method": request.method,
                "params": request.params,
                "metadata": request.metadata,
                "timeout": request.timeout,
                "size": request.body.nbytes,
                "cancelled": request.cancelled,
            },
            request.body,
            metadata={"answered": "yes"},
            digest=True,
        )

    @server.handler(stream=True)
    def total(request):
        return sum(part.value for part in request.parts())

    @server.handler(stream=True)
    async def total_later(request):
        result = 0
        async for part in request.parts():
            result += part.value
        return result

    @server.handler
    def converse(request):
        for part in request.parts():
            yield framecall.Response(part.value, part.body)

    @server.handler
    async def converse_later(request):
        async for part in request.parts():
            yield framecall.Response(part.value, part.body)

    return server


def make_endless_server():
    """Streams that end only when they are cancelled, with `ended` set. The quiet ones do not find out by sending."""
    server = framecall.Server("127.0.0.1:0")
    server.ended = threading.Event()

    @server.handler
    def quiet(request):
        try:
            yield 1
            while not request.cancelled:
                time.sleep(0.005)
        finally:
            server.ended.set()

    @server.handler
    def busy(request):
        try:
            while True:
                yield bytes(request.params[0])
        finally:
            server.ended.set()

    @server.handler
    async def quiet_later(request):
        try:
            yield 1
            await asyncio.sleep(1000)
        finally:
            server.ended.set()

    @server.handler
    async def busy_later(request):
        try:
            while True:
                yield bytes(request.params[0])
        finally:
            server.ended.set()

    return server


ENDLESS = [("quiet", None), ("busy", [0]), ("busy", [100_000]), ("quiet_later", None), ("busy_later", [100_000])]


@contextlib.contextmanager
def serving(**options):
    with make_server(**options) as server:
        yield server


@contextlib.contextmanager
def answering(*replies):
    """A peer that answers the first frames of one connection with these bytes, then waits for its end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as stream:
                for reply in replies:
                    size = struct.unpack("<i", stream.read(4))[0]
                    header = framecall.decode_header(stream.read(size))
                    stream.read(header.get("body_size", 0))
                    connection.sendall(reply)
                stream.read()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)
