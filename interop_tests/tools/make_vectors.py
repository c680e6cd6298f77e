"""Writes vectors.json: the wire format as data. Run it after a change; a test compares the two.

    python3 interop_tests/tools/make_vectors.py            writes interop_tests/vectors/vectors.json

Every expectation is stated here by hand. Nothing is computed with a decoder or with `json.loads`, so
that a mistake there cannot hide in the data.
"""
import hashlib
import json
import os
import struct

ABOUT = [
    "Frames as data, for every implementation. Written by make_vectors.py, explained in README.md.",
    "`decode`: feed `hex` in any pieces; expect `messages`, then `end`.",
    "`end` `closed`: the stream ends after these bytes, between two messages.",
    "`end` `need_data`: the stream does not end; the decoder waits for more.",
    "`end` {`error`: CODE}: -32600 and -32700 come from the bytes alone; `truncated` from the stream's end.",
    "`partial`: the message that was cut: its header has been read, and this much of its body came.",
    "`header` is JSON text as Python's json.dumps writes the value that was read: compare texts.",
    "`max_header`: the limit to decode with; absent = 1048576.",
    "`encode`: the value that `header_text` stands for, with `body`, is written as `hex`.",
    "`calls`: what a server with the methods named in README.md answers to `send`, frame by frame; `end` `closed`:",
    "it then ends the connection itself. An error's message is for people: compare `id`, `error.code` and `result`.",
    "`uploads`: frames that are files, sent to a server with an empty root folder; `stored` is in it afterwards, by name,",
    "and nothing else; `error`: the code of the refusal that ends the connection, absent: there is no answer.",
    "`dialects`: the bytes `send` to a server of that dialect with `files`; it says `receive`, and has `stored` afterwards.",
    "A text may be a list: its items, each a text or [text, count], joined; this goes for hex too.",
]

MAX_HEADER = 1 << 20


def join(pieces):
    """The bytes of a list whose items are bytes or (bytes, count)."""
    return b"".join(p if isinstance(p, bytes) else p[0] * p[1] for p in pieces)


def compact(pieces, spell):
    """Pieces for the file: adjacent plain ones joined; a single plain one stands alone."""
    result = []
    for piece in pieces:
        if isinstance(piece, tuple):
            result.append([spell(piece[0]), piece[1]])
        elif result and isinstance(result[-1], str):
            result[-1] += spell(piece)
        else:
            result.append(spell(piece))
    if not result:
        return ""
    return result[0] if len(result) == 1 and isinstance(result[0], str) else result


def pieces_of(value):
    """str, bytes or a list of them and of (text, count) -> a list of bytes and (bytes, count)."""
    def raw(item):
        if isinstance(item, tuple):
            return (raw(item[0]), item[1])
        return item.encode("utf-8") if isinstance(item, str) else item
    return [raw(item) for item in (value if isinstance(value, list) else [value])]


def as_hex(value):
    return compact(pieces_of(value), bytes.hex)


def as_text(value):
    return compact(pieces_of(value), lambda piece: piece.decode("ascii"))


def frame(header, body=b""):
    pieces = pieces_of(header)
    return [struct.pack("<i", len(join(pieces)))] + pieces + pieces_of(body)


decode_cases = []
encode_cases = []


def case(name, data, messages, end, partial=None, max_header=None):
    """`messages`: (header, body) pairs; `partial`: one such pair."""
    def spelled(message):
        return {"header": as_text(message[0]), "body": as_hex(message[1])}
    entry = {"name": name, "hex": as_hex(data)}
    if max_header is not None:
        entry["max_header"] = max_header
    entry["messages"] = [spelled(message) for message in messages]
    if partial is not None:
        entry["partial"] = spelled(partial)
    entry["end"] = end if isinstance(end, str) else {"error": end[0]}
    decode_cases.append(entry)


TRUNCATED = ["truncated"]
PARSE_ERROR = [-32700]
INVALID = [-32600]


def good(name, header, canonical=None, body=b""):
    """One whole frame. `canonical`: the header as json.dumps writes it, where that differs."""
    case(name, frame(header, body), [(header if canonical is None else canonical, body)], "closed")


def bad(name, header, end):
    """One frame whose header is refused, with bytes after it that must not be read as a frame."""
    case(name, frame(header) + [b"more"], [], end)


# ---------------------------------------------------------------------------------------- whole frames
PING = '{"jsonrpc": "2.0", "id": 1, "method": "rpc.ping"}'
UPPER = '{"id": 1, "method": "upper", "body_size": 5}'
UPLOAD = '{"file_name": "a.txt", "file_size": 6}'

case("nothing at all", [], [], "closed")
good("request without a body", PING)
good("request with a body", UPPER, body=b"hello")
good("notification", '{"method": "log", "params": {"a": [1, 2]}}')
good("reply", '{"jsonrpc": "2.0", "id": "x-1", "result": {"n": 3}}')
good("reply with a null result and a body", '{"id": 2, "result": null, "body_size": 3}', body=b"abc")
good("error reply",
     '{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "Invalid Request"}}')
