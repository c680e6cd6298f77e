"""Both clients in other dialects: against `framecall serve --dialect`, and against a peer of the standard library."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import framecall
import framecall.aio
import pytest

DIALECTS = ["default", "big-endian", "eight-bytes", "ascii-length"]

# A server of twenty lines, as somebody writes it who has never heard of framecall: `upper`, `add`, `count`, `wait`.
PEER = r"""
import json, socket, struct, sys

pack = {"big-endian": lambda n: struct.pack("!I", n), "eight-bytes": lambda n: n.to_bytes(8, "little"),
        "ascii-length": lambda n: b"%04d" % n, "default": lambda n: struct.pack("i", n)}[sys.argv[1]]
unpack = {"big-endian": lambda b: struct.unpack("!I", b)[0], "eight-bytes": lambda b: int.from_bytes(b, "little"),
          "ascii-length": int, "default": lambda b: struct.unpack("i", b)[0]}[sys.argv[1]]
width = len(pack(2))
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    stream = connection.makefile("rb")

    def send(answer, body=b""):
        head = json.dumps(dict(answer, body_size=len(body))).encode()
        connection.sendall(pack(len(head)) + head + body)

    for prefix in iter(lambda: stream.read(width), b""):
        header = json.loads(stream.read(unpack(prefix)))
        body = stream.read(header.get("body_size", 0))
        method, id = header.get("method"), header.get("id")
        print(json.dumps(header), flush=True)
        if method == "upper":
            send({"id": id, "result": None}, body.upper())
        elif method == "add":
            send({"id": id, "result": sum(header["params"])})
        elif method == "count":
            for n in range(3):
                send({"id": id, "result": n, "more": True})
            send({"id": id, "result": None})
        elif id is not None and method not in ("wait", None):
            send({"id": id, "error": {"code": -32601, "message": "no method " + method}})
    connection.close()
