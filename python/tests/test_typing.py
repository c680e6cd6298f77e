"""What type checkers and readers see: the types of the package as its users meet them, and the examples of its docs."""

from __future__ import annotations

import asyncio
import doctest
import inspect
import pathlib
import subprocess
import sys

import framecall
import pytest

USE = """
import asyncio
from typing_extensions import assert_never, assert_type
import framecall

assert_type(framecall.encode_header({"a": 1}), bytes)
assert_type(framecall.encode_frame({"a": 1}, bytearray(5)), bytes)
assert_type(framecall.decode_header(memoryview(b"{}"))["a"].anything, Any)
assert_type(framecall.MAX_DEPTH, int)
assert_type(framecall.__version__, str)
decoder = framecall.Decoder(max_header=100)
assert_type(decoder.get_buffer(-1), memoryview)

def use() -> int:
    event = decoder.next_event()
    if event is framecall.NEED_DATA:
        return 0
    if isinstance(event, framecall.HeaderReceived):
        return event.body_size
    if isinstance(event, framecall.BodyReceived):
        return len(event.data)
    if isinstance(event, framecall.EndOfMessage):
        return 1
    assert_type(event, framecall.ConnectionClosed)
    return 2

def use_all() -> None:
    for event in decoder:
        if isinstance(event, framecall.HeaderReceived):
            assert_type(event.header, dict[str, Any])
        elif not isinstance(event, framecall.EndOfMessage):
            assert_type(event.data, bytes)

def use_error() -> None:
    try:
        use()
    except framecall.ProtocolError as error:
        assert_type(error.code, int)
        value_error: ValueError = error
        raise framecall.Error from value_error

def use_client(client: framecall.Client) -> None:
    with client:
        client.call("add", 1, 2).anything
        reply = client.request("add", {"a": 1}, body=b"x", timeout=1.5, metadata={"a": "b"}, digest=True)
        assert_type(reply, framecall.Reply)
        assert_type(reply.body, memoryview)
        assert_type(reply.metadata, dict[str, str])
        for part in client.stream("count", [5]):
            assert_type(part, framecall.Part)
        with client.pipeline() as pipeline:
            assert_type(pipeline.call("add", 1), int)
            assert_type(pipeline.execute(return_errors=True), list[Any])
        assert_type(client.put("a", progress=lambda done, size: None), str)
        assert_type(client.get("a"), int)
        assert_type(client.list(), list[framecall.FileInfo])
        assert_type(client.stat("a").size, int)

async def use_aio() -> None:
    async with framecall.aio.Client("127.0.0.1:1", ssl=True) as client:
        (await client.call("add", 1, 2)).anything
        assert_type(await client.request("add"), framecall.Reply)
        async for part in client.stream("count"):
            assert_type(part.value, Any)
        assert_type(await client.list("x"), list[framecall.FileInfo])

server = framecall.Server("127.0.0.1:0", root=".", max_body=100, loop_factory=asyncio.new_event_loop)

@server.method
def add(a: int, b: int = 1) -> int:
    return a + b

@server.method(name="other")
async def other(a: str) -> str:
    return a

@server.handler(stream=True)
def handle(request: framecall.Request) -> framecall.Response:
    assert_type(request.body, memoryview)
    assert_type(request.cancelled, bool)
    assert_type(sum(part.body.nbytes for part in request.parts()), int)
    return framecall.Response([1], body=b"", metadata={"a": "b"})

assert_type(add(1), int)

def use_remote_error() -> None:
    try:
        add(1)
    except framecall.NotFoundError as error:
        assert_type(error.code, int)
        file_error: FileNotFoundError = error

class Protocol(framecall.Decoder, asyncio.BufferedProtocol):
    def buffer_updated(self, nbytes: int) -> None:
        super().buffer_updated(nbytes)
"""
MISUSE = """
framecall.encode_header([1])
framecall.encode_frame({}, "text")
framecall.decode_header("{}")
framecall.Decoder("1")
framecall.BodyReceived(b"").data = b""
class Derived(framecall.EndOfMessage): ...
decoder.next_event().header
framecall.Client(5)
framecall.Client("127.0.0.1:1").call()
framecall.Client("127.0.0.1:1").request("a", 5)
framecall.Client("127.0.0.1:1", timeout="x")
add("x")
server.method(5)
framecall.Response(metadata={"a": 1})
framecall.Server(root=5)
"""


def test_mypy(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("mypy")
    program = tmp_path / "use.py"
    program.write_text("from typing import Any\n" + USE + MISUSE)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        "--cache-dir",
        str(tmp_path / "cache"),
        program.name,
    ]
    output = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout.splitlines()
    first_wrong = len(USE.splitlines()) + 3
    wrong = {int(line.split(":")[1]) for line in output if ": error:" in line}
    assert wrong == set(range(first_wrong, first_wrong + len(MISUSE.splitlines()) - 1)), "\n".join(output)


def test_examples() -> None:
    names = {"framecall": framecall, "asyncio": asyncio}
    failed, tried = 0, 0
    finder = doctest.DocTestFinder(exclude_empty=True)
    tests = finder.find(framecall, "framecall", extraglobs=names)
    for lazy in (framecall.Server, framecall.aio):
        tests += finder.find(lazy, lazy.__name__, extraglobs=names)
    for test in tests:
        runner = doctest.DocTestRunner()
        result = runner.run(test)
        failed, tried = failed + result.failed, tried + result.attempted
    assert failed == 0
    assert tried >= 35


def test_everything_is_documented() -> None:
    for name in framecall.__all__:
        if name.startswith("__") or name.isupper() or name == "aio":
            continue
        thing = getattr(framecall, name)
        assert thing.__module__ == "framecall", name
        assert inspect.getdoc(thing), name
        assert isinstance(thing, type) or inspect.signature(thing), name
    for name in ("get_buffer", "buffer_updated", "feed", "close", "next_event", "body_left", "offset"):
        assert inspect.getdoc(getattr(framecall.Decoder, name)), name
    if sys.version_info >= (3, 10):
        assert str(inspect.signature(framecall.Decoder)) == "(max_header=1048576, *, dialect='default')"
    assert str(inspect.signature(framecall.encode_frame)) == "(header, body=b'', *, dialect='default')"


def test_version() -> None:
    assert [part.isdigit() for part in framecall.__version__.split(".")] == [True] * 3