good("error reply with a body", '{"id": 3, "error": {"code": 1, "message": ""}, "body_size": 1}', body=b"!")
good("stream item", '{"id": 4, "item": 0, "more": true, "body_size": 2}', body=b"\x00\xff")
good("upload", UPLOAD, body=b"a\nb\nc\n")
good("upload of an empty file", '{"file_name": "empty", "file_size": 0}')
good("upload with the published typo", '{"file_name": "a.txt", "file_siz": 3}', body=b"abc")
good("upload with filesize", '{"filename": "a.txt", "filesize": 3}', body=b"abc")
good("upload with total_size", '{"file_name": "a.txt", "total_size": 3}', body=b"abc")
good("upload with other keys",
     '{"file_name": "a.txt", "md5": "xxdxxx", "file_size": 3, "n": null}', body=b"abc")
good("shortest header", "{}")
good("body_size 0", '{"id": 1, "method": "m", "body_size": 0}')
good("size written as -0", '{"file_name": "a", "file_size": -0}', '{"file_name": "a", "file_size": 0}')
good("size keys of uploads mean nothing beside a method",
     '{"id": 1, "method": "m", "file_size": 9, "file_siz": "x", "body_size": 2}', body=b"ab")
good("body that looks like frames", '{"file_name": "a", "file_size": 12}', body=b"\x02\x00\x00\x00{}" * 2)
good("binary body", '{"file_name": "a", "file_size": 256}', body=bytes(range(256)))
good("body of 100000 bytes", '{"file_name": "a", "file_size": 100000}', body=[(b"\r\n", 50000)])
case("two frames at once", frame(PING) + frame(UPPER, b"hello"), [(PING, b""), (UPPER, b"hello")], "closed")
case("uploads and calls on one stream",
     frame(UPLOAD, b"a\nb\nc\n") + frame(UPPER, b"world") + frame("{}") + frame(UPLOAD, b"123456"),
     [(UPLOAD, b"a\nb\nc\n"), (UPPER, b"world"), ("{}", b""), (UPLOAD, b"123456")], "closed")
case("a hundred frames at once", [(join(frame("{}")), 100)], [("{}", b"")] * 100, "closed")

# ----------------------------------------------------------------------------------------- white space
good("compact separators", '{"id":1,"method":"m","params":[1,2]}', '{"id": 1, "method": "m", "params": [1, 2]}')
good("indented", '{\n\t"id": 1,\r\n\t"method": [ ]\n}', '{"id": 1, "method": []}')
good("white space after the object", '{"id": 1} \t\r\n', '{"id": 1}')
good("white space before the object", '\n {"id": 1}', '{"id": 1}')
good("white space to fill 16 bytes", "{}" + " " * 14, "{}")
bad("NUL after the object", "{}\x00", PARSE_ERROR)
bad("vertical tab after the object", "{}\x0b", PARSE_ERROR)
bad("form feed after the object", "{}\x0c", PARSE_ERROR)
bad("no-break space after the object", "{}\u00a0", PARSE_ERROR)
bad("white space only", "  ", PARSE_ERROR)

# ---------------------------------------------------------------------------------------------- strings
good("raw Chinese", '{"a": "\u4f60\u597d"}', '{"a": "\\u4f60\\u597d"}')
good("escaped Chinese", '{"a": "\\u4F60\\u597d"}', '{"a": "\\u4f60\\u597d"}')
good("Chinese key", '{"\u540d": 1}', '{"\\u540d": 1}')
good("raw character outside the BMP", '{"a": "\U0001f600"}', '{"a": "\\ud83d\\ude00"}')
good("surrogate pair escape", '{"a": "\\uD83D\\uDE00"}', '{"a": "\\ud83d\\ude00"}')
good("lone high surrogate escape", '{"a": "\\ud800"}')
good("lone low surrogate escape", '{"a": "\\udfff"}')
good("surrogate escapes in the wrong order", '{"a": "\\udc00\\ud800"}')
good("high surrogate before another escape", '{"a": "\\ud800\\u0041"}', '{"a": "\\ud800A"}')
good("high surrogate before a pair", '{"a": "\\ud800\\ud83d\\ude00"}')
good("short escapes", '{"a": "\\b\\f\\n\\r\\t\\"\\\\\\/"}', '{"a": "\\b\\f\\n\\r\\t\\"\\\\/"}')
good("long escapes of short ones", '{"a": "\\u0008\\u000a\\u001F\\u0000\\u0022\\u005c"}',
     '{"a": "\\b\\n\\u001f\\u0000\\"\\\\"}')
