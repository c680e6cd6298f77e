"""RawClient and UdpClient against plain sockets of the standard library: bytes, errors, Ctrl-C, other threads."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import framecall
import pytest
from framecall import RawClient, UdpClient

PATIENCE = 30.0


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        yield server


@pytest.fixture
def udp_server() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(PATIENCE)
        yield server


def address_of(sock: socket.socket) -> str:
    return "{}:{}".format(*sock.getsockname())


def accept(listener: socket.socket) -> socket.socket:
    connection, _ = listener.accept()
    connection.settimeout(PATIENCE)
    return connection


def free_address(kind: int) -> tuple[socket.socket, str]:
    """An address where nobody listens while the socket is open."""
    sock = socket.socket(socket.AF_INET, kind)
    sock.bind(("127.0.0.1", 0))
    return sock, address_of(sock)


# ---- RawClient


def test_bytes_both_ways(listener: socket.socket) -> None:
    with RawClient(address_of(listener), timeout=PATIENCE) as client, accept(listener) as connection:
        client.send("你好".encode())
        assert client.send_some(memoryview(b"ab")) == 2
        client.send(bytearray(b"c"))
        client.send(b"")
        assert connection.recv(9, socket.MSG_WAITALL) == "你好".encode() + b"abc"
        connection.sendall(b"x" * 3000)
        got = client.receive()
        assert 1 <= len(got) <= 1024
        while len(got) < 3000:
            got += client.receive(max_size=3000 - len(got))
        assert got == b"x" * 3000
        client.finish_sending()
        assert connection.recv(1) == b""
        connection.sendall(b"after")
        connection.shutdown(socket.SHUT_WR)
        assert client.receive(5) == b"after"
        assert client.receive() == b""


def test_large_data(listener: socket.socket) -> None:
    data = os.urandom(1 << 20) * 8
    received = bytearray()
    with RawClient(address_of(listener), timeout=PATIENCE) as client, accept(listener) as connection:

        def read() -> None:
            while len(received) < len(data):
                received.extend(connection.recv(1 << 16))

        reader = threading.Thread(target=read)
        reader.start()
        client.send(data)
        reader.join(PATIENCE)
    assert received == data


def test_names_and_options(listener: socket.socket) -> None:
    with RawClient(address_of(listener)) as client, accept(listener) as connection:
        assert client.peer == address_of(listener)
        assert client.local == "{}:{}".format(*connection.getpeername())
        assert client.option(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        client.set_option(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        assert client.option(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        with pytest.raises(OSError) as caught:
            client.option(socket.SOL_SOCKET, 99999)
        assert caught.value.errno == errno.ENOPROTOOPT
        with socket.socket(fileno=os.dup(client.fileno())) as same:
            assert same.getpeername() == listener.getsockname()
        assert repr(client) == f"<framecall.RawClient to {address_of(listener)}>"


def test_unix(tmp_path: pathlib.Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        server.listen()
        with RawClient(f"unix:{tmp_path}/socket") as client:
            assert (client.peer, client.local) == (f"unix:{tmp_path}/socket", "unix:")


def test_try_connect(listener: socket.socket) -> None:
    class Derived(RawClient):
        pass

    result, client = Derived.try_connect(address_of(listener), timeout=PATIENCE)
    assert result == 0
    assert isinstance(client, Derived)
    with client, accept(listener) as connection:
        client.send(b"hello")
        assert connection.recv(5) == b"hello"
    unused, address = free_address(socket.SOCK_STREAM)
    with unused:
        assert RawClient.try_connect(address) == (errno.ECONNREFUSED, None)
    with pytest.raises(ValueError, match="port"):
        RawClient.try_connect("127.0.0.1:65536")


def test_errors_are_os_errors(listener: socket.socket) -> None:
    unused, address = free_address(socket.SOCK_STREAM)
    with unused, pytest.raises(ConnectionRefusedError, match=address) as refused:
        RawClient(address)
    assert refused.value.errno == errno.ECONNREFUSED
    with RawClient(address_of(listener), timeout=0.05) as client, accept(listener) as connection:
        with pytest.raises(TimeoutError, match=address_of(listener)) as late:
            client.receive()
        assert late.value.errno == errno.ETIMEDOUT
        with pytest.raises(TimeoutError):
            client.send(bytes(1 << 26))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with RawClient(address_of(listener), timeout=PATIENCE) as client:
        connection = accept(listener)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        with pytest.raises(ConnectionResetError):
            client.receive()


def test_misuse(listener: socket.socket) -> None:
    address = address_of(listener)
    for wrong in ("127.0.0.1", "127.0.0.1:x", "", "unix:"):
        with pytest.raises(ValueError, match="address"):
            RawClient(wrong)
    for timeout in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="timeout"):
            RawClient(address, timeout=timeout)
    untyped: Any = RawClient
    for arguments in ((), (1,), (address, 1.0), (b"127.0.0.1:1",)):
        with pytest.raises(TypeError):
            untyped(*arguments)
    with RawClient(address) as client:
        for size in (0, -1):
            with pytest.raises(ValueError, match="max_size"):
                client.receive(size)
        with pytest.raises(TypeError):
            client.send("text")  # type: ignore[arg-type]


def test_closed(listener: socket.socket) -> None:
    client = RawClient(address_of(listener))
    connection = accept(listener)
    client.close()
    client.close()
    assert connection.recv(1) == b""
    calls = [
        lambda: client.send(b"x"),
        lambda: client.send_some(b"x"),
        client.receive,
        client.finish_sending,
        client.fileno,
        client.__enter__,
        lambda: client.peer,
        lambda: client.local,
        lambda: client.option(socket.SOL_SOCKET, socket.SO_RCVBUF),
        lambda: client.set_option(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="is closed"):
            call()
    assert repr(client) == "<framecall.RawClient, closed>"
    connection.close()


def test_garbage_closes(listener: socket.socket) -> None:
    client = RawClient(address_of(listener))
    with accept(listener) as connection:
        del client
        gc.collect()
        assert connection.recv(1) == b""


def test_close_ends_a_call_of_another_thread(listener: socket.socket) -> None:
    client = RawClient(address_of(listener), timeout=PATIENCE)
    with accept(listener) as connection:
        errors: list[BaseException] = []
        waiting = threading.Event()

        def receive() -> None:
            assert client.receive() == b"x"
            waiting.set()
            try:
                client.receive()
            except ValueError as error:
                errors.append(error)

        thread = threading.Thread(target=receive)
        thread.start()
        connection.sendall(b"x")
        assert waiting.wait(PATIENCE)
        client.close()
        thread.join(PATIENCE)
        assert [str(error) for error in errors] == ["this RawClient is closed"]
        assert connection.recv(1) == b""


def test_other_threads_run_meanwhile(listener: socket.socket) -> None:
    with RawClient(address_of(listener), timeout=PATIENCE) as client:
        answer = threading.Thread(target=lambda: accept(listener).sendall(b"hello"))
        answer.start()
        assert client.receive() == b"hello"
        answer.join(PATIENCE)


INTERRUPTED = """
import os, signal, socket, sys, framecall
kind, address = sys.argv[1:]
client = framecall.RawClient(address, timeout=60) if kind == "raw" else framecall.UdpClient(address, timeout=60)
client.send(b"here")
try:
    client.receive()
