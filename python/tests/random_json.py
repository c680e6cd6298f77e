"""Random and extreme values and JSON texts, for comparing two implementations of JSON.

Values are what programs put into headers, and what they should not: subclasses with texts of their own, keys that are
no strings, lone surrogates, numbers at every border, things that have no JSON. Texts are such values in every spelling
that JSON allows, and in spellings that it does not.
"""

from __future__ import annotations

import collections
import decimal
import enum
import json
import random
import struct
from typing import Any, Callable


class Text(str):
    """A str whose own texts are misleading, as those of many subclasses are."""

    __slots__ = ()

    def __str__(self) -> str:
        return "wrong"

    __repr__ = __str__


class Integer(int):
    def __str__(self) -> str:
        return "wrong"

    __repr__ = __str__


class Real(float):
    __slots__ = ()

    def __str__(self) -> str:
        return "wrong"

    __repr__ = __str__


class Level(enum.IntEnum):
    LOW = -1
    HIGH = 1 << 70


class Color(str, enum.Enum):
    RED = "red"
    ODD = "\ud800\u20ac"


class Sequence(list):
    """Its __iter__() is what json.dumps asks."""

    def __iter__(self) -> Any:
        return reversed(self)


class Mapping(dict):
    """Its items() is what json.dumps asks."""

    def items(self) -> Any:
        return [(key, value) for key, value in super().items()][::-1]


Point = collections.namedtuple("Point", "x y")

STRINGS = [
    "", "x", "id", "method", "body_size", "file name.txt", '"', "\\", "/", "\b\f\n\r\t", "\0", "\x1f", " ", "~", "\x7f",
    "\x80", "\xa0", "\xff", "\u0100", "\u07ff", "\u0800", "\u2028\u2029", "\ud7ff", "\ud800", "\udbff", "\udc00",
    "\udfff", "\ue000", "\ufeff", "\ufffe", "\uffff", "\U00010000", "\U0010ffff", "\ud83d\ude00", "\U0001f600",
    "\ude00\ud83d", "\ud800\ud800", "\ud800\\udc00", "粘包与解决办法.txt", "naïve café", "</script>", "NaN", "null", "a" * 15,
    "a" * 16, "a" * 17, "a" * 22, "a" * 23, "a" * 24, "a" * 31 + '"', "é" * 40, "x" * 300,
]  # fmt: skip
INTEGERS = [
    0, 1, -1, 7, 9, 10, 255, -255,
    *(sign * (1 << bits) + delta for bits in (31, 32, 52, 53, 59, 60, 62, 63, 64, 65, 127) for sign in (1, -1) for delta in (-1, 0, 1)),
    *(sign * 10**count + delta for count in (17, 18, 19, 20, 30) for sign in (1, -1) for delta in (-1, 0, 1)),
]  # fmt: skip
REALS = [
    0.0, -0.0, 0.1, 0.5, 1.0, -1.5, 1e15, 9999999999999998.0, 1e16, 1e17, 1e22, 1e23, 123456789012345680.0, 1e-4,
    9.999e-5, 1e-5, 1.2345e-7, 5e-324, 2.2250738585072014e-308, 2.225073858507201e-308, 1.7976931348623157e308,
    0.30000000000000004, 9007199254740993.0, float("nan"), float("inf"), float("-inf"),
]  # fmt: skip
CONSTANTS = [None, True, False]
ALPHABETS = [
    "abcdefghijklmnopqrstuvwxyz_", "".join(map(chr, range(32, 127))), "".join(map(chr, range(160))),
    "é中\u2028\U0001f600a", "\ud800\udbff\udc00\udfffa\\\"", "".join(map(chr, range(0x7f0, 0x810))),
]  # fmt: skip
UNSERIALIZABLE: list[Callable[[], Any]] = [
    lambda: b"bytes",
    lambda: bytearray(b"bytes"),
    set,
    object,
    lambda: decimal.Decimal("1.5"),
    lambda: 1j,
    lambda: collections.deque([1]),
    lambda: int,
]
NO_KEYS: list[Any] = [(1, 2), b"key", frozenset(), decimal.Decimal(1)]