good("DEL", '{"a": "\x7f"}', '{"a": "\\u007f"}')
good("line and paragraph separators", '{"a": "\u2028\u2029"}', '{"a": "\\u2028\\u2029"}')
good("noncharacters", '{"a": "\ufffe\uffff\U0010ffff"}', '{"a": "\\ufffe\\uffff\\udbff\\udfff"}')
good("byte order mark inside a string", '{"a": "\ufeff"}', '{"a": "\\ufeff"}')
good("empty key", '{"": ""}')
good("brackets in a string do not nest", ['{"a": "', ("[", 3000), ("{", 3000), '\\""}'])
bad("raw control character in a string", '{"a": "\x1f"}', PARSE_ERROR)
bad("raw line feed in a string", '{"a": "\n"}', PARSE_ERROR)
bad("raw NUL in a string", '{"a": "\x00"}', PARSE_ERROR)
bad("escape x", '{"a": "\\x41"}', PARSE_ERROR)
bad("escaped apostrophe", '{"a": "\\\'"}', PARSE_ERROR)
bad("escape of three digits", '{"a": "\\u004"}', PARSE_ERROR)
bad("escape with a sign", '{"a": "\\u+041"}', PARSE_ERROR)
bad("escape with a blank", '{"a": "\\u 041"}', PARSE_ERROR)
bad("high surrogate before a broken escape", '{"a": "\\ud800\\u00"}', PARSE_ERROR)
bad("string without end", '{"a": "b', PARSE_ERROR)

# ------------------------------------------------------------------------------------------------ UTF-8
for name, raw in [
        ("lone continuation byte", b"\x80"), ("byte FF", b"\xff"), ("overlong NUL", b"\xc0\x80"),
        ("overlong slash", b"\xe0\x80\xaf"), ("encoded surrogate", b"\xed\xa0\x80"),
        ("above U+10FFFF", b"\xf4\x90\x80\x80"), ("cut sequence", b"\xe4\xbd"), ("Latin-1", b"caf\xe9")]:
    bad("not UTF-8: " + name, [b'{"a": "', raw, b'"}'], PARSE_ERROR)
bad("not UTF-8 outside of a string", [b'{"a": 1}', b"\xa0"], PARSE_ERROR)
bad("byte order mark before the object", '\ufeff{"a": 1}', PARSE_ERROR)
bad("UTF-16", '{"a": 1}'.encode("utf-16-le"), PARSE_ERROR)

# ---------------------------------------------------------------------------------------------- numbers
good("integers at the edge of 64 bits",
     '{"a": [9223372036854775807, 9223372036854775808, 18446744073709551616, -9223372036854775809]}')
good("id beyond 64 bits", '{"id": 123456789012345678901234567890, "method": "m"}')
good("integer of 4300 digits", ['{"a": ', ("7", 4300), "}"])
good("negative zeros", '{"a": [-0, -0.0, -0e0]}', '{"a": [0, -0.0, -0.0]}')
good("floats as Python writes them",
     '{"a": [1e15, 9999999999999998.0, 1e16, 1E22, 1e23, 0.0001, 1e-5, 5e-324, 0.1, 1.50]}',
     '{"a": [1000000000000000.0, 9999999999999998.0, 1e+16, 1e+22, 1e+23, 0.0001, 1e-05, 5e-324, 0.1, 1.5]}')
good("floats out of range", '{"a": [1e400, -1e400, 1e-400, -1e-400]}', '{"a": [Infinity, -Infinity, 0.0, -0.0]}')
good("NaN and the infinities", '{"a": [NaN, Infinity, -Infinity]}')
for text in ["-NaN", "nan", "+Infinity", "01", "-01", "+1", "1.", ".5", "1e", "0x1", "1_0", "-", "\uff11"]:
    bad("not a number: " + text.encode("ascii", "backslashreplace").decode("ascii"), '{"a": %s}' % text, PARSE_ERROR)

# -------------------------------------------------------------------------------------------- duplicates
good("duplicate key: last value, first place", '{"a": 1, "b": 2, "a": 3}', '{"a": 3, "b": 2}')
good("duplicate key, once escaped", '{"a": 1, "\\u0061": 2}', '{"a": 2}')
good("duplicate size: the last one counts", '{"file_name": "a", "file_size": 9, "file_size": 2}',
     '{"file_name": "a", "file_size": 2}', body=b"ab")
good("duplicate size: an earlier bad one is gone", '{"file_name": "a", "file_size": "9", "file_size": 2}',
     '{"file_name": "a", "file_size": 2}', body=b"ab")
bad("duplicate size: a later bad one counts", '{"file_name": "a", "file_size": 2, "file_size": "9"}', INVALID)

# ------------------------------------------------------------------------------------------------ depth
good("1000 levels of arrays and the object", ['{"a": ', ("[", 999), ("]", 999), "}"])
good("1000 levels of objects", [('{"a": ', 999), "{}", ("}", 999)])
bad("1001 levels with arrays", ['{"a": ', ("[", 1000), ("]", 1000), "}"], PARSE_ERROR)
bad("1001 levels of objects", [('{"a": ', 1000), "{}", ("}", 1000)], PARSE_ERROR)
bad("100000 opening brackets", ['{"a": ', ("[", 100000)], PARSE_ERROR)

