"""framecall in the place of the tutorial's servers: its unmodified clients, on their own ports, by every CPython."""

import os
import re
import socket
import subprocess
import time

import peers
import pytest
import reference
from processes import PATIENCE, script, wait_until

PROMPT = "请输入你:"


def lines_of(path):
    return peers.read(path).splitlines()


def grows(path, count):
    wait_until(lambda: len(lines_of(path)) >= count, "%s has %d lines" % (path, count))


def run_t2(python, *port):
    """What T2 prints for a conversation."""
    with script(
        "t02_tcp_interactive_client.py", *port, python=python, stdin=subprocess.PIPE, output=subprocess.PIPE
    ) as client:
        return client.communicate("hello\n\n   \n  你好 x \na\n".encode(), PATIENCE)[0].decode()


T2_OUTPUT = PROMPT + "HELLO\n" + PROMPT * 3 + "你好 X\n" + PROMPT + "A\n" + PROMPT


@pytest.fixture
def tutorial(own_ports, serve):  # in this order: the server ends before the ports are given away
    return serve("--tutorial", listen=None)


def test_every_client_of_the_tutorial_on_its_own_port(tutorial, python, tmp_path):
    assert tutorial.services == [("tcp", 8080, "frames,echo"), ("tcp", 8081, "echo"), ("udp", 8080, "upper")]
    assert run_t2(python).startswith(T2_OUTPUT)
    (tmp_path / "a.txt").write_bytes(b"one\ntwo\n")
    with script("t03_file_sender.py", "a.txt", python=python, cwd=tmp_path) as sender:
        assert sender.wait(PATIENCE) == 0
    wait_until(lambda: tutorial.names() == ["a.txt"], "the file of T3")
    assert peers.read(os.path.join(tutorial.root, "a.txt")) == b"one\ntwo\n"
    with open(tmp_path / "t6", "wb") as output, script("t06_udp_client.py", python=python, output=output) as client:
        assert client.wait(PATIENCE) == 0
    assert lines_of(tmp_path / "t6") == [b"HELLO SERVER BABY!"]
    with (
        open(tmp_path / "t8", "wb") as one,
        open(tmp_path / "t10", "wb") as two,
        script("t08_tcp_loop_client.py", python=python, output=one),
        script("t10_udp_loop_client.py", python=python, output=two),
    ):
        grows(tmp_path / "t8", 1000)
        grows(tmp_path / "t10", 2)
    for name in "t8", "t10":
        assert set(re.sub(rb"^b'(.*)'$", rb"\1", line) for line in lines_of(tmp_path / name)[:-1]) == {b"HELLO"}


def test_t2_and_t8_in_place_of_t7(serve, python, tmp_path):
    server = serve("--echo", "127.0.0.1:0", listen=None)
    assert server.services[0][2] == "echo"
    assert run_t2(python, server.port).startswith(T2_OUTPUT)
    with (
        open(tmp_path / "t8", "wb") as output,
        script("t08_tcp_loop_client.py", server.port, python=python, output=output),
    ):
        grows(tmp_path / "t8", 300)


def test_t2_through_the_relay(serve, relay, python):
    server = serve("--protocols", "frames,echo")
    with peers.connect(relay(server.port, seed=python)) as sock:
        message = "你好, hello ".encode() * 100
        sock.sendall(message)
        received = b""
        while len(received) < len(message):
            received += sock.recv(1024)
        assert received == message.upper()
    (port,) = [relay(server.port, seed=python + "2")]
    assert run_t2(python, port).startswith(PROMPT)


def test_five_t8_at_once(serve, python, tmp_path, long):
    """Every reply is right, for as long as they run, and they all go on."""
    server = serve("--echo", "127.0.0.1:0", listen=None)
    paths = [tmp_path / ("t8-%d" % n) for n in range(5)]
    files = [open(path, "wb") for path in paths]
    running = [script("t08_tcp_loop_client.py", server.port, python=python, output=f) for f in files]
    try:
        processes = [one.__enter__() for one in running]
        if long:
            deadline = time.monotonic() + 10
            wait_until(lambda: time.monotonic() > deadline, "ten seconds")
        for path in paths:
            grows(path, 500)
        assert [process.poll() for process in processes] == [None] * 5
    finally:
        for one in running:
            one.__exit__(None, None, None)
        for f in files:
            f.close()
    for path in paths:
        assert set(re.sub(rb"^b'(.*)'$", rb"\1", line) for line in lines_of(path)[:-1]) == {b"HELLO"}


