"""What a peer wrote does not drive the terminal of whoever reads it, whatever the command."""
import contextlib
import json
import os
import pty
import re
import select
import socketserver
import struct
import subprocess
import threading
import time

import pytest
import reference
from processes import PATIENCE, clean_environment, end

# The title of a window, C1's "control sequence introducer", a text that is turned around, an isolate, a mark, a bell, a deletion.
EVIL = "\x1b]0;owned\x07 \x9b31m \u202e \u2066 \u200f \x7f \x08 \u2028"
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u061c\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


def answers(method, params):
    """(header, body) of each frame that the reply to a call has."""
    raw = json.dumps("[%s]" % EVIL, ensure_ascii=False).encode()  # U+009B and U+202E as they are
    value = json.loads(raw)
    if method == "error":
        return [({"error": {"code": 7, "message": value, "data": {"x": value}}}, b"")]
    if method == "rpc.discover":
        one = {"name": value, "summary": value, "params": [{"name": value, "schema": {"type": value}}]}
        return [({"result": {"openrpc": "1.3.2", "methods": [one]}}, b"")]
    if method == "file.list":
        return [({"result": {"files": [{"name": value, "size": 1, "mtime": 1}], "next": None}}, b"")]
    if method == "file.stat":
        return [({"result": {"name": value, "size": 1, "mtime": 1}}, b"")]
    if method == "file.get":
        body = EVIL.encode() + b"\xff\x9b"
        return [({"result": {"size": len(body), "mtime": 1}}, body)]
    if method == "parts":
        return [({"result": value, "more": True}, EVIL.encode()), ({"result": None}, b"")]
    if method == "bad":
        return [({"result": {}, value: value, "method": value}, b"")]
    return [({"result": value}, EVIL.encode())]


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        with contextlib.suppress(OSError, struct.error):
            while True:
                size, = struct.unpack("<i", self.rfile.read(4))
                header = json.loads(self.rfile.read(size).decode())
                self.rfile.read(header.get("body_size", 0))
                for reply, body in answers(header.get("method"), header.get("params")):
                    reply = {"jsonrpc": "2.0", "id": header.get("id"), **reply, "body_size": len(body)}
                    text = json.dumps(reply, ensure_ascii=False).encode()  # C0 controls escaped, the others bare
                    self.wfile.write(struct.pack("<i", len(text)) + text + body)


class Raw(socketserver.BaseRequestHandler):
    def handle(self):
        with contextlib.suppress(OSError):
            while self.request.recv(4096):
                self.request.sendall(EVIL.encode() + b"\n\x9b\xff")


class Datagram(socketserver.BaseRequestHandler):
    def handle(self):
        self.request[1].sendto(EVIL.encode(), self.client_address)


@contextlib.contextmanager
def serving(handler, kind=socketserver.ThreadingTCPServer):
    with kind(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield "127.0.0.1:%d" % server.server_address[1]
        finally:
            server.shutdown()
            thread.join(PATIENCE)


def seen_on_a_terminal(command, stdin=b""):
    """What a terminal gets of the stdout and stderr of a command."""
    master, slave = pty.openpty()
    process = subprocess.Popen(command, env=clean_environment(), stdin=subprocess.PIPE, stdout=slave, stderr=slave)
    os.close(slave)
    seen = b""
    try:
        process.stdin.write(stdin)
        process.stdin.close()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and select.select([master], [], [], PATIENCE)[0]:
            try:
                piece = os.read(master, 65536)
            except OSError:  # EIO: the program has ended
                break
            if not piece:
                break
            seen += piece
        assert process.wait(PATIENCE) in (0, 1, 3, 4, 5)
    finally:
        end(process)
        os.close(master)
    return seen.decode()


CALLS = [
    ["call", "ADDRESS", "x"], ["call", "ADDRESS", "x", "--output", "-"], ["call", "ADDRESS", "parts", "--stream"],
    ["call", "ADDRESS", "error"], ["call", "ADDRESS", "bad"], ["discover", "ADDRESS"], ["discover", "ADDRESS", "--json"],
    ["ls", "ADDRESS"], ["ls", "ADDRESS", "--long"], ["ls", "ADDRESS", "--json"], ["stat", "ADDRESS", "x"],
    ["get", "ADDRESS", "x", "--output", "-"], ["ping", "ADDRESS", "-c", "1", "--interval", "0"],
    ["ask", "ADDRESS", '{"method": "x", "id": 1}'], ["ask", "ADDRESS", '{"method": "error", "id": 1}'],
    ["check", "ADDRESS", "--timeout", "0.2", "--only", "rpc/id-string"], ["rm", "ADDRESS", "x"],
]


@pytest.mark.parametrize("command", CALLS, ids=lambda command: "-".join(command[:1] + command[2:4]))
def test_replies_do_not_drive_a_terminal(program, tmp_path, command):
    with serving(Handler) as address:
        seen = seen_on_a_terminal([program] + [address if word == "ADDRESS" else word for word in command])
    assert "owned" in seen or command[0] in ("ping", "check", "rm", "stat") or "parts" in command, seen
    assert FORBIDDEN.search(seen.replace("\r\n", "\n")) is None, repr(seen)


def test_raw_text_does_not_drive_a_terminal(program):
    with serving(Raw) as address:
        seen = seen_on_a_terminal([program, "chat", address], b"hello\n")
    assert "owned" in seen
    assert FORBIDDEN.search(seen.replace("\r\n", "\n")) is None, repr(seen)


def test_datagrams_do_not_drive_a_terminal(program):
    with serving(Datagram, socketserver.ThreadingUDPServer) as address:
        seen = seen_on_a_terminal([program, "udp", address, "x"])
    assert "owned" in seen
    assert FORBIDDEN.search(seen.replace("\r\n", "\n")) is None, repr(seen)


def test_another_program_gets_the_data_as_they_are(program):
    with serving(Handler) as address:
        run = subprocess.run([program, "call", address, "x", "--output", "-"], env=clean_environment(),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=PATIENCE, check=True)
        assert run.stdout == EVIL.encode()
        run = subprocess.run([program, "call", address, "x"], env=clean_environment(),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=PATIENCE, check=True)
        assert "\x9b31m \u202e" in run.stdout.decode()
    with serving(Raw) as address:
        run = subprocess.run([program, "chat", address], env=clean_environment(), input=b"hello\n", stdout=subprocess.PIPE,
                             timeout=PATIENCE, check=True)
        assert run.stdout.startswith(EVIL.encode() + b"\n\x9b\xff")


def test_a_character_that_comes_in_two_pieces_is_shown(program, tmp_path):
    class Halves(socketserver.StreamRequestHandler):
        def handle(self):
            size, = struct.unpack("<i", self.rfile.read(4))
            self.rfile.read(size)
            body = b"a" * ((1 << 18) - 1) + "é".encode() + b"z" * (1 << 20)
            head = {"jsonrpc": "2.0", "id": 1, "result": {"size": len(body), "mtime": 1}, "body_size": len(body)}
            self.wfile.write(reference.encode(head, body))

    with serving(Halves) as address:
        assert "aéz" in seen_on_a_terminal([program, "get", address, "x", "--output", "-"])
