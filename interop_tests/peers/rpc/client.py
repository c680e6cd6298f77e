# -*- coding: utf-8 -*-
"""The interop cases from plain Python: how calls and streams look from the wire's side.

    client.py HOST PORT CASE        prints `CASE: pass` or what was wrong; exit code 0 or 1

CASE may be `all`; without a case, the list is printed. Runs on CPython 2.7 and 3.6 upwards, standard library only. A frame
is a 4-byte little-endian length, so many bytes of JSON, and `body_size` bytes of body. The sizes are those of gRPC's list
of interop tests.
"""
import json
import socket
import struct
import sys
import threading

LARGE_REQUEST, LARGE_REPLY = 271828, 314159
REQUEST_SIZES, REPLY_SIZES = [27182, 8, 1828, 45904], [31415, 9, 2653, 58979]
REQUEST_TOTAL = 74922
METHOD_NOT_FOUND, CANCELLED, DEADLINE_EXCEEDED, UNKNOWN = -32601, -32041, -32044, 2
METADATA = {"x-framecall-test-echo": "test_initial_metadata_value", "x-framecall-test-echo-trailing": "q6ur"}
PATIENCE = 60  # seconds; only a case that fails waits so long


class RemoteError(Exception):
    """The server's error reply."""

    def __init__(self, error):
        Exception.__init__(self, json.dumps(error))
        self.code, self.message = error["code"], error["message"]


# ---- calls

