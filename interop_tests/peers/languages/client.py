# -*- coding: utf-8 -*-
"""A client in plain Python: CPython 2.7 and 3.6 upwards, standard library only.

    python client.py HOST PORT CASE...    prints `CASE ok` or `CASE failed: ...`; exit code 0, 1, or 2 for usage

A frame is a 4-byte little-endian length, so many bytes of JSON, and as many raw bytes as the JSON announces.
Environment: SHARED_SHA256 is what the file shared.bin of the server has to have (case get).
"""
from __future__ import print_function

import collections
import hashlib
import json
import os
import socket
import struct
import sys

MAX_HEADER, MAX_BODY = 1 << 20, 64 << 20  # what we are willing to read
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND = -32700, -32600, -32601
TEXT = u"na\u00efve \u4f60\u597d \U0001f680"


class RemoteError(Exception):
    """The server's error reply."""

    def __init__(self, error):
        Exception.__init__(self, "the server says: %s (%d)" % (error["message"], error["code"]))
        self.code = error["code"]


class FrameError(Exception):
    """What came is no frame: `code` is an error code of PROTOCOL.md, or "truncated" for the end inside a frame."""

    def __init__(self, code, message):
        Exception.__init__(self, message)
        self.code = code


# ---- the wire

def frame(text, body=b""):
    """`text`: the header as it leaves, bytes of JSON."""
    return struct.pack("<i", len(text)) + text + body


def body_size(header):
    """How many bytes follow a header."""
    is_call = any(key in header for key in ("method", "result", "error", "item"))
    keys = ["body_size"] if is_call else ["file_size", "file_siz", "filesize", "total_size"]
    sizes = [header[key] for key in keys if key in header] or [0]
    for size in sizes:
        if type(size) is not int or not 0 <= size <= MAX_BODY or size != sizes[0]:  # True is an int, too
            raise FrameError(INVALID_REQUEST, "a body of %.100r bytes" % (size,))
    return sizes[0]


def read_frame(file, max_header=MAX_HEADER):
    """The next header and body; EOFError when the stream ended before them."""
    def read(size):
        data = file.read(size)
        if len(data) < size:
            raise FrameError("truncated", "the server closed the connection inside a frame")
        return data

    first = file.read(1)
    if not first:
        raise EOFError("the server closed the connection")
    length, = struct.unpack("<i", first + read(3))
    if not 2 <= length <= max_header:
        raise FrameError(INVALID_REQUEST, "a header of %d bytes" % length)
    try:
        header = json.loads(read(length).decode("utf-8"), object_pairs_hook=collections.OrderedDict)  # for Python 2.7
    except (ValueError, RuntimeError) as problem:  # RuntimeError: nested too deeply
        raise FrameError(PARSE_ERROR, "no JSON: %s" % problem)
    if not isinstance(header, dict):
        raise FrameError(INVALID_REQUEST, "a header that is no object")
    return header, read(body_size(header))


class Connection(object):
    def __init__(self, address):
        self.sock = socket.create_connection(address, timeout=30)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.sock.makefile("rb")
        self.last_id = 0

    def close(self):
        self.file.close()
        self.sock.close()

    def send(self, text, body=b""):
        self.sock.sendall(frame(text, body))

    def read_reply(self):
        """The next frame of the reply to the last request."""
        header, body = read_frame(self.file)
        if "error" in header:
            raise RemoteError(header["error"])
        expect("id of the reply", header.get("id"), self.last_id)
        return header, body

    def request(self, method, params=None, body=b"", stream=False, ensure_ascii=True):
        self.last_id += 1
        header = {"jsonrpc": "2.0", "id": self.last_id, "method": method}
        if params is not None:
            header["params"] = params
        if stream:
            header["stream"] = True
        if body:
            header["body_size"] = len(body)
        text = json.dumps(header, ensure_ascii=ensure_ascii)
        self.send(text if isinstance(text, bytes) else text.encode("utf-8"), body)

    def call(self, *arguments, **options):
        self.request(*arguments, **options)
        header, body = self.read_reply()
        return header["result"], body


def pattern(size):
    """Bytes that differ everywhere; every client of this folder sends the same ones."""
    return bytes(bytearray((i ^ i >> 8 ^ i >> 16) & 255 for i in range(size)))


# ---- the cases

def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError("%s: expected %.200r, got %.200r" % (what, wanted, got))


def upper(connection):
    expect("body", connection.call("upper", body=b"hello, world"), (None, b"HELLO, WORLD"))


def add(connection):
    expect("by name", connection.call("add", {"a": 2, "b": 3})[0], 5)
    expect("by place", connection.call("add", [2, 3])[0], 5)


def unicode_text(connection):
    expect("raw UTF-8", connection.call("say", {"text": TEXT}, ensure_ascii=False)[0], TEXT)
    expect("escaped", connection.call("say", {"text": TEXT}, ensure_ascii=True)[0], TEXT)


def big(connection):
    sent = pattern(5 << 20)
    _, body = connection.call("echo", body=sent)
    expect("size of the body", len(body), len(sent))
    expect("the body is what was sent", body == sent, True)


def error(connection):
    try:
        connection.call("no.such.method")
    except RemoteError as problem:
        expect("error code", problem.code, METHOD_NOT_FOUND)
    else:
        raise AssertionError("expected an error, got a result")
    upper(connection)  # the connection goes on


def stream(connection):
    connection.request("count", {"n": 5}, stream=True)
    values, more = [], True
    while more:
        header, body = connection.read_reply()
        more = header.get("more", False)
        if more or header["result"] is not None or body:  # the end alone is no part
            values.append(header["result"])
    expect("parts", values, [0, 1, 2, 3, 4])


def upload(connection):
    body = pattern(100000)
    header = {"file_name": "upload-python.bin", "file_size": len(body)}
    connection.send(json.dumps(header).encode("ascii"), body)
    connection.sock.shutdown(socket.SHUT_WR)
    said = connection.file.read()  # success is silent, a refusal is an error frame
    expect("what the server says", said, b"")


def get(connection):
    result, body = connection.call("file.get", {"name": "shared.bin"})
    expect("size", result["size"], len(body))
    expect("SHA-256", hashlib.sha256(body).hexdigest(), os.environ["SHARED_SHA256"])


CASES = {"upper": upper, "add": add, "unicode": unicode_text, "big": big, "error": error, "stream": stream,
         "upload": upload, "get": get}


def main():
    if len(sys.argv) < 4 or not sys.argv[2].isdigit() or not set(sys.argv[3:]) <= set(CASES):
        print("usage: client.py HOST PORT CASE...\ncases: " + " ".join(sorted(CASES)), file=sys.stderr)
        sys.exit(2)
    failed = False
    for name in sys.argv[3:]:
        try:
            connection = Connection((sys.argv[1], int(sys.argv[2])))
            try:
                CASES[name](connection)
            finally:
                connection.close()
            print(name, "ok")
        except Exception as problem:
            failed = True
            print("%s failed: %s: %s" % (name, type(problem).__name__, problem))
        sys.stdout.flush()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
