"""The wire format once more, independent of the product and standard library only, so that the two
can disagree. It keeps to PROTOCOL.md, and stays short enough to be checked against it by eye."""
import io
import json
import re
import struct
import sys

MAX_HEADER, MAX_DEPTH = 1 << 20, 1000
RPC_KEYS = {"method", "result", "error", "item"}
SIZE_ALIASES = ("file_size", "file_siz", "filesize", "total_size")
sys.setrecursionlimit(max(sys.getrecursionlimit(), 4 * MAX_DEPTH))  # for headers of the full depth


class ProtocolError(ValueError):
    """args[0] is the code: -32600, -32700 or "truncated"."""


def encode(header, body=b""):
    text = json.dumps(header).encode("utf-8")
    return struct.pack("<i", len(text)) + text + body


def parse_header(data):
    """The header as a dict, and the size of the body that follows it."""
    depth = 0
    for bracket in re.findall(rb"[][{}]", re.sub(rb'"(?:[^"\\]|\\.)*"', b"", data, flags=re.S)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise ProtocolError(-32700)
    try:
        header = json.loads(data.decode("utf-8"))
    except ValueError:
        raise ProtocolError(-32700)
    if not isinstance(header, dict):
        raise ProtocolError(-32600)
    keys = ["body_size"] if RPC_KEYS & header.keys() else SIZE_ALIASES
    sizes = [header[key] for key in keys if key in header] or [0]
    if any(type(size) is not int or not 0 <= size < 1 << 63 or size != sizes[0] for size in sizes):
        raise ProtocolError(-32600)
    return header, sizes[0]


def read_message(read, max_header=MAX_HEADER):
    """Yields the header, then as much of the body as came; nothing when closed between messages.
    `read(n)` returns n bytes, fewer only at the end of the stream."""
    prefix = read(4)
    if not prefix:
        return
    length = struct.unpack("<i", prefix)[0] if len(prefix) == 4 else 2
    if not 2 <= length <= max_header:
        raise ProtocolError(-32600)
    text = read(length)
    if len(text) < length:
        raise ProtocolError("truncated")
    header, size = parse_header(text)
    yield header
    body = read(size)
    yield body
    if len(body) < size:
        raise ProtocolError("truncated")


def decode(data, max_header=MAX_HEADER):
    """Bytes up to the end of a stream -> (whole messages, what came of a cut one, end), where a
    message is [header, body] and the end is "closed" or an error's code."""
    stream, messages = io.BytesIO(data), []
    try:
        while stream.tell() < len(data):
            messages.append([])
            messages[-1].extend(read_message(stream.read, max_header))
    except ProtocolError as error:
        return messages[:-1], messages[-1], error.args[0]
    return messages, [], "closed"


def receive(sock, max_header=MAX_HEADER):
    """The next [header, body] from a socket, [] when the peer closed between messages."""
    def read(count):
        data = bytearray()
        while len(data) < count:
            piece = sock.recv(min(count - len(data), 1 << 16))
            if not piece:
                break
            data += piece
        return bytes(data)
    return list(read_message(read, max_header))
