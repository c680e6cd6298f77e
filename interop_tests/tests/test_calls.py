"""Calls from peers of the standard library alone; replies must be what json.dumps writes."""
import os
import select
import signal
import socket
import struct
import subprocess
import threading

import json
import peers
import pytest
import reference
from processes import PATIENCE, clean_environment, is_sanitized, peak_memory, wait_until

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


def descriptors(server):
    return len(os.listdir("/proc/%d/fd" % server.process.pid))


def head_of(header):
    return reference.encode(header, b"")


@pytest.mark.parametrize("phase", range(9))
def test_a_reset_at_any_phase_of_a_call(serve, phase):
    server = serve("--threads", "1")
    body = b"x" * 300000
    frame = reference.encode({"id": 1, "method": "upper", "body_size": len(body)}, body)
    head = len(frame) - len(body)
    cut = [0, 1, 4, 5, head - 1, head, head + 1, len(frame) - 1, len(frame)][phase]
    with peers.connect(server.port):  # it has all that it opens at its start
        ask(server.port, ({"id": 1, "method": "rpc.ping"}, b""))
        before = descriptors(server) - 1
    for _ in range(20):
        sock = peers.connect(server.port)
        sock.sendall(frame[:cut])
        peers.reset(sock)
    assert ask(server.port, ({"id": 2, "method": "rpc.ping"}, b""))[0][0]["result"] == "pong"
    wait_until(lambda: descriptors(server) == before, "all connections are closed")


def test_peers_that_never_read_cost_little(serve, program):
    server = serve("--threads", "1")
    ask(server.port, ({"id": 0, "method": "echo", "body_size": 1000000}, b"x" * 1000000))
    before = peak_memory(server.process.pid)
    frame = reference.encode({"id": 1, "method": "echo", "body_size": 1000000}, b"x" * 1000000)
    silent = [peers.connect(server.port) for _ in range(4)]
    try:
        for sock in silent:
            sock.settimeout(0.3)
            with pytest.raises(socket.timeout):  # 50 MB, of which it takes what it may hold
                sock.sendall(frame * 50)
        for n in range(50):
            assert ask(server.port, ({"id": n, "method": "rpc.ping"}, b""))[0][0]["result"] == "pong"
        if not is_sanitized(program):  # whose memory is not given back
            assert peak_memory(server.process.pid) - before < 16 << 20
    finally:
        for sock in silent:
            sock.close()


def test_half_close_loses_no_reply(serve):
    bodies = [peers.content(n, 20000) for n in range(200)]
    replies = ask(serve().port, *[({"id": n, "method": "echo", "body_size": len(body)}, body) for n, body in enumerate(bodies)])
    assert [(header["id"], body) for header, body in replies] == list(enumerate(bodies))