"""


@contextlib.contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True) as program:
        try:
            yield program
        finally:
            program.terminate()


@contextlib.contextmanager
def serving(dialect: str, root: pathlib.Path) -> Iterator[str]:
    """framecall serve, in this dialect: its address."""
    command = ("-m", "framecall", "serve", "--listen", "127.0.0.1:0", "--root", str(root), "--dialect", dialect)
    with process(*command) as program:
        assert program.stdout
        yield program.stdout.readline().split()[2]


@contextlib.contextmanager
def peer(dialect: str) -> Iterator[tuple[str, Callable[[], str]]]:
    """The script: its address, and the next header that it got."""
    with process("-c", PEER, dialect) as program:
        assert program.stdout
        yield f"127.0.0.1:{program.stdout.readline().strip()}", program.stdout.readline


@pytest.mark.parametrize("dialect", DIALECTS)
def test_client_calls_a_server_of_the_dialect(dialect: str, tmp_path: pathlib.Path) -> None:
    with serving(dialect, tmp_path) as address, framecall.Client(address, dialect=dialect) as client:
        assert client.call("echo", 1, [2]) == [1, [2]]
        assert client.call("echo", body=bytes(1_000_000)) == bytes(1_000_000)
        assert bytes(client.request("upper", body=b"hello", digest=True, timeout=5).body) == b"HELLO"
        client.notify("echo", 1)
        with client.pipeline() as pipeline:
            for i in range(100):
                pipeline.call("echo", i)
            assert pipeline.execute() == [[i] for i in range(100)]
        with pytest.raises(framecall.MethodNotFoundError):
            client.call("no_such_method")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_aio_client_calls_a_server_of_the_dialect(dialect: str, tmp_path: pathlib.Path, run: Any) -> None:
    async def main(address: str) -> None:
        async with framecall.aio.Client(address, dialect=dialect) as client:
            assert await client.call("echo", 1, [2]) == [1, [2]]
            assert await client.call("echo", body=bytes(1_000_000)) == bytes(1_000_000)
            reply = await client.request("upper", body=b"hello", digest=True, timeout=5)
            assert bytes(reply.body) == b"HELLO"
            await client.notify("echo", 1)
            calls = [client.call("echo", i) for i in range(300)]
            assert await asyncio.gather(*calls) == [[i] for i in range(300)]
            with pytest.raises(framecall.MethodNotFoundError):
                await client.call("no_such_method")

    with serving(dialect, tmp_path) as address:
        run(main(address))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_client_calls_a_peer_of_the_standard_library(dialect: str) -> None:
    with peer(dialect) as (address, _), framecall.Client(address, dialect=dialect, max_idle=0) as client:
        assert client.call("add", 2, 3) == 5
        assert bytes(client.call("upper", body=b"hello")) == b"HELLO"
        with client.stream("count") as stream:
            assert [part.value for part in stream] == [0, 1, 2]
        with pytest.raises(framecall.MethodNotFoundError, match="no method missing"):
            client.call("missing")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_aio_client_calls_a_peer_of_the_standard_library(dialect: str, run: Any) -> None:
    async def main(address: str, next_header: Callable[[], str]) -> None:
        async with framecall.aio.Client(address, dialect=dialect) as client:
            assert await client.call("add", 2, 3) == 5
            assert bytes(await client.call("upper", body=b"hello")) == b"HELLO"
            assert [part.value async for part in client.stream("count")] == [0, 1, 2]
            with pytest.raises(framecall.MethodNotFoundError, match="no method missing"):
                await client.call("missing")
            # Every other kind of frame: one that nobody answers, and what is sent when a call is given up.
            await client.notify("told", 1)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.call("wait"), 0.05)
            with pytest.raises(TimeoutError):
                await client.call("wait", timeout=0.05)
            loop = asyncio.get_running_loop()
            async with client.stream("wait", sending=True) as stream:
                await stream.send(1)
                # What has not left yet when a call is given up is not sent at all.
                lines = [await loop.run_in_executor(None, next_header) for _ in range(11)]
            lines.append(await loop.run_in_executor(None, next_header))
            headers = [framecall.decode_header(line.encode()) for line in lines]
            methods = [header.get("method") for header in headers]
            assert methods == [
                "add",
                "upper",
                "count",
                "missing",
                "told",
                *["wait", "rpc.cancel"] * 2,
                "wait",
                None,
                "rpc.cancel",
            ]
            assert headers[-2]["item"] == 1

    with peer(dialect) as (address, next_header):
        run(main(address, next_header))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_files_over_calls_in_the_dialect(dialect: str, tmp_path: pathlib.Path, run: Any) -> None:
    content = bytes(range(256)) * 8192
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / "root").mkdir()
    (tmp_path / "a.bin").write_bytes(content)

    async def main(address: str) -> None:
        async with framecall.aio.Client(address, dialect=dialect) as client:
            assert await client.put(tmp_path / "a.bin", "b.bin") == digest
            assert await client.get("b.bin", tmp_path / "back.bin") == len(content)
            assert [info.name for info in await client.list()] == ["a.bin", "b.bin"]
            assert (await client.stat("b.bin")).size == len(content)
            assert await client.read("b.bin", offset=1, length=3) == content[1:4]
            await client.remove("b.bin")
            with pytest.raises(framecall.NotFoundError):
                await client.stat("b.bin")

    with serving(dialect, tmp_path / "root") as address:
        with framecall.Client(address, dialect=dialect) as client:
            assert client.put(tmp_path / "a.bin") == digest
            assert client.put(tmp_path / "a.bin", resume=True) == digest
            assert client.get("a.bin", tmp_path / "back.bin") == len(content)
            assert (tmp_path / "back.bin").read_bytes() == content
            assert client.get("a.bin", tmp_path / "back.bin", resume=True) == len(content)
            assert client.read("a.bin", length=300) == content[:300]
            assert [info.name for info in client.list()] == ["a.bin"]
            assert client.send_file(tmp_path / "a.bin", "sent.bin") is True  # in the dialect of the client
            assert client.read("sent.bin") == content
            client.remove("sent.bin")
        run(main(address))
    assert [path.name for path in (tmp_path / "root").iterdir() if not path.name.startswith(".")] == ["a.bin"]


CLIENTS = [framecall.Client, framecall.aio.Client]


@pytest.mark.parametrize("make", CLIENTS)
def test_a_dialect_that_is_none_is_refused_at_once(make: Any, tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r'"big-endain" is neither a file nor .*; did you mean "big-endian"\?'):
        make("127.0.0.1:1", dialect="big-endain")
    with pytest.raises(ValueError, match='dialect: "login" has no calls'):
        make("127.0.0.1:1", dialect="login")
    (tmp_path / "bad.toml").write_text('[prefix]\nordr = "big"\n')
    with pytest.raises(ValueError, match=r'bad.toml.*did you mean "order"'):
        make("127.0.0.1:1", dialect=tmp_path / "bad.toml")
    with pytest.raises(TypeError, match=r"dialect: .* not int"):
        make("127.0.0.1:1", dialect=5)


@pytest.mark.parametrize("make", CLIENTS)
def test_a_dialect_file_of_ones_own(make: Any, tmp_path: pathlib.Path, run: Any) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[prefix]\norder = "big"\nwidth = 2\n')

    async def main(address: str) -> None:
        async with framecall.aio.Client(address, dialect=path) as client:
            assert await client.call("echo", 1) == [1]
            # 2 bytes of length: a header that has no room in them is refused, and nothing of it is sent.
            with pytest.raises(ValueError, match=r"70004 bytes of params .* max_header is 65535"):
                await client.call("echo", "x" * 70_000)
            assert await client.call("echo", 2) == [2]

    with serving(str(path), tmp_path) as address:
        if make is framecall.aio.Client:
            run(main(address))
            return
        with framecall.Client(address, dialect=str(path)) as client:
            assert client.call("echo", 1) == [1]
            with pytest.raises(ValueError, match=r"70004 bytes of params .* max_header is 65535"):
                client.call("echo", "x" * 70_000)
            assert client.call("echo", 2) == [2]


@pytest.mark.parametrize("make", CLIENTS)
def test_the_wrong_dialect_is_named(make: Any, tmp_path: pathlib.Path) -> None:
    """Against a big-endian server: the server's error reply says what to set."""

    async def aio_call(address: str) -> None:
        async with framecall.aio.Client(address) as client:
            await client.call("echo", 1)

    with serving("big-endian", tmp_path) as address, pytest.raises(framecall.ProtocolError, match="big-endian"):
        if make is framecall.aio.Client:
            asyncio.run(aio_call(address))
        with framecall.Client(address) as client:
            client.call("echo", 1)
