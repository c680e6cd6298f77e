"""A client of the taught wire, one call or one upload, with one mistake in it on demand: what `framecall check --listen`
has to find.

Usage: broken_client.py --fault NAME HOST PORT      --fault none is without a mistake; --list tells the names

A call of `upper`, or for the faults of senders an upload. Exit status 0 when all was well, else 1 and a line.
"""
import contextlib
import json
import socket
import struct
import sys

MAX_HEADER = (1 << 24) - 1
CALLS = ["none", "newline-behind", "counts-characters", "body-counts-characters", "big-endian", "float-id", "one-recv",
         "prefix-one-recv", "spins-at-the-end", "trusts-length", "takes-half-a-body", "ignores-error", "ignores-id",
         "true-is-a-size", "short-timeout", "no-unknown-keys", "ignores-the-end"]
UPLOADS = ["none-upload", "upload-newline-behind", "path-in-name", "short-body", "send-once", "reset-at-the-end"]


class Failed(Exception):
    pass


class Client:
    def __init__(self, fault, host, port):
        self.fault = fault
        self.sock = socket.create_connection((host, port), timeout=0.2 if fault == "short-timeout" else None)

    # ----- sending

    def frame(self, header, body):
        if self.fault == "counts-characters":
            text = json.dumps(header, ensure_ascii=False)
            return struct.pack("<i", len(text)) + text.encode() + body
        text = json.dumps(header).encode()
        return struct.pack(">i" if self.fault == "big-endian" else "<i", len(text)) + text + body

    def send(self, header, body):
        data = self.frame(header, body)
        if self.fault in ("newline-behind", "upload-newline-behind"):
            data += b"\n"
        if self.fault == "short-body":
            data = data[:-1]
        if self.fault == "send-once":
            self.sock.send(data, socket.MSG_DONTWAIT)
        else:
            self.sock.sendall(data)

    # ----- receiving

    def read(self, count):
        data = b""
        while len(data) < count:
            piece = self.sock.recv(min(count - len(data), 1 << 16))
            if not piece and self.fault != "spins-at-the-end":
                if self.fault == "takes-half-a-body":
                    break
                raise Failed("the server ended the connection")
            data += piece
        return data

    def receive(self):
        prefix = self.sock.recv(4) if self.fault == "prefix-one-recv" else self.read(4)
        length = struct.unpack("<i", prefix)[0]
        if not 2 <= length <= MAX_HEADER and self.fault != "trusts-length":
            raise Failed("a length of %d" % length)
        header = json.loads((self.sock.recv(length) if self.fault == "one-recv" else self.read(length)).decode())
        size = header.get("body_size", 0)
        if self.fault == "true-is-a-size":
            size = int(size)
        if type(size) is not int or not 0 <= size < 1 << 63:
            raise Failed("a body_size of %r" % (size,))
        return header, self.read(size)

    def check(self, header, body, identity, expected):
        if "error" in header and self.fault != "ignores-error":
            raise Failed("refused: %r" % (header["error"],))
        if header.get("id") != identity and self.fault not in ("ignores-id", "ignores-error"):
            raise Failed("a reply with the id %r" % (header.get("id"),))
        if self.fault == "no-unknown-keys" and header.keys() - {"jsonrpc", "id", "result", "error", "body_size"}:
            raise Failed("unknown keys")
        if body != expected and "error" not in header and self.fault not in ("takes-half-a-body", "true-is-a-size"):
            raise Failed("another body")

    # ----- the two things it does

    def call(self):
        text = "h\u00e4llo" if self.fault == "body-counts-characters" else "hello"
        body = text.encode()
        identity = 1.5 if self.fault == "float-id" else 7
        header = {"id": identity, "method": "upper", "params": ["\u4f60\u597d"], "body_size": len(text)}
        self.send(header, body)
        try:
            self.check(*self.receive(), identity, body.upper())
        except (Failed, OSError, struct.error):
            if self.fault != "ignores-the-end":
                raise
        self.sock.close()

    def upload(self):
        body = bytes(range(256)) * 20000
        self.send({"file_name": "../a.txt" if self.fault == "path-in-name" else "a.txt", "file_size": len(body)}, body)
        if self.fault == "reset-at-the-end":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self.sock.shutdown(socket.SHUT_WR)
            answer = self.sock.recv(1 << 16)
            if answer:
                raise Failed("refused: %r" % answer)
        self.sock.close()


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        print("\n".join(CALLS + UPLOADS))
        sys.exit()
    assert sys.argv[1] == "--fault" and sys.argv[2] in CALLS + UPLOADS and len(sys.argv) == 5, __doc__
    try:
        client = Client(sys.argv[2], sys.argv[3], int(sys.argv[4]))
        with contextlib.closing(client.sock):
            client.call() if sys.argv[2] in CALLS else client.upload()
    except (Failed, OSError, ValueError, AttributeError, TypeError, struct.error) as failure:
        sys.exit("%s: %s" % (type(failure).__name__, failure))
