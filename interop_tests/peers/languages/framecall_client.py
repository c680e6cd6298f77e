"""The cases of this folder by the Python package's own clients.

    python framecall_client.py [--asyncio] HOST PORT CASE...

Prints `CASE ok` or `CASE failed: ...`; exit code 0, 1, or 2 for usage. Environment: SHARED_SHA256 is what the file
shared.bin of the server has to have (case get).
"""
import asyncio
import hashlib
import os
import sys
import tempfile

import framecall

METHOD_NOT_FOUND = -32601
TEXT = "naïve 你好 🚀"


def pattern(size):
    """Bytes that differ everywhere; every client of this folder sends the same ones."""
    return bytes((i ^ i >> 8 ^ i >> 16) & 255 for i in range(size))


def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError("%s: expected %.200r, got %.200r" % (what, wanted, got))


class Blocking:
    """framecall.Client as the cases see it."""

    def __init__(self, address):
        self.client = framecall.Client(address)

    async def call(self, *arguments, **options):
        return self.client.call(*arguments, **options)

    async def request(self, *arguments, **options):
        return self.client.request(*arguments, **options)

    async def stream(self, *arguments):
        return [part.value for part in self.client.stream(*arguments)]

    async def send_file(self, path):
        self.client.send_file(path)

    async def get(self, name, path):
        self.client.get(name, path)

    async def close(self):
        self.client.close()


class Asyncio:
    """framecall.aio.Client as the cases see it."""

    def __init__(self, address):
        import framecall.aio
        self.client = framecall.aio.Client(address)

    async def call(self, *arguments, **options):
        return await self.client.call(*arguments, **options)

    async def request(self, *arguments, **options):
        return await self.client.request(*arguments, **options)

    async def stream(self, *arguments):
        return [part.value async for part in self.client.stream(*arguments)]

    async def send_file(self, path):
        await self.client.send_file(path)

    async def get(self, name, path):
        await self.client.get(name, path)

    async def close(self):
        await self.client.close()


# ---- the cases

async def upper(peer):
    reply = await peer.request("upper", None, body=b"hello, world")
    expect("body", bytes(reply.body), b"HELLO, WORLD")


async def add(peer):
    expect("by name", await peer.call("add", a=2, b=3), 5)
    expect("by place", await peer.call("add", 2, 3), 5)


async def unicode_text(peer):  # the package sends \uxxxx alone
    expect("result", await peer.call("say", text=TEXT), TEXT)


async def big(peer):
    sent = pattern(5 << 20)
    reply = await peer.request("echo", None, body=sent)
    expect("the body is what was sent", reply.body == sent, True)


async def error(peer):
    code = "a result"
    try:
        await peer.call("no.such.method")
    except framecall.RemoteError as failure:
        code = failure.code
    expect("error code", code, METHOD_NOT_FOUND)
    await upper(peer)  # the connection goes on


async def stream(peer):
    expect("parts", await peer.stream("count", {"n": 5}), [0, 1, 2, 3, 4])


async def upload(peer):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "upload-package_%s.bin" % type(peer).__name__.lower())
        with open(path, "wb") as f:
            f.write(pattern(100000))
        await peer.send_file(path)


async def get(peer):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "shared.bin")
        await peer.get("shared.bin", path)
        with open(path, "rb") as f:
            expect("SHA-256", hashlib.sha256(f.read()).hexdigest(), os.environ["SHARED_SHA256"])


CASES = {"upper": upper, "add": add, "unicode": unicode_text, "big": big, "error": error, "stream": stream,
         "upload": upload, "get": get}


async def run(kind, address, case):
    peer = kind(address)
    try:
        await case(peer)
    finally:
        await peer.close()


def main():
    arguments = sys.argv[1:]
    kind = Blocking
    if arguments[:1] == ["--asyncio"]:
        kind, arguments = Asyncio, arguments[1:]
    if len(arguments) < 3 or not set(arguments[2:]) <= set(CASES):
        print("usage: framecall_client.py [--asyncio] HOST PORT CASE...\ncases: " + " ".join(CASES), file=sys.stderr)
        sys.exit(2)
    failed = False
    for name in arguments[2:]:
        try:
            asyncio.run(run(kind, arguments[0] + ":" + arguments[1], CASES[name]))
            print(name, "ok", flush=True)
        except Exception as problem:
            failed = True
            print("%s failed: %s: %s" % (name, type(problem).__name__, problem), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
