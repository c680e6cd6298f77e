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
    for test in doctest.DocTestFinder(exclude_empty=True).find(framecall, "framecall", extraglobs=names):
        runner = doctest.DocTestRunner()
        result = runner.run(test)
        failed, tried = failed + result.failed, tried + result.attempted
    assert failed == 0
    assert tried >= 25


def test_everything_is_documented() -> None:
    for name in framecall.__all__:
        if name.startswith("__") or name.isupper():
            continue
        thing = getattr(framecall, name)
        assert thing.__module__ == "framecall", name
        assert inspect.getdoc(thing), name
        assert isinstance(thing, type) or inspect.signature(thing), name
    for name in ("get_buffer", "buffer_updated", "feed", "close", "next_event", "body_left", "offset"):
        assert inspect.getdoc(getattr(framecall.Decoder, name)), name
    if sys.version_info >= (3, 10):
        assert str(inspect.signature(framecall.Decoder)) == "(max_header=1048576)"
    assert str(inspect.signature(framecall.encode_frame)) == "(header, body=b'')"


def test_version() -> None:
    assert [part.isdigit() for part in framecall.__version__.split(".")] == [True] * 3