# ----------------------------------------------------------------------------------------------- syntax
for name, text in [
        ("comma at the end", '{"a": 1,}'), ("comma alone", "{,}"), ("comment", '{"a": 1 /* */}'),
        ("apostrophes", "{'a': 1}"), ("bare key", "{a: 1}"), ("number as key", "{1: 2}"),
        ("two objects", "{}{}"), ("text after the object", '{"a": 1} x'), ("object without end", '{"a": 1'),
        ("missing value", '{"a": }'), ("missing colon", '{"a" 1}'), ("plain text", "hello world"),
        ("True", '{"a": True}'), ("wrong bracket", '{"a": [1}}')]:
    bad("not JSON: " + name, text, PARSE_ERROR)
for name, text in [
        ("array", "[]"), ("array of objects", '[{"id": 1, "method": "m"}]'), ("string", '"{}"'),
        ("number", "12"), ("float", "1.5"), ("true", "true"), ("null", "null"), ("NaN", "NaN")]:
    bad("not an object: " + name, text, INVALID)

# ---------------------------------------------------------------------------------------------- lengths
for length in [0, 1, -1, -2147483648, MAX_HEADER + 1, 0x01000000, 0x7fffffff]:
    case("header length %d" % length, [struct.pack("<i", length), b"{}"], [], INVALID)
case("header length in big-endian order", [struct.pack(">i", 2), b"{}"], [], INVALID)
case("HTTP instead of a frame", [b"GET / HTTP/1.1\r\n\r\n"], [], INVALID)
case("bad length known from its four bytes", [struct.pack("<i", 0)], [], INVALID)
good("header of exactly the limit", ['{"a": "', ("x", MAX_HEADER - 9), '"}'])
good("header of exactly the limit, mostly blanks", ["{}", (" ", MAX_HEADER - 2)], "{}")
case("smaller limit, just kept", frame('{"a": "xxxxxxx"}'), [('{"a": "xxxxxxx"}', b"")], "closed", max_header=16)
case("smaller limit, passed by one", frame('{"a": "xxxxxxxx"}'), [], INVALID, max_header=16)
case("larger limit", frame(["{}", (" ", 2 * MAX_HEADER)]), [("{}", b"")], "closed", max_header=3 * MAX_HEADER)
case("largest limit: the fourth byte is still 0", [b"\xff\xff\xff\x00", b"{}"], [], "need_data", max_header=0xffffff)
case("above the largest limit", [b"\x00\x00\x00\x01", b"{}"], [], INVALID, max_header=0xffffff)
case("bad length after good frames", frame(PING) + frame(UPPER, b"hello") + [b"\x00\x00\x00\x00{}"],
     [(PING, b""), (UPPER, b"hello")], INVALID)
case("bad header after good frames", frame(UPPER, b"hello") + frame("[1]") + frame(PING),
     [(UPPER, b"hello")], INVALID)
case("body larger than announced", frame(UPPER, b"hello!!!!"), [(UPPER, b"hello")], INVALID)

# ------------------------------------------------------------------------------------------------ sizes
BAD_SIZES = ["true", "false", "1.0", "0.0", "1e2", '"12"', '""', "null", "[]", "[1]", "{}", "-1",
             "9223372036854775808", "18446744073709551616", "-9223372036854775808",
             "1000000000000000000000000000000", "NaN", "Infinity", "-0.0"]
for size in BAD_SIZES:
    bad("file_size " + size, '{"file_name": "a", "file_size": %s}' % size, INVALID)
    bad("body_size " + size, '{"id": 1, "method": "m", "body_size": %s}' % size, INVALID)
for alias in ["file_siz", "filesize", "total_size"]:
    bad(alias + " true", '{"file_name": "a", "%s": true}' % alias, INVALID)
    bad(alias + " differs from file_size", '{"file_name": "a", "file_size": 3, "%s": 4}' % alias, INVALID)
    good(alias + " agrees with file_size", '{"file_name": "a", "%s": 3, "file_size": 3}' % alias, body=b"abc")
bad("body_size -1 in a reply", '{"id": 1, "result": 0, "body_size": -1}', INVALID)
bad("body_size 1.0 in an error reply", '{"id": 1, "error": {"code": 1, "message": ""}, "body_size": 1.0}', INVALID)
bad("body_size true in a stream item", '{"id": 1, "item": 0, "body_size": true}', INVALID)
bad("aliases 3 and 3.0", '{"file_name": "a", "file_size": 3, "file_siz": 3.0}', INVALID)
bad("aliases 0 and false", '{"file_name": "a", "file_siz": 0, "file_size": false}', INVALID)
bad("aliases that differ beyond the first two",
    '{"file_name": "a", "file_size": 3, "file_siz": 3, "filesize": 3, "total_size": 4}', INVALID)