def test_sigterm_under_load_loses_no_call(serve):
    server = serve()
    ended, going = [], threading.Barrier(9, timeout=PATIENCE)

    def load(seed):
        with peers.connect(server.port) as sock, sock.makefile("rb") as stream:
            n = 0
            while True:
                n += 1
                sock.sendall(head_of({"id": n, "method": "echo", "params": [seed, n]}))
                reply = json.loads(stream.read(struct.unpack("<i", stream.read(4))[0]).decode())
                assert (reply["id"], reply["result"]) == (n, [seed, n])
                if n == 50:
                    going.wait()
                if reply.get("metadata") == {"connection": "close"}:
                    ended.append(n)
                    return

    threads = [threading.Thread(target=load, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    going.wait()
    server.process.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join(PATIENCE)
    assert len(ended) == 8, "each one was told, and had every reply until then"
    assert server.process.wait(PATIENCE) == 0


@pytest.fixture
def datagrams(serve):
    server = serve("--udp", "127.0.0.1:0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", server.services[1][1]))
        yield sock


def test_calls_by_datagram(datagrams):
    def ask_udp(*messages):
        for message in messages:
            datagrams.send(message)
        return datagrams.recv(65536)

    assert ask_udp(reference.encode({"id": 1, "method": "upper", "body_size": 5}, b"hello")) == \
        reference.encode({"jsonrpc": "2.0", "id": 1, "result": None, "body_size": 5}, b"HELLO")
    # A notification is not answered: the next answer is the next call's.
    assert b'"id": 2' in ask_udp(head_of({"method": "rpc.ping"}), head_of({"id": 2, "method": "rpc.health"}))
    for header, code in [({"id": 3, "method": "no"}, -32601), ({"id": 3, "method": "echo", "more": True}, -32600),
                         ({"id": 3, "method": "upper", "body_size": 1, "digest": {"sha-256": "x"}}, -32055)]:
        body = b"a" * header.get("body_size", 0)
        (reply, _), = reference.decode(ask_udp(reference.encode(header, body)))[0]
        assert (reply["id"], reply["error"]["code"]) == (3, code)
    body = b"x" * (65507 - len(head_of({"id": 4, "method": "upper", "body_size": 65400})))
    (reply, _), = reference.decode(ask_udp(reference.encode({"id": 4, "method": "upper", "body_size": len(body)}, body)))[0]
    assert reply["error"]["code"] == -32048 and reply["error"]["data"]["limit"] == 65507
    for text in (b"hello", b"\x05\0\0\0{a}", head_of({"id": 5, "method": "upper", "body_size": 5}) + b"four",
                 head_of({"id": 5, "method": "upper"}) + b"surplus", head_of({"id": 5})):
        assert ask_udp(text) == text.upper()


def padded(size, **header):
    """A call whose datagram has `size` bytes: blanks around the JSON text count as a part of it."""
    text = json.dumps(header).encode()
    return (size - 4).to_bytes(4, "little") + text.ljust(size - 4)


def test_a_datagram_is_answered_with_at_most_three_times_its_bytes(datagrams):
    """The address of a sender can be forged: whoever owns it would get the answers."""
    small = head_of({"id": 1, "method": "rpc.discover"})
    datagrams.send(small)
    answer = datagrams.recv(65536)
    assert len(answer) <= 3 * len(small)
    (reply, _), = reference.decode(answer)[0]
    assert reply["error"]["code"] == -32048
    datagrams.send(padded(200, id=1, method="rpc.discover"))
    (reply, _), = reference.decode(datagrams.recv(65536))[0]
    assert "pad the request with blanks" in reply["error"]["message"]
    assert reply["error"]["data"]["limit"] == 600 < reply["error"]["data"]["got"]
    datagrams.send(padded(2000, id=1, method="rpc.discover"))
    (reply, _), = reference.decode(datagrams.recv(65536))[0]
    assert reply["result"]["openrpc"] == "1.3.2"


def test_what_a_server_would_send_itself_is_not_answered_by_datagram(datagrams):
    """Else one datagram with a forged address makes two servers answer each other for ever."""
    for own in (b"HELLO", b"", b"12:30", "你好".encode(), head_of({"jsonrpc": "2.0", "id": 1, "result": None}),
                head_of({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no frame"}})):
        datagrams.send(own)
        datagrams.send(b"hello")
        assert datagrams.recv(65536) == b"HELLO"  # loopback keeps the order


@pytest.mark.parametrize("flags", [(), ("--udp-reply", "hello")])
def test_two_servers_do_not_answer_each_other_for_ever(serve, flags):
    servers = [serve("--udp", "127.0.0.1:0", *some, listen=None) for some in ((), flags)]
    between = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in servers]
    for sock, server in zip(between, servers):
        sock.connect(("127.0.0.1", server.port))
    message, count = b"hello server", 0
    while message and count < 100:
        sock = between[count % 2]
        sock.send(message)
        message = sock.recv(65536) if select.select([sock], [], [], 0.3)[0] else None
        count += 1
    for sock in between:
        sock.close()
    assert count < 20


def test_a_source_of_datagrams_has_a_rate(serve):
    server = serve("--udp", "127.0.0.1:0", "--max-udp-rate", "10", listen=None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", server.port))
        for _ in range(500):
            sock.send(b"hello")
        wait_until(lambda: "max_udp_rate (10 a second from one address)" in server.log(), "a line in the log")
        answers = 0
        while select.select([sock], [], [], 0.3)[0]:
            assert sock.recv(100) == b"HELLO"
            answers += 1
    assert 1 <= answers < 200
    assert server.log().count("max_udp_rate") == 1, "not a line for each"


def test_a_listening_socket_that_was_there_already(serve):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        server = serve("--listen", "fd:%d" % listener.fileno(), listen=None, pass_fds=[listener.fileno()])
        assert server.port == listener.getsockname()[1]
        assert ask(server.port, ({"id": 1, "method": "rpc.ping"}, b""))[0][0]["result"] == "pong"


@pytest.mark.parametrize("text, message", [("fd:x", b"fd:NUMBER"), ("fd:-1", b"fd:NUMBER"), ("fd:99", b"descriptor 99 is no"),
                                           ("fd:2", b"descriptor 2 is no listening socket")])
def test_a_descriptor_that_is_no_listening_socket(program, text, message):
    result = subprocess.run([program, "serve", "--listen", text], env=clean_environment(), timeout=PATIENCE,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert result.returncode in (1, 2) and message in result.stderr, result.stderr


def test_discover_lists_every_method(serve):
    (header, _), = ask(serve().port, ({"id": 1, "method": "rpc.discover"}, b""))
    document = header["result"]
    assert document["openrpc"].startswith("1.") and set(document) == {"openrpc", "info", "methods"}
    names = [method["name"] for method in document["methods"]]
    assert names == sorted(names)
    assert set(names) == {"echo", "upper", "rpc.ping", "rpc.discover", "rpc.health", "rpc.stats", "rpc.cancel",
                          "file.put", "file.get", "file.list", "file.stat", "file.remove"}
    for method in document["methods"]:
        assert isinstance(method["params"], list) and "schema" in method["result"]
