"""Random conversations on one connection against a model of what a server has to answer. A failure prints a program that
replays the smallest one that fails."""
import json
import os
import socket
import struct

import peers
import processes
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6)
IDS = st.integers() | st.text(max_size=8)
PARAMS = st.lists(JSON_VALUES, max_size=3) | st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=3)
BODIES = st.binary(max_size=300) | st.integers(1, 200000).map(lambda size: peers.content("body", size))
NAMES = st.sampled_from(["a", "b.txt", "你好", "..", "x/y", "", "a b"])

STEPS = st.one_of(
    st.tuples(st.just("echo"), IDS, PARAMS, BODIES),
    st.tuples(st.just("upper"), IDS, st.none(), BODIES),
    st.tuples(st.just("rpc.ping"), IDS, st.none(), BODIES),
    st.tuples(st.just("no.such.method"), IDS, PARAMS, BODIES),
    st.tuples(st.just("notify"), st.none(), PARAMS, BODIES),
    st.tuples(st.just("bad version"), IDS, PARAMS, BODIES),
    st.tuples(st.just("stray part"), IDS, JSON_VALUES, BODIES),
    st.tuples(st.just("upload"), st.none(), NAMES, BODIES))


def frame(header, body=b""):
    text = json.dumps(header).encode()
    return struct.pack("<i", len(text)) + text + body


class Model:
    """What a server answers, and which files it has."""

    def __init__(self):
        self.replies = []  # (id, result or error code, body)
        self.files = {}
        self.ended = False

    def say(self, step):
        """The bytes of a step; notes what has to come of it."""
        kind, call_id, value, body = step
        if kind == "upload":
            good = value not in ("..", "x/y", "")
            if good:
                self.files[value] = body
            else:
                self.replies.append((None, -32602, b""))
                self.ended = True
            return frame({"file_name": value, "file_size": len(body)}, body)
        header = {"body_size": len(body)}
        if kind == "stray part":
            return frame(dict(header, id=call_id, item=value), body)
        header.update(method="echo" if kind in ("notify", "bad version") else kind)
        if value is not None:
            header.update(params=value)
        if kind == "notify":
            return frame(header, body)
        header.update(id=call_id)
        if kind == "bad version":
            header.update(jsonrpc="1.0")
            self.replies.append((call_id, -32600, b""))
        elif kind == "no.such.method":
            self.replies.append((call_id, -32601, b""))
        else:
            result = {"echo": value, "upper": None, "rpc.ping": "pong"}[kind]
            self.replies.append((call_id, result, body.upper() if kind == "upper" else body))
        return frame(header, body)


def talk(port, data, cuts):
    """Everything that the server says to `data`, sent in pieces that end at `cuts`."""
    with socket.create_connection(("127.0.0.1", port), timeout=processes.PATIENCE) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for begin, end in zip([0, *cuts], [*cuts, len(data)]):
            if not peers.send_all(sock, data[begin:end]):
                break
        return peers.finish(sock)


def replies_in(data):
    found = []
    while data:
        size, = struct.unpack_from("<i", data)
        header = json.loads(data[4:4 + size].decode())
        body_size = header.get("body_size", 0)
        body = data[4 + size:4 + size + body_size]
        found.append((header["id"], header["error"]["code"] if "error" in header else header["result"], body))
        data = data[4 + size + body_size:]
    return found


def script(data, cuts):
    """A program that replays a conversation."""
    return ("import socket\nsock = socket.create_connection(('127.0.0.1', 8080))\n"
            "data = bytes.fromhex('%s')\nfor begin, end in zip([0, *%r], [*%r, len(data)]):\n    sock.sendall(data[begin:end])\n"
            "sock.shutdown(socket.SHUT_WR)\nprint(b''.join(iter(lambda: sock.recv(65536), b'')))\n"
            % (data.hex() if len(data) < 4000 else data[:4000].hex() + "...", cuts, cuts))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("conversations")
    running = processes.Server(processes.program_path(), folder / "root", folder / "serve.log")
    yield running
    running.stop()


def test_conversations(server, request):
    @settings(max_examples=2000 if request.config.getoption("--long") else 200, deadline=None,
              suppress_health_check=list(HealthCheck))
    @given(st.lists(STEPS, max_size=12), st.lists(st.integers(0, 1 << 20), max_size=8))
    def converse(steps, places):
        for name in os.listdir(server.root):
            if name != ".framecall":
                os.unlink(os.path.join(server.root, name))
        model, data = Model(), b""
        for step in steps:
            data += model.say(step)
            if model.ended:
                break
        cuts = sorted({place % len(data) for place in places}) if data else []
        note(script(data, cuts))
        assert replies_in(talk(server.port, data, cuts)) == model.replies
        stored = {name: peers.read(os.path.join(server.root, name)) for name in os.listdir(server.root) if name != ".framecall"}
        assert stored == model.files

    converse()