good("all four aliases agree",
     '{"file_name": "a", "file_size": 3, "file_siz": 3, "filesize": 3, "total_size": 3}', body=b"abc")
LARGEST = "9223372036854775807"
for header in ['{"file_name": "a", "file_size": %s}' % LARGEST, '{"id": 1, "method": "m", "body_size": %s}' % LARGEST]:
    key = "file_size" if "file_name" in header else "body_size"
    case("largest %s" % key, frame(header, b"abc"), [], "need_data", partial=(header, b"abc"))
    case("largest %s, then the end" % key, frame(header, b"abc"), [], TRUNCATED, partial=(header, b"abc"))

# ---------------------------------------------------------------------------------------------- cut off
whole = join(frame(UPPER, b"hello"))
head = len(whole) - 5
for name, count in [("one byte of the prefix", 1), ("two bytes of the prefix", 2), ("three bytes of the prefix", 3),
                    ("the prefix", 4), ("the first byte of the header", 5), ("half of the header", 20),
                    ("all of the header but one byte", head - 1), ("the header", head),
                    ("one byte of the body", head + 1), ("all of the body but one byte", head + 4)]:
    partial = (UPPER, whole[head:count]) if count >= head else None
    case("waiting after " + name, [whole[:count]], [], "need_data", partial)
    case("cut after " + name, [whole[:count]], [], TRUNCATED, partial)
case("waiting for the first byte", [], [], "need_data")
case("waiting between two frames", [whole], [(UPPER, b"hello")], "need_data")
case("cut inside the second prefix", [whole, whole[:2]], [(UPPER, b"hello")], TRUNCATED)
case("cut inside the second header", [whole, whole[:9]], [(UPPER, b"hello")], TRUNCATED)
case("cut inside the second body", [whole, whole[:-2]], [(UPPER, b"hello")], TRUNCATED, (UPPER, b"hel"))


# --------------------------------------------------------------------------------------------- encoding
def encode(name, header_text, canonical=None, body=b""):
    encode_cases.append({
        "name": name, "header_text": as_text(header_text), "body": as_hex(body),
        "hex": as_hex(frame(header_text if canonical is None else canonical, body))})


encode("shortest header", "{}")
encode("request", '{"id":1,"method":"upper","body_size":5}', UPPER, b"hello")
encode("upload", UPLOAD, body=b"a\nb\nc\n")
encode("upload with the published typo", '{"file_name":"a.txt","file_siz":3}',
       '{"file_name": "a.txt", "file_siz": 3}', b"abc")
encode("order of keys is kept", '{"z": 1, "a": 2, "m": 3}')
encode("nested and empty containers", '{"a":{},"b":[],"c":[[],{}],"d":{"e":[1,{"f":null}]}}',
       '{"a": {}, "b": [], "c": [[], {}], "d": {"e": [1, {"f": null}]}}')
encode("constants", '{"a": [true, false, null]}')
encode("Chinese", '{"a": "\\u4f60\\u597d"}')
encode("outside the BMP", '{"a": "\\ud83d\\ude00"}')
encode("lone surrogates", '{"a": "\\ud800", "b": "\\udc00\\ud800"}')
encode("escapes", '{"a": "\\b\\f\\n\\r\\t\\"\\\\\\/\\u0000\\u001f\\u007f"}',
       '{"a": "\\b\\f\\n\\r\\t\\"\\\\/\\u0000\\u001f\\u007f"}')
encode("escapes in keys", '{"\\u540d\\n": 1}')
encode("integers", '{"a": [0, -0, -1, 9223372036854775807, 18446744073709551615, 123456789012345678901234567890]}',
       '{"a": [0, 0, -1, 9223372036854775807, 18446744073709551615, 123456789012345678901234567890]}')
encode("floats", '{"a":[0.1,1e15,1e16,1e22,1e23,1e-4,1e-5,5e-324,1.7976931348623157e308,-0.0,100.0]}',
       '{"a": [0.1, 1000000000000000.0, 1e+16, 1e+22, 1e+23, 0.0001, 1e-05, 5e-324,'
       ' 1.7976931348623157e+308, -0.0, 100.0]}')
encode("NaN and the infinities", '{"a": [NaN, Infinity, -Infinity]}')
encode("1000 levels", ['{"a": ', ("[", 999), ("]", 999), "}"])
encode("long body", '{"file_name": "a", "file_size": 100000}', body=[(b"\x00\xff", 50000)])


# ---------------------------------------------------------------------------------------------- calls
# The first ones are the examples of the JSON-RPC 2.0 specification, section 7, without its batches.
call_cases = []