except KeyboardInterrupt:
    client.send(b"usable")
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("kind", ["raw", "udp"])
def test_ctrl_c(listener: socket.socket, udp_server: socket.socket, kind: str) -> None:
    server = listener if kind == "raw" else udp_server
    command = [sys.executable, "-c", INTERRUPTED, kind, address_of(server)]
    path = os.pathsep.join(sys.path)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path})
    try:
        connection = accept(listener) if kind == "raw" else udp_server
        assert connection.recv(4) == b"here"
        wait_until_in_poll(process.pid)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert connection.recv(6) == b"usable"
        took = time.monotonic() - began
        assert process.communicate(timeout=PATIENCE)[0] == b"interrupted\n"
        assert took < 5  # not the 60 s of its timeout; a busy machine has its time
        connection.close()
    finally:
        process.kill()
        process.wait(PATIENCE)


def wait_until_in_poll(pid: int) -> None:
    """Until the process sleeps in the kernel's poll(), where its file of the call in progress can be read."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if "poll" in pathlib.Path(f"/proc/{pid}/wchan").read_text():
                return
            state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state == "S" and pathlib.Path(f"/proc/{pid}/wchan").read_text() in ("", "0"):
                return  # a kernel that does not tell where
        time.sleep(0.003)
    raise AssertionError("the process does not wait")


def test_ctrl_c_while_connecting() -> None:
    """A full backlog leaves the next connection without an answer."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(full.getsockname())
            waiting.append(one)
        timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])  # in another thread, as it may happen
        timer.start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            RawClient(address_of(full), timeout=PATIENCE)
        assert time.monotonic() - began < 10
        timer.join()
        for one in waiting:
            one.close()


