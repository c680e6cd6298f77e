"""Calls from peers of the standard library alone; replies must be what json.dumps writes."""
import socket
import struct
import subprocess

import json
import peers
import pytest
import reference
from processes import PATIENCE, clean_environment

CLIENT = """
import json, socket, struct, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
h = json.dumps({"id": 1, "method": "upper", "body_size": 5}).encode()
s.sendall(struct.pack("i", len(h)) + h + b"hello")
f = s.makefile("rb")
r = json.loads(f.read(struct.unpack("i", f.read(4))[0]).decode())
print(json.dumps([r["id"], r["result"], f.read(r["body_size"]).decode()]))
"""


def ask(port, *messages):
    """Sends all, ends our direction, and returns the replies, each checked to be json.dumps' own text."""
    with peers.connect(port) as sock:
        sock.sendall(b"".join(reference.encode(header, body) for header, body in messages))
        data = peers.finish(sock)
    replies, cut, end = reference.decode(data)
    assert (cut, end) == ([], "closed"), data
    assert data == b"".join(reference.encode(header, body) for header, body in replies)
    return replies


def test_eight_lines_are_a_client(serve, python):
    result = subprocess.run([python, "-c", CLIENT, str(serve().port)], env=clean_environment(), timeout=PATIENCE,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    assert json.loads(result.stdout.decode()) == [1, None, "HELLO"]


@pytest.mark.parametrize("way", ["direct", "relay"])
def test_pipelined_calls(serve, relay, way):
    server = serve()
    port = server.port if way == "direct" else relay(server.port, seed=1)
    count = 2000 if way == "direct" else 20
    bodies = [peers.content(n, n % 300).lower() for n in range(count)]
    replies = ask(port, *[({"id": n, "method": "upper", "body_size": len(body)}, body)
                          for n, body in enumerate(bodies)])
    assert [header["id"] for header, _ in replies] == list(range(count))
    assert [body for _, body in replies] == [body.upper() for body in bodies]


def test_a_large_body_does_not_hold_up_others(serve):
    server, size = serve("--threads", "1"), 30000000
    with peers.connect(server.port) as slow:
        head = reference.encode({"id": 1, "method": "upper", "body_size": size})
        slow.sendall(head + b"x" * (size // 2))
        for n in range(50):
            assert ask(server.port, ({"id": n, "method": "rpc.ping"}, b""))[0][0]["result"] == "pong"
        slow.sendall(b"x" * (size - size // 2))
        slow.shutdown(socket.SHUT_WR)
        data = peers.read_to_end(slow)
    length = struct.unpack("<i", data[:4])[0]
    assert json.loads(data[4:4 + length].decode())["body_size"] == size
    assert data[4 + length:] == b"X" * size


@pytest.mark.parametrize("identifier", [0, -1, 2**63, 10**100, "", "a", "你\"\\\n", "\ud800"])
def test_ids_are_echoed_exactly(serve, identifier):
    (header, _), = ask(serve().port, ({"id": identifier, "method": "rpc.ping"}, b""))
    assert header == {"jsonrpc": "2.0", "id": identifier, "result": "pong"}


@pytest.mark.parametrize("header, code", [
    ({"id": 1, "method": "no such method"}, -32601),
    ({"id": 1, "method": "rpc.cancel", "params": [1]}, -32602),
    ({"id": 1, "method": "rpc.ping", "jsonrpc": "1.0"}, -32600),
    ({"id": 1, "method": "rpc.ping", "params": "x"}, -32600),
    ({"id": 1, "method": "rpc.ping", "timeout_ms": -5}, -32600),
    ({"id": 1, "method": ["x"]}, -32600),
    ({"id": 1, "method": "x", "error": None}, -32600),
])
def test_errors_are_replies_and_the_connection_goes_on(serve, header, code):
    good = ({"id": 2, "method": "rpc.health"}, b"")
    body = b"x" * 100000
    (first, _), (second, _) = ask(serve().port, (dict(header, body_size=len(body)), body), good)
    assert first["id"] == 1 and first["error"]["code"] == code
    assert second["result"] == {"status": "SERVING"}


def test_notifications_get_nothing(serve):
    replies = ask(serve().port, ({"method": "rpc.ping"}, b""), ({"method": "no"}, b""), ({"id": 1, "method": "echo"}, b""))
    assert [header["id"] for header, _ in replies] == [1]


def test_discover_lists_every_method(serve):
    (header, _), = ask(serve().port, ({"id": 1, "method": "rpc.discover"}, b""))
    document = header["result"]
    assert document["openrpc"].startswith("1.") and set(document) == {"openrpc", "info", "methods"}
    names = [method["name"] for method in document["methods"]]
    assert names == sorted(names)
    assert set(names) == {"echo", "upper", "rpc.ping", "rpc.discover", "rpc.health", "rpc.stats", "rpc.cancel"}
    for method in document["methods"]:
        assert isinstance(method["params"], list) and "schema" in method["result"]