def calls(name, send, receive, closed=False):
    entry = {"name": name, "send": [{"header": header, "body": as_hex(body)} for header, body in send],
             "receive": [{"header": header, "body": as_hex(body)} for header, body in receive]}
    if closed:
        entry["end"] = "closed"
    call_cases.append(entry)


def call(name, send, *receive, **options):
    calls(name, [(send, b"")], [(header, b"") for header in receive], **options)


def ok(id_text, value):
    return '{"jsonrpc": "2.0", "id": %s, "result": %s}' % (id_text, value)


def failed(id_text, code):
    return '{"jsonrpc": "2.0", "id": %s, "error": {"code": %d}}' % (id_text, code)


call("params by position", '{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}', ok("1", "19"))
call("params by position, swapped", '{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}', ok("2", "-19"))
call("params by name", '{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}',
     ok("3", "19"))
call("params by name, swapped",
     '{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}', ok("4", "19"))
call("notification with params", '{"jsonrpc": "2.0", "method": "update", "params": [1, 2, 3, 4, 5]}')
call("notification of nothing known", '{"jsonrpc": "2.0", "method": "foobar"}')
call("method that is not there", '{"jsonrpc": "2.0", "method": "foobar", "id": "1"}', failed('"1"', -32601))
call("invalid JSON", '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', failed("null", -32700), closed=True)
call("request that is none", '{"jsonrpc": "2.0", "method": 1, "params": "bar"}', failed("null", -32600), closed=True)
call("sum", '{"jsonrpc": "2.0", "method": "sum", "params": [1, 2, 4], "id": "1"}', ok('"1"', "7"))
call("data", '{"jsonrpc": "2.0", "method": "get_data", "id": "9"}', ok('"9"', '["hello", 5]'))
call("batch", "[]", failed("null", -32600), closed=True)
# What framecall adds.
call("big id", '{"id": 123456789012345678901234567890, "method": "rpc.ping"}',
     ok("123456789012345678901234567890", '"pong"'))
for id_text in "1.5", "1.50", "1e3", "1E+2", "-0", "0.5", "1785436523.123":
    call("id " + id_text, '{"id": %s, "method": "rpc.ping"}' % id_text, ok(id_text, '"pong"'))
for id_text in "null", "true", "[1]", "{}", "NaN", "-Infinity":
    calls("id %s, which is no id" % id_text,
          [('{"id": %s, "method": "rpc.ping", "body_size": 2}' % id_text, b"ab"), ('{"id": 1, "method": "rpc.ping"}', b"")],
          [(failed("null", -32600), b""), (ok("1", '"pong"'), b"")])
call("a version with an escape", '{"jsonrpc": "2.\\u0030", "id": 1, "method": "rpc.ping"}', ok("1", '"pong"'))
call("parameter of another type", '{"id": 1, "method": "subtract", "params": ["x", 1]}', failed("1", -32602))
call("parameter that is missing", '{"id": 1, "method": "subtract", "params": [1]}', failed("1", -32602))
call("another version", '{"jsonrpc": "1.0", "id": 1, "method": "rpc.ping"}', failed("1", -32600))
call("method and result", '{"id": 1, "method": "rpc.ping", "result": 1}', failed("1", -32600))
call("part of nothing", '{"id": 7, "item": 1}')
calls("body", [('{"id": 1, "method": "upper", "body_size": 5}', b"hello")],
      [('{"jsonrpc": "2.0", "id": 1, "result": null, "body_size": 5}', b"HELLO")])
calls("right digest", [('{"id": 1, "method": "upper", "body_size": 5, "digest": '
                        '{"sha-256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="}}', b"hello")],
      [('{"jsonrpc": "2.0", "id": 1, "result": null, "body_size": 5}', b"HELLO")])
calls("wrong digest", [('{"id": 1, "method": "upper", "body_size": 5, "digest": {"sha-256": "AAAA"}}', b"hello")],
      [(failed("1", -32055), b"")])
calls("parts both ways",
      [('{"id": 1, "method": "echo_parts", "more": true, "stream": true}', b""),
       ('{"id": 1, "item": [1], "more": true}', b""),
       ('{"id": 1, "item": null, "more": true, "body_size": 3}', b"abc"),
       ('{"id": 1, "item": "last"}', b"")],
      [('{"jsonrpc": "2.0", "id": 1, "result": [1], "more": true}', b""),
       ('{"jsonrpc": "2.0", "id": 1, "result": null, "more": true, "body_size": 3}', b"abc"),
       ('{"jsonrpc": "2.0", "id": 1, "result": "last", "more": true}', b""),
       ('{"jsonrpc": "2.0", "id": 1, "result": null}', b"")])
call("parts without \"stream\": true", '{"id": 1, "method": "echo_parts"}', ok("1", "null"))
calls("a stream that does not take its parts", [('{"id": 1, "method": "subtract", "more": true}', b""),
                                                ('{"id": 1, "item": 5}', b"")], [(failed("1", -32600), b"")])
