"""What json.loads takes and refuses, and what json.dumps writes, as data: where implementations of JSON part ways."""

from __future__ import annotations

import collections
import decimal
from typing import Any

from random_json import INTEGERS, REALS, STRINGS, Color, Integer, Level, Mapping, Point, Real, Sequence, Text

# Values, each to stand behind a key. Most are legal.
VALUES = [
    b"NaN", b"Infinity", b"-Infinity", b"-NaN", b"+Infinity", b"+NaN", b"nan", b"infinity", b"inf", b"-inf", b"Inf",
    b"INFINITY", b"Infinit", b"-Infinit", b"Na", b"-", b"NaN1", b"-Infinity0", b"null", b"nul", b"nulll", b"Null",
    b"None", b"true", b"tru", b"True", b"false", b"False", b"fals", b"undefined", b"0", b"-0", b"-0.0", b"-0e0", b"0.0",
    b"0e0", b"00", b"01", b"-01", b"-00", b"+1", b"--1", b"1.", b".5", b"-.5", b"1e", b"1e+", b"1e-", b"1.e1", b"1.5e",
    b"1e1.5", b"1e5", b"1E5", b"1e+5", b"1E-05", b"0x1", b"1_0", b"1,0", b"1 0", b"1.5.5", b"1e5e5", b"1L", b"1f",
    b"- 1", b"1e 5", b"1e400", b"-1e400", b"1e-400", b"-1e-400", b"2e-324", b"3e-324", b"1.7976931348623159e308",
    b"1.7976931348623157e308", b"1e99999999999999999999", b"1e-99999999999999999999", b"0e99999999999999999999",
    b"-0e99999999999999999999", b"0." + b"0" * 400 + b"1", b"0." + b"0" * 400 + b"1e400", b"1" + b"0" * 400 + b".0",
    b"1" + b"0" * 400 + b"e-400", b"9" * 5000 + b".0", b"9" * 5000 + b"e-5000", b"9" * 4300, b"-" + b"9" * 4300,
    b"1" + b"0" * 100, b"9223372036854775807", b"9223372036854775808", b"-9223372036854775808", b"-9223372036854775809",
    b"18446744073709551615", b"18446744073709551616", b"999999999999999999", b"1000000000000000000", b"0.1",
    b"0.30000000000000004", b"123456789012345678901234567890.5", b"9007199254740993.0", b"2.2250738585072011e-308",
    b"2.2250738585072014e-308", b"4.9406564584124654e-324", b"2.4703282292062327e-324", "１".encode(), "٣".encode(),
    "1٣".encode(), b"1\xc2\xa0", b'""', b'"', b"'a'", b'"a', b'"a\\"', b'"a\\\\"', b'"\\',
    b'"\\/\\b\\f\\n\\r\\t\\"\\\\"', b'"\\a"', b'"\\v"', b'"\\0"', b'"\\x41"', b'"\\\'"', b'"\\U0041"', b'"\\u0041"',
    b'"\\u004"', b'"\\u041"', b'"\\u 041"', b'"\\u+041"', b'"\\u-041"', b'"\\u0x41"', b'"\\u004g"',
    b'"\\uABCD\\uabcd\\uAbCd"', '"\\u００４１"'.encode(), b'"\\u00', b'"\\u0041', b'"\\u0000"', b'"\\u007f"', b'"\\u0080"',
    b'"\\u07ff"', b'"\\u0800"', b'"\\uffff"', b'"\\ufeff"', b'"\\ud800"', b'"\\udbff"', b'"\\udc00"', b'"\\udfff"',
    b'"\\ud83d\\ude00"', b'"\\uD83D\\uDE00"', b'"\\ude00\\ud83d"', b'"\\ud800\\ud800\\udc00"', b'"\\ud800\\u0041"',
    b'"\\ud800\\u004"', b'"\\ud800\\u00zz"', b'"\\ud800\\"', b'"\\ud800\\\\udc00"', b'"\\ud800\\n"',
    b'"\\ud800x\\udc00"', b'"\\ud800', b'"\\ud800\\', b'"\\ud800\\u"', b'"\\ud800\\udc0"', b'"\\ud83d\xf0\x9f\x98\x80"',
    b'"\\ud800\xed\xb0\x80"', b'"\\ud83d\\ude00\\ude00"', b'"a\0b"', b'"a\x01b"', b'"a\x1fb"', b'"a\nb"', b'"a\tb"',
    b'"a\rb"', b'"a\x7fb"', b'"a\xc2\x80b"', b'"\xe2\x80\xa8\xe2\x80\xa9"', b'"\xef\xbb\xbf"',
    b'"\xef\xbf\xbe\xef\xbf\xbf"', b'"\xf0\x9f\x98\x80"', b'"\xf4\x8f\xbf\xbf"', b'"\xf4\x90\x80\x80"',
    b'"\xf8\x88\x80\x80\x80"', b'"\xed\x9f\xbf"', b'"\xed\xa0\x80"', b'"\xed\xa0\xbd\xed\xb8\x80"', b'"\xed\xbf\xbf"',
    b'"\xee\x80\x80"', b'"\xc0\x80"', b'"\xc1\xbf"', b'"\xe0\x80\x80"', b'"\xe0\x9f\xbf"', b'"\xe0\xa0\x80"',
    b'"\xf0\x80\x80\x80"', b'"\xf0\x8f\xbf\xbf"', b'"\xf0\x90\x80\x80"', b'"\x80"', b'"\xbf"', b'"\xc2"', b'"\xe2\x82"',
    b'"\xf0\x9f\x98"', b'"\xc2', b'"\xe2\x82', b'"\xf0\x9f\x98', b'"\xfe"', b'"\xff"', b'"\xc3\x28"', b'"\xe9"', b"[]",
    b"[1]", b"[1,2]", b"[1, 2]", b"[ ]", b"[\t\n\r ]", b"[,]", b"[1,]", b"[,1]", b"[1 2]", b"[1,,2]", b"[", b"[1",
    b"[1,", b"]", b"[}", b"[1}", b"{}", b"{ }", b'{"b":1}', b'{"b":1,"b":2,"c":3,"b":4}', b'{"\\u0062":1,"b":2}',
    b"{,}", b'{"b":1,}', b'{,"b":1}', b'{"b" 1}', b'{"b":}', b'{"b":1 "c":2}', b"{b:1}", b"{1:1}", b"{'b':1}",
    b"{null:1}", b'{"b"}', b'{"b":1', b'{"b":', b'{"b"', b'{"b', b"{", b"}", b"{]", b'{"b":1]', b'{"":""}', b'{"b"::1}',
    b'{"b":1:2}', b"// c\n1", b"/**/1", b"1//", b"1/**/", b"#1", b"(1)", b"1;",
]  # fmt: skip