class Connection(object):
    def __init__(self, address):
        self.sock = socket.create_connection(address, timeout=PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.sock.makefile("rb")
        self.last_id = 0

    def close(self):
        self.file.close()
        self.sock.close()

    def send(self, header, body=b""):
        if body:
            header["body_size"] = len(body)
        text = json.dumps(header).encode("ascii")
        self.sock.sendall(struct.pack("<i", len(text)) + text + body)

    def receive_exactly(self, size):
        data = self.file.read(size)
        if len(data) < size:
            raise EOFError("the server closed the connection")
        return data

    def receive(self):
        length, = struct.unpack("<i", self.receive_exactly(4))
        header = json.loads(self.receive_exactly(length).decode("utf-8"))
        return header, self.receive_exactly(header.get("body_size", 0))

    def begin(self, method, params=None, body=b"", **keys):
        """Sends a request; its reply comes with read()."""
        self.last_id += 1
        header = dict(keys, jsonrpc="2.0", id=self.last_id, method=method)
        if params is not None:
            header["params"] = params
        self.send(header, body)

    def write(self, item, body=b""):
        self.send({"jsonrpc": "2.0", "id": self.last_id, "item": item, "more": True}, body)

    def finish_writing(self):
        self.send({"jsonrpc": "2.0", "id": self.last_id, "item": None})

    def cancel(self):
        self.send({"jsonrpc": "2.0", "method": "rpc.cancel", "params": {"id": self.last_id}})

    def read(self):
        """The next frame of the reply: header and body."""
        header, body = self.receive()
        expect("id of the reply", header["id"], self.last_id)
        if "error" in header:
            raise RemoteError(header["error"])
        return header, body

    def call(self, method, params=None, body=b"", **keys):
        self.begin(method, params, body, **keys)
        return self.read()


# ---- checks, and what the cases have in common

def expect(what, got, wanted):
    if got != wanted:
        raise AssertionError("%s: got %r instead of %r" % (what, got, wanted))


def expect_part(frame, result, size):
    header, body = frame
    expect("more", header.get("more"), True)
    expect("result", header["result"], result)
    expect("size of the body", len(body), size)
    expect("body of zeros", body == b"\0" * size, True)


def expect_end(frame):
    header, body = frame
    expect("end of the stream", (header.get("more", False), header["result"], body), (False, None, b""))


def expect_error(connection, code, message=None):
    """Whatever comes before it."""
    try:
        while connection.read()[0].get("more"):
            pass
    except RemoteError as error:
        expect("error code", error.code, code)
        if message is not None:
            expect("error message", error.message, message)
        return
    raise AssertionError("it succeeded, where error %d was due" % code)


def exchange(connection, request_size, reply_size):
    """One part there and one back."""
    connection.write({"response_size": reply_size}, b"\0" * request_size)
    expect_part(connection.read(), request_size, reply_size)


def call_large(connection, **keys):
    header, body = connection.call("unary", {"response_size": LARGE_REPLY}, b"\0" * LARGE_REQUEST, **keys)
    expect("result", header["result"], LARGE_REQUEST)
    expect("size of the body", len(body), LARGE_REPLY)
    expect("body of zeros", body == b"\0" * LARGE_REPLY, True)
    return header


# ---- the cases

def empty_unary(connection, address):
    header, body = connection.call("empty")
    expect("reply", (header, body), ({"jsonrpc": "2.0", "id": 1, "result": None}, b""))


def large_unary(connection, address):
    call_large(connection)


def client_streaming(connection, address):
    connection.begin("collect", more=True)
    for size in REQUEST_SIZES:
        connection.write(None, b"\0" * size)
    connection.finish_writing()
    expect("result", connection.read()[0]["result"], REQUEST_TOTAL)


def server_streaming(connection, address):
    connection.begin("produce", {"sizes": REPLY_SIZES}, stream=True)
    for number, size in enumerate(REPLY_SIZES):
        expect_part(connection.read(), number, size)
    expect_end(connection.read())


def ping_pong(connection, address):
    connection.begin("converse", more=True, stream=True)
    for sizes in zip(REQUEST_SIZES, REPLY_SIZES):
        exchange(connection, *sizes)
    connection.finish_writing()
    expect_end(connection.read())


def empty_stream(connection, address):
    connection.begin("converse", more=True, stream=True)
    connection.finish_writing()
    expect_end(connection.read())


def cancel_after_begin(connection, address):
    connection.begin("collect", more=True)
    connection.cancel()
    expect_error(connection, CANCELLED)
    expect("a call afterwards", connection.call("empty")[0]["result"], None)


def cancel_after_first_response(connection, address):
    connection.begin("converse", more=True, stream=True)
    exchange(connection, REQUEST_SIZES[0], REPLY_SIZES[0])
    connection.cancel()
    connection.write(None, b"\0" * REQUEST_SIZES[0])  # on its way when the call ends: dropped
    expect_error(connection, CANCELLED)
    expect("a call afterwards", connection.call("empty")[0]["result"], None)


def timeout_on_sleeping_server(connection, address):
    connection.begin("wait", more=True, stream=True, timeout_ms=1)
    connection.write(None, b"\0" * REQUEST_SIZES[0])
    expect_error(connection, DEADLINE_EXCEEDED)
    expect("a call afterwards", connection.call("empty")[0]["result"], None)


def expect_status(connection, message):
    status = {"status": {"code": UNKNOWN, "message": message}}
    connection.begin("unary", status)
    expect_error(connection, UNKNOWN, message)
    connection.begin("converse", more=True, stream=True)
    connection.write(status)
    connection.finish_writing()
    expect_error(connection, UNKNOWN, message)


def status_code_and_message(connection, address):
    expect_status(connection, "test status message")


def special_status_message(connection, address):
    text = b"\t\ntest with whitespace\r\nand Unicode BMP \xe2\x98\xba and non-BMP \xf0\x9f\x98\x88\t\n"
    expect_status(connection, text.decode("utf-8"))


def unimplemented_method(connection, address):
    connection.begin("unimplemented")
    expect_error(connection, METHOD_NOT_FOUND)


def custom_metadata(connection, address):
    expect("metadata of the reply", call_large(connection, metadata=METADATA)["metadata"], METADATA)
    connection.begin("converse", more=True, stream=True, metadata=METADATA)
    exchange(connection, LARGE_REQUEST, LARGE_REPLY)
    connection.finish_writing()
    last = connection.read()
    expect_end(last)
    expect("metadata of the stream", last[0]["metadata"], METADATA)


def concurrent_large_unary(connection, address):
    failures = []

    def run():
        try:
            on_its_own(address, call_large)
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect("failures", failures, [])


def rpc_soak(connection, address):
    for _ in range(1000):
        call_large(connection)


def channel_soak(connection, address):
    for _ in range(200):
        on_its_own(address, call_large)


CASES = [empty_unary, large_unary, client_streaming, server_streaming, ping_pong, empty_stream, cancel_after_begin,
         cancel_after_first_response, timeout_on_sleeping_server, status_code_and_message, special_status_message,
         unimplemented_method, custom_metadata, concurrent_large_unary, rpc_soak, channel_soak]


def on_its_own(address, function, *arguments):
    """Runs it with a connection of its own."""
    connection = Connection(address)
    try:
        function(connection, *arguments)
    finally:
        connection.close()


def main():
    if len(sys.argv) != 4:
        sys.stderr.write("usage: client.py HOST PORT CASE\n")
        sys.stdout.write("".join(case.__name__ + "\n" for case in CASES))
        sys.exit(2)
    address, wanted = (sys.argv[1], int(sys.argv[2])), sys.argv[3]
    cases = [case for case in CASES if wanted in ("all", case.__name__)]
    failed = not cases
    if not cases:
        sys.stderr.write("no case %r\n" % wanted)
    for case in cases:
        outcome = "pass"
        try:
            on_its_own(address, case, address)
        except Exception as problem:
            outcome, failed = "%s: %s" % (type(problem).__name__, problem), True
        sys.stdout.write("%s: %s\n" % (case.__name__, outcome))
        sys.stdout.flush()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