calls("a stream of one part",
      [('{"id": "s", "method": "echo_parts", "more": true, "stream": true}', b""), ('{"id": "s", "item": 1}', b"")],
      [('{"jsonrpc": "2.0", "id": "s", "result": 1, "more": true}', b""), (ok('"s"', "null"), b"")])
calls("a stream without parts: its last frame is null and has no body",
      [('{"id": 1, "method": "echo_parts", "more": true, "stream": true}', b""), ('{"id": 1, "item": null}', b"")],
      [(ok("1", "null"), b"")])
calls("a last part that is null and has a body is a part",
      [('{"id": 1, "method": "echo_parts", "more": true, "stream": true}', b""),
       ('{"id": 1, "item": null, "body_size": 2}', b"ab")],
      [('{"jsonrpc": "2.0", "id": 1, "result": null, "more": true, "body_size": 2}', b"ab"), (ok("1", "null"), b"")])
calls("parts behind the last one are dropped, and the connection goes on",
      [('{"id": 1, "method": "echo_parts", "more": true, "stream": true}', b""), ('{"id": 1, "item": null}', b""),
       ('{"id": 1, "item": 5, "body_size": 1}', b"x"), ('{"id": 1, "item": 6, "more": true}', b"")],
      [(ok("1", "null"), b"")])
calls("more that is no truth value", [('{"id": 1, "method": "echo_parts", "more": 1, "stream": true}', b"")],
      [(failed("1", -32600), b"")])
calls("a part whose digest is wrong ends its stream",
      [('{"id": 1, "method": "echo_parts", "more": true, "stream": true}', b""),
       ('{"id": 1, "item": 1, "body_size": 1, "digest": {"sha-256": "AAAA"}}', b"x")],
      [(failed("1", -32055), b"")])
calls("an array: its layout is nothing to a method that takes bytes",
      [('{"id": 1, "method": "upper", "body_size": 4, "dtype": "<u2", "shape": [2]}', b"abcd")],
      [('{"jsonrpc": "2.0", "id": 1, "result": null, "body_size": 4}', b"ABCD")])
call("echo of params", '{"id": 1, "method": "echo", "params": {"a": [1, 2.5, null, "\\u4f60"]}}',
     ok("1", '{"a": [1, 2.5, null, "\\u4f60"]}'))
call("metadata that is no object", '{"id": 1, "method": "rpc.ping", "metadata": 5}', failed("1", -32600))
call("a timeout that is none", '{"id": 1, "method": "rpc.ping", "timeout_ms": 0}', failed("1", -32600))
call("params that are neither array nor object", '{"id": 1, "method": "echo", "params": "x"}', failed("1", -32600))


# -------------------------------------------------------------------------------------------- uploads
upload_cases = []


def upload(name, *frames, **expect):
    """`frames`: (header, body). `stored`: {file name: content}; `error`: the code of the one refusal, at the end."""
    entry = {"name": name, "send": [{"header": header, "body": as_hex(body)} for header, body in frames],
             "stored": {key: as_hex(body) for key, body in expect.get("stored", {}).items()}}
    if "error" in expect:
        entry["error"] = expect["error"]
    upload_cases.append(entry)


upload("one file", ('{"file_name": "a.txt", "file_size": 5}', b"hello"), stored={"a.txt": b"hello"})
upload("an empty file", ('{"file_name": "empty", "file_size": 0}', b""), stored={"empty": b""})
upload("the tutorial's typing error", ('{"file_name": "t3", "file_siz": 2}', b"ok"), stored={"t3": b"ok"})
upload("other spellings", ('{"filename": "f", "filesize": 1}', b"1"), ('{"file_name": "g", "total_size": 1}', b"2"),
       stored={"f": b"1", "g": b"2"})
upload("a name that is not ASCII", ('{"file_name": "\\u4f60\\u597d.txt", "file_size": 1}', b"x"),
       stored={u"\u4f60\u597d.txt": b"x"})
upload("the later of two with one name", ('{"file_name": "n", "file_size": 3}', b"old"),
       ('{"file_name": "n", "file_size": 3}', b"new"), stored={"n": b"new"})
upload("files before a refusal stay", ('{"file_name": "stays", "file_size": 1}', b"s"),
       ('{"file_name": "..", "file_size": 1}', b"x"), stored={"stays": b"s"}, error=-32602)
for bad in ("..", ".", "", "a/b", "/etc/x", "a\\\\b", "C:x", ".framecall", "a\\u0000b", "a\\nb", "x" * 256, "\\ud800"):
    upload("a name that is refused: " + bad[:20], ('{"file_name": "%s", "file_size": 1}' % bad, b"x"), error=-32602)
upload("a name that is a number", ('{"file_name": 5, "file_size": 1}', b"x"), error=-32602)
for bad in ("true", "1.0", '"1"', "null", "-1", "9223372036854775808"):
    upload("a size that is refused: " + bad, ('{"file_name": "x", "file_size": %s}' % bad, b"x"), error=-32600)