# Pieces that a mutation puts into a text, legal at some places and wrong at most.
PIECES = [
    b"NaN", b"Infinity", b"-Infinity", b"-NaN", b"+Infinity", b"nan", b"null", b"true", b"false", b"True", b"nul", b"-",
    b"+", b"-0", b"0", b"00", b"01", b"1.", b".5", b"1.5", b"1e5", b"1E+05", b"1e-05", b"1e", b"1e+", b"-0.0", b"-0e0",
    b"1e400", b"-1e400", b"1e-400", b"0x1", b"1_0", b"1.7976931348623159e308", b"1e99999999999999999999",
    b"0e99999999999999999999", b"123456789012345678901234567890", b'"', b'""', b'"a"', b"\\", b'\\"', b"\\\\", b"\\/",
    b"\\b", b"\\u", b"\\u0", b"\\u0041", b"\\u00e9", b"\\ud800", b"\\udc00", b"\\uD83D\\uDE00", b"\\ud83d\\ude00",
    b"\\ud83d\\u0041", b"\\ud83d\\u00", b"\\ud83d\\n", b"\\x41", b"\\'", b"\\u+041", b"\\u 041", b"\\U00000041",
    b"\\u00zz", b"{", b"}", b"[", b"]", b"{}", b"[]", b"[[", b"]]", b",", b":", b", ", b": ", b",,", b'"a":', b'"id": ',
    b'{"id": 1}', b"[1, 2]", b" ", b"\n", b"\t\r", b"\v", b"\f", b"\xc2\xa0", b"\0", b"\x1f", b"\x7f", b"\xc2\x80",
    b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\xef\xbf\xbe", b"\xed\xa0\x80", b"\xed\xb0\x80", b"\xf0\x9f\x98\x80",
    b"\xf4\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80",
    b"\xe0\x9f\xbf", b"\xf0\x80\x80\x80", b"\x80", b"\xbf", b"\xc2", b"\xe2\x82", b"\xf0\x9f\x98", b"\xfe", b"\xff",
    b"//", b"/**/", b"#", b"'a'", "٣".encode(), "１".encode(),
]  # fmt: skip


