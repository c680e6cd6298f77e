"""A server for calls in plain Python, streams included: the other side of `client.py`.

    server.py [PORT]       prints `listening tcp 127.0.0.1:PORT` (a free one by default), ends with 0 on SIGTERM

Runs on CPython 2.7 and 3.6 upwards, standard library only. A frame is a 4-byte little-endian length, so many bytes of
JSON, and `body_size` bytes of body. Every connection has a thread, which answers one call after the other; while it serves
one, it reads what belongs to it - parts, `rpc.cancel` - and keeps other calls for later.

A deadline is looked at between frames only: who sends a frame slowly makes the answer late.
"""
import collections
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
import time

MAX_HEADER, MAX_BODY = 1 << 20, 64 << 20
INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32600, -32601, -32602
CANCELLED, DEADLINE_EXCEEDED = -32041, -32044
STATUS_NAMES = {CANCELLED: "CANCELLED", DEADLINE_EXCEEDED: "DEADLINE_EXCEEDED"}
ECHOED = ("x-framecall-test-echo", "x-framecall-test-echo-trailing")
clock = getattr(time, "monotonic", time.time)  # 2.7 has only the wall clock


class Closed(Exception):
    """The client is gone, or says what is no frame."""


class Failure(Exception):
    """Becomes the error reply."""

    def __init__(self, code, message):
        Exception.__init__(self, code, message)
        self.code, self.message = code, message


# ---- frames

def receive_exactly(sock, size):
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(min(size - len(data), 1 << 16))
        if not piece:
            raise Closed()
        data += piece
    return bytes(data)


def receive_frame(sock):
    length, = struct.unpack("<i", receive_exactly(sock, 4))
    if not 2 <= length <= MAX_HEADER:
        raise Closed()
    try:
        header = json.loads(receive_exactly(sock, length).decode("utf-8"))
    except ValueError:
        raise Closed()
    size = header.get("body_size", 0) if isinstance(header, dict) else -1
    if not 0 <= size <= MAX_BODY:
        raise Closed()
    return header, receive_exactly(sock, size)


def send_frame(sock, header, body=b""):
    if body:
        header["body_size"] = len(body)
    text = json.dumps(header).encode("ascii")
    sock.sendall(struct.pack("<i", len(text)) + text + body)


# ---- calls

class Call(object):
    """One call: what the methods below are given."""

    def __init__(self, connection, header, body):
        self.connection, self.header, self.body = connection, header, body
        self.params = header.get("params") or {}
        self.open = header.get("more", False)  # parts will come
        timeout = header.get("timeout_ms")
        self.deadline = None if timeout is None else clock() + timeout / 1000.0

    def parts(self):
        """(item, body) of every part behind the request. The end alone is no part."""
        while self.open:
            header, body = self.next_frame()
            self.open = header.get("more", False)
            if self.open or header["item"] is not None or body:
                yield header["item"], body

    def next_frame(self):
        """The next part; fails when the call is cancelled or late."""
        sock, waiting = self.connection.sock, self.connection.waiting
        while True:
            left = None if self.deadline is None else max(self.deadline - clock(), 0)
            if not select.select([sock], [], [], left)[0]:
                raise Failure(DEADLINE_EXCEEDED, "timeout_ms has passed")
            header, body = receive_frame(sock)
            if "item" in header and header["id"] == self.header["id"]:
                return header, body
            if "method" in header:
                if "id" in header or header["method"] != "rpc.cancel":
                    waiting.append((header, body))
                if header["method"] == "rpc.cancel" and header["params"]["id"] == self.header["id"]:
                    raise Failure(CANCELLED, "cancelled by the caller")
            # What is left are parts of calls that are over: they were on their way.

    def send_part(self, result, body):
        if not self.header.get("stream"):
            raise Failure(INVALID_REQUEST, 'the answer is a stream, and the request lacks "stream": true')
        self.send({"result": result, "more": True}, body)

    def answer(self):
        try:
            try:
                method = METHODS.get(self.header["method"])
                if method is None:
                    raise Failure(METHOD_NOT_FOUND, "method %s not found" % json.dumps(self.header["method"]))
                result, body = method(self)
            except (KeyError, TypeError, ValueError) as problem:
                raise Failure(INVALID_PARAMS, repr(problem))
            metadata = self.header.get("metadata") or {}
            echoed = dict((key, metadata[key]) for key in ECHOED if key in metadata)
            self.send(dict({"result": result}, **({"metadata": echoed} if echoed else {})), body)
        except Failure as failure:
            error = {"code": failure.code, "message": failure.message}
            if failure.code in STATUS_NAMES:
                error["data"] = {"status": STATUS_NAMES[failure.code]}
            self.send({"error": error})

    def send(self, header, body=b""):
        if "id" in self.header:  # a notification gets no answer
            send_frame(self.connection.sock, dict(header, jsonrpc="2.0", id=self.header["id"]), body)


class Connection(object):
    def __init__(self, sock):
        self.sock = sock
        self.waiting = collections.deque()  # calls that came while another one was served

    def serve(self):
        try:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                header, body = self.waiting.popleft() if self.waiting else receive_frame(self.sock)
                if "method" in header:  # anything else is a part that nobody waits for any more
                    Call(self, header, body).answer()
        except (Closed, socket.error):
            pass
        finally:
            self.sock.close()


# ---- methods: each returns the result and the body of the reply, or of its last frame

def zeros(size):
    if not 0 <= size <= MAX_BODY:
        raise ValueError("a size of %r" % size)
    return b"\0" * size


def fail_if_asked(value):
    status = value and value.get("status")
    if status:
        raise Failure(status["code"], status["message"])


def empty(call):
    return None, b""


def unary(call):
    fail_if_asked(call.params)
    return len(call.body), zeros(call.params.get("response_size", 0))


def collect(call):
    return len(call.body) + sum(len(body) for _, body in call.parts()), b""


def produce(call):
    for number, size in enumerate(call.params.get("sizes", [])):
        call.send_part(number, zeros(size))
    return None, b""


def converse(call):
    for item, body in call.parts():
        fail_if_asked(item)
        if item and "response_size" in item:
            call.send_part(len(body), zeros(item["response_size"]))
    return None, b""


def wait(call):
    while True:  # until it is cancelled or late
        call.next_frame()


METHODS = {"empty": empty, "unary": unary, "collect": collect, "produce": produce, "converse": converse, "wait": wait,
           "rpc.cancel": empty}  # a cancel that comes here is too late


def main():
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # at once, whatever the threads do
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0))
    listener.listen(128)
    sys.stdout.write("listening tcp 127.0.0.1:%d\n" % listener.getsockname()[1])
    sys.stdout.flush()
    while True:
        thread = threading.Thread(target=Connection(listener.accept()[0]).serve)
        thread.daemon = True
        thread.start()


if __name__ == "__main__":
    main()