upload("spellings that differ", ('{"file_name": "x", "file_size": 1, "file_siz": 2}', b"xy"), error=-32600)
upload("no name", ('{"file_size": 1}', b"x"), error=-32600)

dialect_cases = []


def dialect(name, dialect_name, sent, received=b"", files=None, stored=None):
    """`sent` and `received` as they are on the wire. `files`: what the server has before; `stored`: and afterwards, more."""
    before = files or {}
    after = dict(before, **(stored or {}))
    dialect_cases.append({"name": name, "dialect": dialect_name, "files": {key: as_hex(body) for key, body in before.items()},
                          "send": as_hex(sent), "receive": as_hex(received),
                          "stored": {key: as_hex(body) for key, body in after.items()}})


def headed(layout, header, body=b""):
    """`layout`: of struct.pack, or %-format for a length that is text."""
    encoded = header.encode()
    prefix = b"%04d" % len(encoded) if layout == "decimal" else struct.pack(layout, len(encoded))
    return prefix + encoded + body


ONE = '{"file_name": "a.txt", "file_size": 5}'
for layout, dialect_name in (("<i", "default"), (">I", "big-endian"), ("<q", "eight-bytes"), ("decimal", "ascii-length"),
                             ("<i", "published"), ("<i", "auto"), (">I", "auto"), ("<q", "auto"), ("decimal", "auto")):
    dialect("an upload: %s, length as %s" % (dialect_name, layout), dialect_name, headed(layout, ONE, b"hello"),
            stored={"a.txt": b"hello"})
dialect("uploads that are acknowledged by a text", "acknowledged", 2 * headed("<i", ONE, b"hello"), b"200200",
        stored={"a.txt": b"hello"})
GO = headed("<i", '{"status": 200}')
dialect("an upload that waits twice", "go-ahead",
        headed("<i", '{"cmd": "put", "filename": "a.txt", "filesize": 5}', b"hello"), GO + GO, stored={"a.txt": b"hello"})
HELLO_MD5 = hashlib.md5(b"hello").hexdigest()
dialect("an MD5 in the header", "md5-header",
        headed("<i", '{"filename": "a.txt", "md5": "%s", "file_size": 5}' % HELLO_MD5, b"hello"), stored={"a.txt": b"hello"})
dialect("an MD5 behind the file", "md5-trailer",
        headed("<i", '{"filename": "a.txt", "file_size": 5}', b"hello" + HELLO_MD5.encode()), stored={"a.txt": b"hello"})
dialect("a framed request that stores a file", "framed",
        headed("<i", '{"cmd": "put", "filename": "a.txt", "filesize": 5}', b"hello"), stored={"a.txt": b"hello"})
dialect("a framed request that gets a file", "framed", headed("<i", '{"cmd": "get", "filename": "a.txt"}'),
        headed("<i", '{"filename": "a.txt", "filesize": 5}', b"hello"), files={"a.txt": b"hello"})
dialect("a file that is not there has size 0", "framed", headed("<i", '{"cmd": "get", "filename": "b.txt"}'),
        headed("<i", '{"filename": "b.txt", "filesize": 0}'), files={"a.txt": b"hello"})
dialect("a framed list", "framed", headed("<i", '{"cmd": "ls"}'), headed("<i", '{"total_size": 6}', b"a.txt\n"),
        files={"a.txt": b"hello"})
dialect("a message comes back as it was", "messages", headed("<i", '{"method":"hi", "n": 1.50}'),
        headed("<i", '{"method":"hi", "n": 1.50}'))
dialect("2-byte lengths, and content-length", "real-python",
        headed(">H", '{"file_name": "a.txt", "content-length": 5}', b"hello"), stored={"a.txt": b"hello"})


def text():
    def one_per_line(cases):
        return "[\n  " + ",\n  ".join(json.dumps(entry) for entry in cases) + "\n ]"
    names = [entry["name"] for entry in decode_cases]
    assert len(names) == len(set(names)), "two cases of one name"
    return '{\n "about": %s,\n "decode": %s,\n "encode": %s,\n "calls": %s,\n "uploads": %s,\n "dialects": %s\n}\n' % (
        json.dumps(ABOUT, indent=2), one_per_line(decode_cases), one_per_line(encode_cases), one_per_line(call_cases),
        one_per_line(upload_cases), one_per_line(dialect_cases))


def path():
    return os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "vectors", "vectors.json")


if __name__ == "__main__":
    with open(path(), "w", encoding="ascii", newline="\n") as f:
        f.write(text())
    print("%s: %d to decode, %d to encode, %d calls, %d uploads, %d dialects" % (
        path(), len(decode_cases), len(encode_cases), len(call_cases), len(upload_cases),
        len(dialect_cases)))