def test_t6_and_t10_get_the_fixed_reply_of_t5(serve, python, tmp_path):
    server = serve("--udp", "127.0.0.1:0", "--udp-reply", "hello", listen=None)
    assert server.services == [("udp", server.port, "reply hello")]
    with (
        open(tmp_path / "t6", "wb") as output,
        script("t06_udp_client.py", server.port, python=python, output=output) as client,
    ):
        assert client.wait(PATIENCE) == 0
    assert lines_of(tmp_path / "t6") == [b"hello"]


def test_one_reply_per_datagram(serve):
    server = serve("--udp", "127.0.0.1:0", listen=None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", server.port))
        sock.settimeout(PATIENCE)
        sizes = [1, 5, 1500, 9000, 65507]
        for size in sizes:
            sock.send(b"q" * size)
            assert sock.recv(1 << 16) == b"Q" * size
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(10)
        for _ in range(20):  # senders that are gone when the answer comes
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
                gone.sendto(b"x", ("127.0.0.1", server.port))
        sock.settimeout(PATIENCE)
        sock.send(b"still there")
        assert sock.recv(100) == b"STILL THERE"


def garbage():
    header = b'{"file_name": "x", "file_size": 10}'
    yield "random bytes", os.urandom(8).replace(b"\n", b"") * 500
    yield "NULs", bytes(100)
    yield "high bytes", b"\xff" * 5000
    yield "HTTP", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    yield "TLS hello", b"\x16\x03\x01\x00\xee\x01\x00\x00\xea\x03\x03" + bytes(200)
    yield "TLS 1.3 hello, short", b"\x16\x03\x01\x00" + b"\xea\x01" + bytes(200)
    yield "half a prefix", b"\x23\x00"
    yield "half a header", reference.encode({"file_name": "x", "file_size": 10})[:20]
    yield "half a body", len(header).to_bytes(4, "little") + header + b"12345"


@pytest.mark.parametrize("protocols", ["frames", "frames,echo", "frames,echo,http", "echo", "http"])
def test_garbage_on_a_port(serve, protocols):
    """The server goes on, the other clients notice nothing, and every one is worth at most a line."""
    server = serve("--protocols", protocols, "--echo", "127.0.0.1:0", "--udp", "127.0.0.1:0")
    ports = [port for _, port, _ in server.services]
    echoes = [port for kind, port, what in server.services if kind == "tcp" and "echo" in what]
    others = [peers.connect(port) for port in echoes]
    for sock in others:
        sock.sendall(b"before")
        assert sock.recv(100) == b"BEFORE"
    count = 0
    lines = len(server.log().splitlines())
    for port in ports[:2]:
        for _, data in garbage():
            with peers.connect(port) as sock:
                peers.send_all(sock, data)
                try:
                    peers.finish(sock)
                except ConnectionResetError:
                    pass
            count += 1
            assert len(server.log().splitlines()) <= lines + count
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        for _, data in garbage():
            sock.sendto(data, ("127.0.0.1", ports[2]))
            if data != data.upper():  # else it may be an answer itself, and gets none
                assert sock.recv(1 << 16) == data.upper()
    for sock in others:
        sock.sendall(b"after")
        assert sock.recv(100) == b"AFTER"
        sock.close()
    if "frames" in protocols:
        peers.store(server, "whole", b"content")
    assert server.names() == (["whole"] if "frames" in protocols else [])


def test_one_port_for_everything(serve):
    server = serve("--protocols", "frames,echo,http")
    for message in b"h", b"hi", b"hey", b"hello", b"GE", b"\xe4\xbd\xa0", b'{"a": 1}', b"  x":
        with peers.connect(server.port) as sock:
            for _ in range(2):
                sock.sendall(message)
                assert sock.recv(1024) == message.upper()
    peers.store(server, "a", b"content")
    with peers.connect(server.port) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        reply = peers.read_to_end(sock)
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n") and reply.endswith(b"\r\n\r\nSERVING\n")
    from urllib.request import urlopen

    with urlopen("http://127.0.0.1:%d/healthz" % server.port, timeout=PATIENCE) as response:
        assert (response.status, response.read()) == (200, b"SERVING\n")