# Whole texts.
TEXTS = [
    b"", b" ", b"{}", b" {} ", b"\r\n\t{}\r\n\t", b"\v{}", b"\f{}", b"\xc2\xa0{}", b"{}\xc2\xa0", b"{}\v",
    b"\xe2\x80\xa8{}", b"\xef\xbb\xbf{}", b"{}\xef\xbb\xbf", b"\0{}", b"{}\0", b"{}\0anything", b"{}{}", b"{} {}",
    b"{},", b"{}x", b"{}]", b"{}}", b"[]", b"[{}]", b"1", b"-1", b"1.5", b'"{}"', b"null", b"true", b"NaN",
    b"-Infinity", b"[", b"{", b"x", b"\xff", b'{"a":1}', b'{ "a" : 1 }', b'{"a"\n:\t1\r}', b'{"a"\v:1}',
    b'{\xc2\xa0"a":1}', b'{"a":1}\n\n', b"'{}'", b"{}\n#", b"/**/{}", b'{"a":1,"a":2}', b'{"a":1,"b":2,"a":3}',
    b'{"\\u0061":1,"a":2,"\\u0061":3}', b'{"\\ud800":1}', b'{"\\ud83d\\ude00":1}', b'{"\xed\xa0\x80":1}', b'{"\x7f":1}',
    b'{"a\\u0000b":1}', b'{"a\0b":1}', b'{"\\":1}', "{\"粘包\": \"é\"}".encode(),
    "{\"粘包\": \"é\"}".encode("gbk", "replace"), "{}".encode("utf-16"), "{}".encode("utf-16-le"), "{}".encode("utf-32"),
    b"GET / HTTP/1.1\r\n\r\n", b"<xml/>", b"\x80\x04K\x01.",
]  # fmt: skip


def texts() -> list[bytes]:
    inside = [prefix + value + b"}" for value in VALUES for prefix in (b'{"a":', b'{"a": ', b'{"z": 1, "a": ')]
    between = [b'{"a": [' + value + b", " + value + b'], "b": ' + value + b"}" for value in VALUES]
    as_key = [b'{"b": 0, ' + value + b": 1}" for value in VALUES]
    cut = [
        text[:size] for text in (b'{"a": [1, -2.5e3, "\\ud83d\\ude00\xc3\xa9", null]} ',) for size in range(len(text))
    ]
    return TEXTS + VALUES + inside + between + as_key + cut


class EmptyMapping(dict):
    def items(self) -> Any:
        return [("a", 1)]


class Unnamed:
    __class__ = property(lambda self: int)  # type: ignore[assignment]


def numbers() -> list[Any]:
    powers = [10.0**exponent * factor for exponent in range(-30, 31) for factor in (1, 1.5, 9.999999999999999)]
    return [*INTEGERS, *REALS, *powers, *[-power for power in powers], 10**4299, -(10**4299), 10**4300 - 1]


def values() -> list[Any]:
    """Values, each to stand behind a key; some are refused."""
    strings = list(STRINGS)
    for character in "é中\U0001f600":
        strings += (text + character for text in STRINGS)
    return [
        *numbers(), *strings, None, True, False, [], {}, (), [[]], [{}], {"a": {}}, {"a": []}, [1, 2],
        [1, [2, [3, {"b": None}]]], (1, 2), Point(1, 2), collections.OrderedDict(b=1, a=2),
        collections.defaultdict(int, a=1), collections.Counter("aab"), Mapping(a=1, b=2), EmptyMapping(),
        EmptyMapping(b=2), Sequence([1, 2, 3]), Sequence(), Text("it\u2028"), Text(""), Integer(5), Integer(1 << 70),
        Integer(-1), Real(2.5), Real("nan"), Level.LOW, Level.HIGH, Color.RED, Color.ODD, {1: "a", "1": "b"},
        {None: 1, True: 2, False: 3, "true": 4}, {1.5: 1, float("nan"): 2, float("-inf"): 3, 1e16: 4, -0.0: 5},
        {1 << 80: 1, -7: 2}, {Integer(6): 1, Real(0.5): 2, Level.HIGH: 3}, {Text("t"): 1, Color.ODD: 2},
        {"\ud800": "\udfff", "\U0001f600": "\ud83d\ude00"}, b"bytes", bytearray(b"b"), memoryview(b"b"), {1, 2},
        frozenset(), object(), decimal.Decimal("1.5"), 1j, int, len, ..., NotImplemented, range(3), iter([1]),
        collections.deque([1]), Unnamed(), collections, [1, b"x"], {"a": {1}}, {b"key": 1}, {(1, 2): 3},
        {frozenset(): 1}, {decimal.Decimal(1): 1}, {object: 1}, {"a": 1, b"b": object()},
    ]  # fmt: skip
