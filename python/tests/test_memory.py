"""What is made is freed: Python objects and the memory of C++, after errors too."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import tracemalloc
from typing import Any, Callable

import framecall
import pytest

HEADER = {
    "jsonrpc": "2.0",
    "id": 1 << 80,
    "method": "upper",
    "params": [1.5, None, True, "é", {"\ud800": ["x" * 500]}],
    "body_size": 3,
}
TEXT = json.dumps(HEADER).encode()
FRAME = framecall.encode_frame(HEADER, b"abc")


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def encode_failing() -> None:
    for bad in ({"a": [HEADER, {1}]}, {"a": [HEADER], (1,): 2}, {"a": 10**5000}, [HEADER]):
        with contextlib.suppress(TypeError, ValueError):
            framecall.encode_header(bad)  # type: ignore[arg-type]


def decode_failing() -> None:
    for cut in (5, 30, 60, 100, len(TEXT) - 1):
        with contextlib.suppress(framecall.ProtocolError):
            framecall.decode_header(TEXT[:cut])
    with contextlib.suppress(framecall.ProtocolError):
        framecall.decode_header(b"[" + TEXT + b"]")


def decode_other_keys(counter: list[int] = [0]) -> None:  # noqa: B006
    counter[0] += 1
    framecall.decode_header(b'{"key %d": {"%d": 1}}' % (counter[0], counter[0]))


def decode_stream() -> None:
    decoder = framecall.Decoder()
    decoder.feed(FRAME[:50])
    view = decoder.get_buffer(-1)
    view[: len(FRAME) - 50] = FRAME[50:]
    decoder.buffer_updated(len(FRAME) - 50)
    for event in decoder:
        repr(event)
    decoder.feed(b"x" * 100_000)
    with contextlib.suppress(framecall.ProtocolError):
        list(decoder)


def views() -> None:
    decoder = framecall.Decoder()
    part = decoder.get_buffer(-1)[5:10]
    for size in (100_000, 200_000):
        with contextlib.suppress(BufferError):
            decoder.get_buffer(size)
    del part
    decoder.get_buffer(100_000)
    decoder.__init__()  # type: ignore[misc]


def events() -> None:
    for event in (
        framecall.HeaderReceived({"a": [1]}, 5),
        framecall.BodyReceived(b"a" * 100),
        framecall.EndOfMessage(),
    ):
        assert event == type(event)(*event.__reduce__()[1])  # type: ignore[arg-type]
        with contextlib.suppress(TypeError):
            type(event)(1, 2, 3)  # type: ignore[call-arg, arg-type]


CALLS: list[Callable[[], Any]] = [
    lambda: framecall.encode_header(HEADER),
    lambda: framecall.decode_header(TEXT),
    lambda: framecall.decode_header(bytearray(TEXT)),
    lambda: framecall.encode_frame(HEADER, body=b"x" * 1000),
    encode_failing,
    decode_failing,
    decode_other_keys,
    decode_stream,
    views,
    events,
]
NAMES = ["encode", "decode", "decode a bytearray", "frame", *[call.__name__ for call in CALLS[4:]]]


@pytest.mark.parametrize("call", CALLS, ids=NAMES)
def test_nothing_is_kept(call: Callable[[], Any]) -> None:
    for _ in range(3000):
        call()
    gc.collect()
    tracemalloc.start()
    try:
        call()
        before, objects = tracemalloc.get_traced_memory()[0], len(gc.get_objects())
        for _ in range(3000):
            call()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 100_000  # the cache of keys holds 512
        assert len(gc.get_objects()) - objects < 50
    finally:
        tracemalloc.stop()
    before = resident()
    for _ in range(10_000):
        call()
    assert resident() - before < 2_000_000


def test_a_large_header_is_given_back() -> None:
    """The memory of messages of 8 MiB must not add up. (The allocator itself keeps some.)"""
    header = {"a": "x" * (8 << 20)}
    before = resident()
    for _ in range(30):
        decoder = framecall.Decoder((1 << 24) - 1)
        decoder.feed(framecall.encode_frame(header))
        assert decoder.next_event() == framecall.HeaderReceived(header, 0)
        del decoder
    assert resident() - before < 64 << 20
