"""A server in plain Python: CPython 2.7 and 3.6 upwards, standard library only.

    ROOT=folder python server.py [PORT]    prints `listening tcp 127.0.0.1:PORT`, 0 or none: a free port

A frame is a 4-byte little-endian length, so many bytes of JSON, and as many raw bytes as the JSON announces. Every
connection has a thread, which answers one frame after the other. What is no frame closes its connection, and no other.
"""
import json
import os
import re
import signal
import socket
import struct
import sys
import tempfile
import threading

MAX_HEADER, MAX_BODY, MAX_FILE, MAX_COUNT = 1 << 20, 64 << 20, 1 << 30, 1000000
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR = -32700, -32600, -32601, -32602, -32603
NOT_FOUND, OUT_OF_RANGE, RESOURCE_EXHAUSTED = -32045, -32051, -32048
STATUS_NAMES = {NOT_FOUND: "NOT_FOUND", OUT_OF_RANGE: "OUT_OF_RANGE", RESOURCE_EXHAUSTED: "RESOURCE_EXHAUSTED"}
ROOT = os.environ.get("ROOT", ".")
INTEGER, STRING = (int, type(2 ** 70)), (str, type(u""))  # two types each in Python 2


class Closed(Exception):
    """The client is gone."""


class Failure(Exception):
    """Becomes the error reply."""

    def __init__(self, code, message):
        Exception.__init__(self, code, message)
        self.code, self.message = code, message


def is_integer(value, lowest, highest):
    return isinstance(value, INTEGER) and not isinstance(value, bool) and lowest <= value <= highest


# ---- frames

def pieces(sock, size):
    while size > 0:
        piece = sock.recv(min(size, 1 << 16))
        if not piece:
            raise Closed()
        size -= len(piece)
        yield piece


def receive_header(sock):
    length, = struct.unpack("<i", b"".join(pieces(sock, 4)))
    if not 2 <= length <= MAX_HEADER:
        raise Failure(INVALID_REQUEST, "a header of %d bytes; 2 to %d are taken" % (length, MAX_HEADER))
    text = b"".join(pieces(sock, length))
    try:
        header = json.loads(text.decode("utf-8"))
    except (ValueError, RuntimeError) as problem:  # RuntimeError: nested too deeply
        raise Failure(PARSE_ERROR, "the header is no JSON: %s" % problem)
    if not isinstance(header, dict):
        raise Failure(INVALID_REQUEST, "the header is no object")
    return header


def send_frame(sock, header, body=b""):
    if body:
        header["body_size"] = len(body)
    text = json.dumps(header).encode("ascii")
    sock.sendall(struct.pack("<i", len(text)) + text + body)


def error_reply(identifier, failure):
    error = {"code": failure.code, "message": failure.message}
    if failure.code in STATUS_NAMES:
        error["data"] = {"status": STATUS_NAMES[failure.code]}
    return {"jsonrpc": "2.0", "id": identifier, "error": error}


# ---- files

def path_of(name):
    """One plain path component, and nothing else."""
    try:
        encoded = name.encode("utf-8") if isinstance(name, STRING) else b""  # a lone surrogate is an error, in Python 3
    except UnicodeError:
        encoded = b""
    if (not 1 <= len(encoded) <= 255 or name in (".", "..", ".framecall")
            or re.search(u"[/\\\\\x00-\x1f\x7f-\x9f]|^[A-Za-z]:", name)):
        raise Failure(INVALID_PARAMS, "not a file name: %s" % json.dumps(name)[:200])
    return os.path.join(ROOT if isinstance(ROOT, bytes) else os.fsencode(ROOT), encoded)


def store(sock, name, size):
    """The file gets its name when it is whole."""
    path = path_of(name)
    if not is_integer(size, 0, MAX_FILE):
        raise Failure(INVALID_REQUEST, "a file of %s bytes" % json.dumps(size)[:200])
    descriptor, part = tempfile.mkstemp(prefix=".part-", dir=ROOT)
    try:
        with os.fdopen(descriptor, "wb") as part_file:
            for piece in pieces(sock, size):
                part_file.write(piece)
        os.rename(part, path)
    except BaseException:
        os.unlink(part)
        raise


def get(call):
    path = path_of(call.params.get("name"))
    if os.path.islink(path) or not os.path.isfile(path):
        raise Failure(NOT_FOUND, "no file %s" % json.dumps(call.params["name"]))
    with open(path, "rb") as opened:
        status = os.fstat(opened.fileno())
        offset = call.params.get("offset", 0)
        length = call.params.get("length", status.st_size - offset if is_integer(offset, 0, status.st_size) else 0)
        if not is_integer(offset, 0, status.st_size) or not is_integer(length, 0, status.st_size - offset):
            raise Failure(OUT_OF_RANGE, "the file has %d bytes" % status.st_size)
        if length > MAX_BODY:
            raise Failure(RESOURCE_EXHAUSTED, "ask for at most %d bytes at a time" % MAX_BODY)
        opened.seek(offset)
        body = opened.read(length)
    return {"name": call.params["name"], "size": status.st_size, "offset": offset, "length": len(body),
            "mtime": int(status.st_mtime)}, body