class Generator:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def below(self, count: int) -> int:
        return int(self.random.random() * count)

    def one_of(self, choices: Any) -> Any:
        return choices[int(self.random.random() * len(choices))]

    # ---- values

    def string(self) -> str:
        if self.random.random() < 0.5:
            return self.one_of(STRINGS)
        alphabet = self.one_of(ALPHABETS)
        return "".join([self.one_of(alphabet) for _ in range(self.below(12))])

    def integer(self) -> int:
        kind = self.below(4)
        if kind == 0:
            return self.one_of(INTEGERS)
        if kind == 1:
            return self.below(2000) - 1000
        value = self.random.getrandbits(1 + self.below(64 if kind == 2 else 300))
        return value if self.random.random() < 0.5 else -value

    def real(self) -> float:
        kind = self.below(4)
        if kind == 0:
            return self.one_of(REALS)
        if kind == 1:
            return round(self.random.uniform(-1000, 1000), self.below(6))
        if kind == 2:
            return self.integer() / 10 ** self.below(20)
        return struct.unpack("<d", self.random.getrandbits(64).to_bytes(8, "little"))[0]

    def key(self, strange: bool) -> Any:
        if not strange or self.random.random() < 0.9:
            return self.string()
        kind = self.below(8)
        if kind == 0:
            return self.one_of(NO_KEYS) if self.random.random() < 0.2 else Text(self.string())
        if kind < 3:
            return self.integer()
        if kind < 5:
            return self.real()
        if kind == 5:
            return self.one_of([Level.LOW, Level.HIGH, Color.RED, Integer(5), Real(2.5)])
        return self.one_of(CONSTANTS)

    def value(self, depth: int, strange: bool) -> Any:
        kind = self.below(16 if depth < 4 else 12)
        if kind < 5:
            return self.string()
        if kind < 8:
            return self.integer()
        if kind < 10:
            return self.real()
        if kind == 10:
            return self.one_of(CONSTANTS)
        if kind == 11:
            return self.strange_value(depth) if strange else self.string()
        if kind < 14:
            return [self.value(depth + 1, strange) for _ in range(self.below(4))]
        return self.mapping(depth, strange)

    def strange_value(self, depth: int) -> Any:
        kind = self.below(16)
        if kind == 0:
            return self.one_of(UNSERIALIZABLE)() if self.random.random() < 0.5 else ()
        if kind < 3:
            return Text(self.string())
        if kind < 5:
            return Integer(self.integer())
        if kind < 7:
            return Real(self.real())
        if kind == 7:
            return self.one_of([*Level, *Color])
        if kind == 8:
            return Sequence([self.value(depth + 1, True) for _ in range(self.below(3))])
        if kind < 11:
            return tuple([self.value(depth + 1, True) for _ in range(self.below(3))])
        if kind == 11:
            return Point(self.integer(), self.value(depth + 1, True))
        content = self.mapping(depth, True)
        return self.one_of([Mapping, collections.OrderedDict, collections.Counter, dict])(content)

    def mapping(self, depth: int, strange: bool) -> dict[Any, Any]:
        return {self.key(strange): self.value(depth + 1, strange) for _ in range(self.below(5))}

    def header(self, strange: bool = True) -> dict[Any, Any]:
        header = self.mapping(0, strange)
        if self.random.random() < 0.3:
            header["jsonrpc"], header["id"], header["method"] = "2.0", self.integer(), self.string()
        return Mapping(header) if strange and self.random.random() < 0.02 else header

    # ---- texts

    def spelling(self, value: Any) -> bytes:
        """A text of `value`, most often not the one of json.dumps."""
        kind = self.below(4)
        if kind == 0:
            text = json.dumps(value)
        elif kind == 1:
            text = json.dumps(value, ensure_ascii=False)
        elif kind == 2:
            text = json.dumps(value, indent=self.one_of([None, 0, 1, "\t"]), separators=(",", ":"))
        else:
            text = json.dumps(
                value, ensure_ascii=self.random.random() < 0.5, separators=("\r\n,\t", " :\n "), indent=" "
            )
        try:
            return text.encode("utf-8")
        except UnicodeEncodeError:  # lone surrogates, which UTF-8 has not: most often escaped, else to be refused
            return json.dumps(value).encode() if self.below(4) else text.encode("utf-8", "surrogatepass")

    def text(self) -> bytes:
        text = self.spelling(self.header(strange=False))
        if self.random.random() < 0.02:
            text = self.spelling(self.value(2, strange=False))
        if self.random.random() < 0.1:
            text = (
                self.one_of([b" ", b"\n\t", b"\r", b"\xef\xbb\xbf", b"\xc2\xa0"])
                + text
                + self.one_of([b" ", b"\r\n", b"\0"])
            )
        count = self.one_of((0, 0, 0, 0, 1, 1, 1, 2, 3, 12))
        for _ in range(count):
            text = self.mutation(text)
        return text

    def mutation(self, text: bytes) -> bytes:
        start = self.below(len(text) + 1)
        end = min(len(text), start + (self.below(3) if self.random.random() < 0.8 else self.below(20)))
        kind = self.below(8)
        if kind < 4:
            middle = self.one_of(PIECES)
        elif kind == 4:
            middle = b""
        elif kind == 5:
            middle = bytes([self.below(256)])
        elif kind == 6:
            middle = text[start:end] * 2
        else:  # another part of the same text
            other = self.below(len(text) + 1)
            middle = text[other : other + self.below(20)]
        return text[:start] + middle + text[end:]
