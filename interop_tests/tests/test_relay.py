"""The relay itself: pieces really arrive apart, nothing is lost or changed, ends and resets pass."""
import contextlib
import socket
import threading

import peers
import pytest
from processes import PATIENCE


@contextlib.contextmanager
def listener():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(PATIENCE)
        yield sock


def accept(sock):
    connection = sock.accept()[0]
    connection.settimeout(PATIENCE)
    return connection


def test_pieces(relay):
    data = peers.content("relay", 20000)
    with listener() as target, peers.connect(relay(target.getsockname()[1], seed=1)) as client:
        with accept(target) as server:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            pieces = list(iter(lambda: server.recv(65536), b""))
            assert b"".join(pieces) == data
            assert all(len(piece) <= 10 for piece in pieces[:100])
            assert {len(piece) for piece in pieces[:100]} == set(range(1, 11))
            server.sendall(data)
            server.shutdown(socket.SHUT_WR)
            assert peers.read_to_end(client) == data


def test_same_seed_same_pieces(relay):
    cuts = []
    for _ in range(2):
        with listener() as target, peers.connect(relay(target.getsockname()[1], seed=7)) as client:
            with accept(target) as server:
                client.sendall(b"x" * 300)
                client.shutdown(socket.SHUT_WR)
                cuts.append([len(piece) for piece in iter(lambda: server.recv(65536), b"")][:30])
    assert cuts[0] == cuts[1]


def test_a_beginning_that_stays_together(relay):
    with listener() as target, peers.connect(relay(target.getsockname()[1], together=64)) as client:
        with accept(target) as server:
            client.sendall(b"x" * 300)
            client.shutdown(socket.SHUT_WR)
            pieces = [len(piece) for piece in iter(lambda: server.recv(65536), b"")]
            assert pieces[0] == 64 and sum(pieces) == 300 and max(pieces[1:]) <= 10


def test_both_directions(relay):
    with listener() as target, peers.connect(relay(target.getsockname()[1], both=True)) as client:
        with accept(target) as server:
            server.sendall(b"x" * 300)
            server.shutdown(socket.SHUT_WR)
            pieces = list(iter(lambda: client.recv(65536), b""))
            assert sum(map(len, pieces)) == 300 and max(map(len, pieces)) <= 10


def test_a_client_that_waits_for_replies_in_between(relay):
    with listener() as target, peers.connect(relay(target.getsockname()[1])) as client:
        with accept(target) as server:
            def echo():
                while True:
                    piece = server.recv(1)
                    if not piece:
                        return
                    server.sendall(piece.upper())
            thread = threading.Thread(target=echo, daemon=True)
            thread.start()
            for _ in range(5):
                client.sendall(b"a")
                assert client.recv(10) == b"A"
            client.shutdown(socket.SHUT_WR)
            thread.join(PATIENCE)


@pytest.mark.parametrize("side", ["client", "server"])
def test_reset_passes(relay, side):
    with listener() as target, peers.connect(relay(target.getsockname()[1])) as client:
        with accept(target) as server:
            client.sendall(b"x")
            assert server.recv(1) == b"x"
            gone, other = (client, server) if side == "client" else (server, client)
            peers.reset(gone)
            with pytest.raises(ConnectionResetError):
                other.recv(1)