# ---- UdpClient


def answer(server: socket.socket, *replies: bytes) -> bytes:
    data, address = server.recvfrom(70000)
    for reply in replies:
        server.sendto(reply, address)
    return data


@contextlib.contextmanager
def answering(server: socket.socket, *replies: bytes) -> Iterator[list[bytes]]:
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.append(answer(server, *replies)))
    thread.start()
    yield got
    thread.join(PATIENCE)


def test_datagrams(udp_server: socket.socket) -> None:
    with UdpClient(address_of(udp_server), timeout=PATIENCE) as client:
        assert client.peer == address_of(udp_server)
        for data in (b"hello", b"", bytes(65507), "你好".encode()):
            with answering(udp_server, data.upper()) as got:
                assert client.request(memoryview(data)) == data.upper()
            assert got == [data]
        with answering(udp_server, b"one", b"", b"three"):
            client.send(b"hello")
            assert [client.receive() for _ in range(3)] == [b"one", b"", b"three"]
        with pytest.raises(ValueError, match="65508 bytes"):
            client.send(bytes(65508))
        assert repr(client) == f"<framecall.UdpClient to {address_of(udp_server)}>"


def test_waiting_replies_are_dropped(udp_server: socket.socket) -> None:
    with UdpClient(address_of(udp_server), timeout=PATIENCE) as client:
        with answering(udp_server, *[b"old"] * 50):
            client.send(b"first")
        with answering(udp_server, b"new"):
            assert client.request(b"second") == b"new"


def test_nobody_there() -> None:
    unused, address = free_address(socket.SOCK_DGRAM)
    unused.close()  # a bound socket would take the datagrams
    with UdpClient(address, timeout=0.1) as client:
        for _ in range(3):
            began = time.monotonic()
            assert client.request(b"hello") is None
            assert time.monotonic() - began >= 0.1
        client.send(b"hello")
        assert client.receive() is None


def test_udp_misuse(udp_server: socket.socket) -> None:
    with pytest.raises(ValueError, match="UDP needs a host and a port"):
        UdpClient("unix:/tmp/x")
    client = UdpClient(address_of(udp_server))
    client.close()
    client.close()
    for call in (lambda: client.request(b""), lambda: client.send(b""), client.receive, client.__enter__):
        with pytest.raises(ValueError, match="this UdpClient is closed"):
            call()
    for name in ("peer", "local"):
        with pytest.raises(ValueError, match="is closed"):
            getattr(client, name)


def test_documented() -> None:
    for kind in (RawClient, UdpClient):
        assert kind.__module__ == "framecall"
        for name in vars(kind):
            if not name.startswith("_"):
                assert getattr(kind, name).__doc__, name
    assert {"RawClient", "UdpClient"} <= set(framecall.__all__)
