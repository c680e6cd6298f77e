"""encode_header and decode_header: the bytes and values of CPython's json, and where they differ by design."""

from __future__ import annotations

import array
import collections
import contextlib
import itertools
import json
import math
import os
import sys
import threading
import time
from typing import Any, Callable

import differential
import framecall
import json_cases
import pytest
from framecall import MAX_DEPTH, ProtocolError, decode_header, encode_header
from hypothesis import given, settings
from hypothesis import strategies as st

LONG = bool(os.environ.get("FRAMECALL_LONG_TESTS"))


# ---- the same as json


def test_every_text_is_read_as_json_reads_it() -> None:
    different = []
    texts = json_cases.texts()
    for text in texts:
        theirs, ours = differential.outcome_of_loads(text), differential.outcome_of_decode(text)
        if theirs != ours:
            different.append((text[:100], theirs, ours))
    assert not different
    assert len(texts) > 1000


def test_every_value_is_written_as_json_writes_it() -> None:
    different = []
    for value in json_cases.values():
        for header in ({"a": value}, {"b": 1, "a": [value, value], "c": {"d": value}}):
            theirs, ours = differential.outcome_of_dumps(header), differential.outcome_of_encode(header)
            if theirs != ours:
                different.append((theirs, ours))
    assert not different


def test_random_headers_and_texts() -> None:
    started = time.process_time()
    counts, differences = differential.compare(10_000_000 if LONG else 100_000, seed=2026)
    assert not differences, "\n".join(differences[:5])
    assert min(counts.values()) > 1000, counts
    assert len(counts) == 4
    assert LONG or time.process_time() - started < 60  # three times what a slow machine takes


def test_every_code_point_is_written() -> None:
    for start in range(0, 0x110000, 0x800):
        header = {"text": "".join(map(chr, range(start, start + 0x800)))}
        assert encode_header(header) == json.dumps(header).encode(), hex(start)


def test_every_code_point_is_read() -> None:
    for start in range(0, 0x110000, 0x800):
        text = json.dumps({"text": "".join(map(chr, range(start, start + 0x800)))})
        assert decode_header(text.encode()) == json.loads(text), hex(start)
        if start != 0xD800:
            header = {
                "text": "".join(map(chr, range(max(start, 0x20), start + 0x800))).replace('"', "").replace("\\", "")
            }
            assert decode_header(json.dumps(header, ensure_ascii=False).encode()) == header, hex(start)


def test_every_escape_of_one_unit_is_read() -> None:
    for unit in range(0x10000):
        assert decode_header(b'{"%s": "\\u%04x"}' % (b"a", unit)) == {"a": chr(unit)}
        assert decode_header(b'{"\\u%04X": ""}' % unit) == {chr(unit): ""}


def test_utf8_is_strict() -> None:
    firsts = [bytes([first]) for first in range(0x20, 0x100) if first not in b'"\\']
    edges = bytes([0x20, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF])
    pieces = [first + bytes([second]) for first in firsts for second in range(0x20, 0x100) if second not in b'"\\']
    pieces += [
        first + bytes(rest) for first in firsts for count in (2, 3) for rest in itertools.product(edges, repeat=count)
    ]
    for piece in pieces:
        text = b'{"a": "' + piece + b'"}'
        try:
            expected: Any = piece.decode("utf-8")
        except UnicodeDecodeError:
            expected = None
        try:
            assert decode_header(text) == {"a": expected}, piece
        except ProtocolError:
            assert expected is None, piece


TEXT = st.text(st.characters(exclude_categories=()))  # surrogates too
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=30,
)


@given(st.dictionaries(TEXT, VALUES))
def test_headers_come_back(header: dict[str, Any]) -> None:
    data = encode_header(header)
    assert data == json.dumps(header).encode()
    assert repr(decode_header(data)) == repr(header)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for text in (data, b'{"' + data, b'{"a": ' + data + b"}", b'{"a": "' + data + b'"}'):
        assert differential.outcome_of_decode(text) == differential.outcome_of_loads(text)


@given(st.from_regex(r"\A-?[0-9]{1,25}(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,4})?\Z"))
@settings(max_examples=500)
def test_any_number_is_read_or_refused(number: str) -> None:
    text = b'{"a": ' + number.encode() + b"}"
    assert differential.outcome_of_decode(text) == differential.outcome_of_loads(text)


@given(st.floats())
@settings(max_examples=1000)
def test_any_float_is_written(value: float) -> None:
    assert encode_header({"a": value}) == json.dumps({"a": value}).encode()


