"""A server of the taught wire on top of reference.py: uploads, and the calls echo, upper and rpc.ping.

Usage: reference_server.py ROOT [PORT]      default 0, which picks one; prints `listening tcp 127.0.0.1:PORT`

It keeps to PROTOCOL.md, one thread for each connection, and is laid out in small steps so that broken_server.py can
replace one of them at a time. Meant to be read: what a server has to look after is all here.
"""
import base64
import contextlib
import hashlib
import os
import socket
import struct
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "testing"))

import reference  # noqa: E402
from reference import ProtocolError  # noqa: E402

MAX_BODY = 64 << 20
INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32600, -32601, -32602
TOO_LARGE, DATA_LOSS = -32048, -32055


class CallFailed(Exception):
    """args: the code and the message of the error reply."""


def is_plain(name):
    """Whether an upload may have this name."""
    if not isinstance(name, str):
        return False
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return (1 <= size <= 255 and name not in (".", "..", ".framecall") and not set(name) & set("/\\")
            and not any(ord(c) < 0x20 or 0x7f <= ord(c) < 0xa0 for c in name)
            and not (len(name) > 1 and name[1] == ":" and name[0].isascii() and name[0].isalpha()))


class Connection:
    """One connection; run() serves it to its end."""

    def __init__(self, sock, root):
        self.sock, self.root = sock, root

    # ----- reading

    def read(self, count):
        """Exactly `count` bytes, fewer only at the end of the stream."""
        data = bytearray()
        while len(data) < count:
            piece = self.sock.recv(min(count - len(data), 1 << 16))
            if not piece:
                break
            data += piece
        return bytes(data)

    def read_prefix(self):
        return self.read(4)

    def length_of(self, prefix):
        return struct.unpack("<i", prefix)[0]

    def check_length(self, length):
        if not 2 <= length <= reference.MAX_HEADER:
            raise ProtocolError(INVALID_REQUEST)

    def read_header(self, length):
        return self.read(length)

    def parse(self, text):
        return reference.parse_header(text)

    def check_size(self, header, size):
        """A body above the limit ends the connection; uploads have none."""
        if "method" in header and size > MAX_BODY:
            raise ProtocolError(TOO_LARGE)

    def read_body(self, header, size):
        return self.read(size)

    def receive(self):
        """The next (header, body); None at the end of the stream between two frames."""
        prefix = self.read_prefix()
        if not prefix:
            return None
        if len(prefix) < 4:
            raise ProtocolError("truncated")
        length = self.length_of(prefix)
        self.check_length(length)
        text = self.read_header(length)
        if len(text) < length:
            raise ProtocolError("truncated")
        header, size = self.parse(text)
        self.check_size(header, size)
        body = self.read_body(header, size)
        self.check_body(body, size)
        return header, body

    def check_body(self, body, size):
        if len(body) < size:
            raise ProtocolError("truncated")

    # ----- writing

    def encode(self, header, body):
        return reference.encode(header, body)

    def send(self, header, body=b""):
        if body:
            header["body_size"] = len(body)
        self.sock.sendall(self.encode(header, body))

    def reply(self, header, reply, body=b""):
        self.send({"jsonrpc": "2.0", "id": self.id_of(header), **reply}, body)

    def id_of(self, header):
        return header["id"]

    # ----- what frames mean

    def handle(self, header, body):
        if "method" in header and not ("result" in header or "error" in header):
            self.request(header, body)
        elif "item" in header and "id" in header and not header.keys() & {"method", "result", "error"}:
            pass  # a part for a call that is over
        elif "method" in header and "id" in header:
            self.reply(header, {"error": {"code": INVALID_REQUEST, "message": "method with result or error"}})
        elif header.keys() & reference.RPC_KEYS:
            self.stranger(header)
        else:
            self.upload(header, body)

    def stranger(self, header):
        raise ProtocolError(INVALID_REQUEST)

    def request(self, header, body):
        if "id" in header and type(header["id"]) not in (int, str):
            raise ProtocolError(INVALID_REQUEST)
        try:
            result, body = self.call(header, body)
            reply = {"result": result}
        except CallFailed as failure:
            reply, body = {"error": {"code": failure.args[0], "message": failure.args[1]}}, b""
        if "id" in header:
            self.reply(header, reply, body)
        else:
            self.notified(header, reply)

    def notified(self, header, reply):
        pass

    def call(self, header, body):
        """(result, body) of a call; raises CallFailed."""
        method, params = header["method"], header.get("params", [])
        if header.get("jsonrpc", "2.0") != "2.0":
            raise CallFailed(INVALID_REQUEST, "jsonrpc is not 2.0")
        if not isinstance(method, str) or not isinstance(params, (list, dict)):
            raise CallFailed(INVALID_REQUEST, "a method is a string, params are a list or an object")
        if header.get("more"):
            raise CallFailed(INVALID_REQUEST, "no method takes parts")
        digest = header.get("digest", {}).get("sha-256")
        if digest is not None and base64.b64encode(hashlib.sha256(body).digest()).decode() != digest:
            raise CallFailed(DATA_LOSS, "the body has another sha-256")
        if method == "echo":
            return header.get("params"), body
        if method == "upper":
            return None, self.upper(body)
        if method == "rpc.ping":
            return "pong", body
        raise CallFailed(METHOD_NOT_FOUND, "no method " + method)

    def upper(self, body):
        return body.upper()

    def upload(self, header, body):
        names = [header[key] for key in ("file_name", "filename") if key in header]
        if not names or not header.keys() & set(reference.SIZE_ALIASES) or names.count(names[0]) != len(names):
            raise ProtocolError(INVALID_REQUEST)
        if not self.is_good_name(names[0]):
            raise ProtocolError(INVALID_PARAMS)
        self.store(names[0], body)

    def is_good_name(self, name):
        return is_plain(name)

    def store(self, name, body):
        descriptor, path = tempfile.mkstemp(dir=os.path.join(self.root, ".framecall"))
        with os.fdopen(descriptor, "wb") as f:
            f.write(body)
        os.replace(path, os.path.join(self.root, name))

    # ----- from the first byte to the last

    def refuse(self, code):
        """One error reply and the end; what still arrives is dropped, so that no reset destroys the reply."""
        self.send({"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": "refused"}})
        self.sock.shutdown(socket.SHUT_WR)
        self.sock.settimeout(5)
        while self.sock.recv(1 << 16):
            pass

    def run(self):
        try:
            self.serve()
        except ProtocolError as error:
            if error.args[0] != "truncated":
                with contextlib.suppress(OSError):
                    self.refuse(error.args[0])
        except OSError:
            self.lost()
        finally:
            self.sock.close()

    def serve(self):
        for header, body in iter(self.receive, None):
            self.handle(header, body)

    def lost(self):
        """The peer broke the connection off."""


def listen(root, port=0, connection=Connection, threads=True):
    os.makedirs(os.path.join(root, ".framecall"), exist_ok=True)
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    print("listening tcp 127.0.0.1:%d" % listener.getsockname()[1], flush=True)
    while True:
        try:
            sock = listener.accept()[0]
        except ConnectionError:  # gone before we came to it
            continue
        one = connection(sock, root)
        if threads:
            threading.Thread(target=one.run, daemon=True).start()
        else:
            one.run()


if __name__ == "__main__":
    listen(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)