# ---- calls

class Call(object):
    """What the methods are given; each returns the result and the body of the reply, or of its last frame."""

    def __init__(self, sock, header, body):
        self.sock, self.header, self.body = sock, header, body
        self.params = header.get("params", {})

    def send(self, header, body=b""):
        if "id" in self.header:  # a notification gets no answer
            send_frame(self.sock, dict(header, jsonrpc="2.0", id=self.header["id"]), body)

    def answer(self):
        try:
            method = METHODS.get(self.header["method"]) if isinstance(self.header["method"], STRING) else None
            if method is None:
                raise Failure(METHOD_NOT_FOUND, "no method %s" % json.dumps(self.header["method"])[:200])
            if method in NAMED and not isinstance(self.params, dict):
                raise Failure(INVALID_PARAMS, "params: expected an object")
            result, body = method(self)
            self.send({"result": result}, body)
        except Failure as failure:
            self.send(error_reply(self.header.get("id"), failure))
        except EnvironmentError as problem:
            if isinstance(problem, socket.error) and not problem.filename:
                raise
            self.send(error_reply(self.header.get("id"), Failure(INTERNAL_ERROR, problem.strerror)))


def upper(call):
    letters = range(ord("a"), ord("z") + 1)
    return None, call.body.translate(bytes(bytearray(c - 32 if c in letters else c for c in range(256))))


def echo(call):
    return call.header.get("params"), call.body


def add(call):
    numbers = [call.params.get(name) for name in ("a", "b")] if isinstance(call.params, dict) else call.params
    if len(numbers) != 2 or not all(is_integer(number, -2 ** 53, 2 ** 53) for number in numbers):
        raise Failure(INVALID_PARAMS, "expected two integers, a and b")
    return sum(numbers), b""


def say(call):
    if not isinstance(call.params.get("text"), STRING):
        raise Failure(INVALID_PARAMS, "text: expected a string")
    return call.params["text"], b""


def count(call):
    if call.header.get("stream") is not True:
        raise Failure(INVALID_REQUEST, 'the answer is a stream, and the request lacks "stream": true')
    if not is_integer(call.params.get("n"), 0, MAX_COUNT):
        raise Failure(INVALID_PARAMS, "n: expected an integer 0 to %d" % MAX_COUNT)
    for number in range(call.params["n"]):
        call.send({"result": number, "more": True})
    return None, b""


METHODS = {"upper": upper, "echo": echo, "add": add, "say": say, "count": count, "file.get": get}
NAMED = (say, count, get)  # params by name only


# ---- connections

def serve_frame(sock):
    header = receive_header(sock)
    if "result" in header or "error" in header or "item" in header:
        raise Failure(INVALID_REQUEST, "neither a request nor an upload")
    if "method" in header:
        size = header.get("body_size", 0)
        if not is_integer(size, 0, MAX_BODY):
            raise Failure(INVALID_REQUEST, "a body of %s bytes; %d are taken" % (json.dumps(size)[:200], MAX_BODY))
        if header.get("more"):
            raise Failure(INVALID_REQUEST, "no method here takes parts")
        Call(sock, header, b"".join(pieces(sock, size))).answer()
    else:
        sizes = [header[key] for key in ("file_size", "file_siz", "filesize", "total_size") if key in header]
        store(sock, header.get("file_name", header.get("filename")), sizes[0] if sizes else None)


def serve(sock):
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            serve_frame(sock)
    except Closed:
        pass
    except Failure as failure:  # of a whole connection: one error reply, then the end
        refuse(sock, failure)
    except EnvironmentError as problem:
        refuse(sock, Failure(INTERNAL_ERROR, problem.strerror or str(problem)))
    finally:
        sock.close()


def refuse(sock, failure):
    """Says why, and drops what still comes: a close with unread bytes would destroy the reply on its way."""
    try:
        send_frame(sock, error_reply(None, failure))
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(5)
        for _ in pieces(sock, 64 << 20):
            pass
    except (Closed, EnvironmentError):
        pass


def main():
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # at once, whatever the threads do
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0))
    listener.listen(128)
    sys.stdout.write("listening tcp 127.0.0.1:%d\n" % listener.getsockname()[1])
    sys.stdout.flush()
    while True:
        thread = threading.Thread(target=serve, args=(listener.accept()[0],))
        thread.daemon = True
        thread.start()


if __name__ == "__main__":
    main()