def test_order_and_duplicates() -> None:
    assert list(decode_header(b'{"b": 1, "a": 2, "b": 3}').items()) == [("b", 3), ("a", 2)]
    assert encode_header({1: "a", "1": "b"}) == b'{"1": "a", "1": "b"}'


def test_values_have_exact_types() -> None:
    header = decode_header(
        b'{"a": [1, 1.0, true, null, "x", {}, [], -0, -0.0, 1e5, NaN, 123456789012345678901234567890]}'
    )
    types = [int, float, bool, type(None), str, dict, list, int, float, float, float, int]
    assert [type(value) for value in header["a"]] == types
    assert math.copysign(1, header["a"][8]) == -1


# ---- errors


def test_errors_of_reading_are_protocol_errors() -> None:
    with pytest.raises(ProtocolError, match=r"^not JSON: expecting ',' or '}' at byte 8$") as caught:
        decode_header(b'{"a": 1 "b"}')
    assert (caught.value.code, caught.value.offset) == (-32700, 8)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, framecall.Error)
    for text in (b"[]", b"1", b"null", b'"a"'):
        with pytest.raises(ProtocolError, match="not an object") as caught:
            decode_header(text)
        assert caught.value.code == -32600


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: encode_header([]), TypeError, "a header must be a dict, not list"),
        (lambda: encode_header(None), TypeError, "a header must be a dict, not NoneType"),
        (lambda: encode_header(collections.UserDict()), TypeError, "a header must be a dict, not .*UserDict"),
        (lambda: encode_header(), TypeError, "one argument"),
        (lambda: encode_header({"a": {1}}), TypeError, "^Object of type set is not JSON serializable$"),
        (lambda: encode_header({(1, 2): 3}), TypeError, "^keys must be str, int, float, bool or None, not tuple$"),
        (lambda: decode_header("{}"), TypeError, "bytes-like"),
        (lambda: decode_header(None), TypeError, "bytes-like"),
        (lambda: decode_header(memoryview(b"{x}y")[::2]), BufferError, "contiguous"),
    ],
)
def test_misuse(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_any_bytes_like_object_is_read() -> None:
    text = b'{"a": "\\u00e9"}'
    for data in (text, bytearray(text), memoryview(text), array.array("b", text), memoryview(b"x" + text + b"x")[1:-1]):
        assert decode_header(data) == {"a": "é"}

    class Bytes(bytes):
        pass

    assert decode_header(Bytes(text)) == {"a": "é"}


def test_exceptions_of_the_caller_get_through() -> None:
    class Broken(dict):
        def items(self) -> Any:
            raise LookupError("mine")

    class Odd(dict):
        def items(self) -> Any:
            return [1]

    class BrokenList(list):
        def __iter__(self) -> Any:
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        encode_header({"a": [1, Broken(x=1)]})
    with pytest.raises(LookupError, match="mine"):
        encode_header({"a": BrokenList([1])})
    with pytest.raises(ValueError, match="items must return 2-tuples"):
        encode_header(Odd(x=1))


def test_what_items_does_to_the_dict_around_it() -> None:
    outer: dict[str, Any] = {}

    class Nosy(dict):
        def items(self) -> Any:
            outer.clear()
            outer.update((str(i), "new" * 10) for i in range(1000))
            assert encode_header({"inside": [1, 2, 3]}) == b'{"inside": [1, 2, 3]}'
            return super().items()

    outer.update(a=[Nosy(x=1)], b="second" * 10, c=[object()])
    with contextlib.suppress(TypeError):
        encode_header(outer)
    assert encode_header({"a": 1}) == b'{"a": 1}'

    items: list[Any] = []

    class Emptying(dict):
        def items(self) -> Any:
            items.clear()
            return super().items()

    items += [Emptying(x=1), "long" * 10, "text" * 10]
    assert encode_header({"a": items}) == b'{"a": [{"x": 1}]}'


# ---- where the two differ by design: depth. json's own limit is the interpreter's recursion limit, about 990 up to
# CPython 3.11, 1500 in 3.12, 10,000 in 3.13, and it raises RecursionError.


def nested(depth: int, kind: str) -> Any:
    value: Any = {} if kind == "dict" else []
    for _ in range(depth - 2):
        value = {"a": value} if kind == "dict" else [value]
    return {"a": value}


def nested_text(depth: int, kind: str) -> bytes:
    opening, closing = (b'{"a": ', b"}") if kind == "dict" else (b"[", b"]")
    inner = b"{}" if kind == "dict" else b"[]"
    return b'{"a": ' + opening * (depth - 2) + inner + closing * (depth - 2) + b"}"


@pytest.mark.parametrize("kind", ["dict", "list"])
def test_depth(kind: str) -> None:
    assert MAX_DEPTH == 1000
    for depth in (2, 900, MAX_DEPTH):
        text = nested_text(depth, kind)
        assert encode_header(nested(depth, kind)) == text
        assert encode_header(decode_header(text)) == text
    with pytest.raises(ValueError, match="nested deeper than 1000 levels, or circular"):
        encode_header(nested(MAX_DEPTH + 1, kind))
    for depth in (MAX_DEPTH + 1, 5000, 200_000):
        with pytest.raises(ProtocolError, match="nested too deep") as caught:
            decode_header(nested_text(depth, kind))
        assert caught.value.code == -32700
    with pytest.raises(ProtocolError):
        decode_header(b'{"a": ' * 1_000_000)


def test_what_json_can_nest_is_the_same() -> None:
    for kind in ("dict", "list"):
        value = nested(900, kind)
        assert encode_header(value) == json.dumps(value).encode()
        assert encode_header(json.loads(nested_text(900, kind))) == nested_text(900, kind)


def test_depth_with_a_small_stack() -> None:
    failed = []

    def run() -> None:
        try:
            for kind in ("dict", "list"):
                test_depth(kind)
        except BaseException as error:
            failed.append(error)

    before = threading.stack_size(512 * 1024)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert not failed


def test_circular_values_are_refused() -> None:
    header: dict[str, Any] = {"a": 1}
    header["self"] = header
    with pytest.raises(ValueError, match="circular"):
        encode_header(header)
    items: list[Any] = []
    items.append(items)
    with pytest.raises(ValueError, match="circular"):
        encode_header({"a": items})


# ---- digits


def test_the_longest_integers() -> None:
    digits = b"9" * 4300
    for text in (b'{"a": ' + digits + b"}", b'{"a": -' + digits + b"}"):
        assert encode_header(decode_header(text)) == text
    with pytest.raises(ProtocolError, match="4300 digits") as caught:
        decode_header(b'{"a": 1' + digits + b"}")
    assert caught.value.code == -32700
    assert decode_header(b'{"a": 1' + digits + b".0}") == {"a": math.inf}


limited = pytest.mark.skipif(not hasattr(sys, "set_int_max_str_digits"), reason="this Python has no limit of digits")


@limited
def test_longer_integers_are_refused() -> None:
    for value in (10**4300, -(10**4300), 1 << 100_000):
        with pytest.raises(ValueError, match="4300"):
            encode_header({"a": value})


@limited
def test_a_lower_limit_of_digits() -> None:
    text = b'{"a": 1, "b": ' + b"9" * 700 + b"}"
    frame = b"%c%c\0\0" % (len(text) & 255, len(text) >> 8) + text
    sys.set_int_max_str_digits(640)
    try:
        with pytest.raises(ProtocolError, match="700 digits") as caught:
            decode_header(text)
        assert (caught.value.code, caught.value.offset) == (-32700, 14)
        with pytest.raises(ValueError, match="640"):
            encode_header({"a": 10**700})
        decoder = framecall.Decoder()
        decoder.feed(frame[:-1])
        assert decoder.next_event() is framecall.NEED_DATA
        decoder.feed(frame[-1:] + frame)
        with pytest.raises(ProtocolError, match="700 digits") as caught:
            decoder.next_event()
        assert (caught.value.code, caught.value.offset) == (-32700, 18)
    finally:
        sys.set_int_max_str_digits(4300)
    with pytest.raises(ProtocolError, match="700 digits"):
        decoder.next_event()


# ---- size


def test_many_keys() -> None:
    header = {f"key {i}": i for i in range(60_000)}
    started = time.process_time()
    data = encode_header(header)
    assert decode_header(data) == header
    assert time.process_time() - started < 1.5
    assert data == json.dumps(header).encode()


def test_keys_that_share_a_place_in_the_cache() -> None:
    for size in (1, 2, 22, 23, 24, 25):
        for i in range(3000):
            key = f"{i:0{size}}"
            assert list(decode_header(b'{"%s": 1}' % key.encode())) == [key]


def test_long_strings() -> None:
    for text in ("x" * 1_000_000, "é" * 1_000_000, "\U0001f600" * 300_000, '"' * 1_000_000):
        data = encode_header({text: text})
        assert data == json.dumps({text: text}).encode()
        assert decode_header(data) == {text: text}
        assert decode_header(json.dumps({text: text}, ensure_ascii=False).encode()) == {text: text}
