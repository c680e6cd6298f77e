"""Random calls with arrays against a server with NumPy handlers; --long: 50,000 connections.

Whatever comes, the server lives; an answer is an error or the array that was sent, with every byte of it and no other; and no
answer has a byte that another client sent. A failure names the seed: FRAMECALL_SEED=N runs it again."""
import contextlib
import json
import os
import random
import socket
import threading
import time

import attacks
import pytest
import victims

pytest.importorskip("numpy")  # for the server

MARKER = b"\xa5\x5a" * 8
KINDS = ["<f4", ">f8", "|u1", "<i8", "<c16", "S3", "U2", "<M8[s]", "<m8[ns]", "?", "V4", "S0", "U0", "V0", "S", "U", "a", "O",
         "f8,f8", "", "<", "=i4", "|S1000000000", "(3,)<f4", "float", "<f2", "<f16", None, 4, ["<f4"], {"a": "<f4"}]
NUMBERS = [0, 1, 2, 3, 7, 8, 64, 65, -1, 2 ** 31, 2 ** 32, 2 ** 62, 2 ** 63, 2 ** 64, 10 ** 30, 1.0, 1e300, True, None, "2"]


def random_shape(rng):
    choice = rng.random()
    if choice < 0.1:
        return rng.choice(NUMBERS + [{}, "[1]"])
    if choice < 0.15:
        return [rng.choice([0, 1])] * rng.choice([32, 33, 64, 65, 1000, 20000])
    return [rng.choice(NUMBERS) if rng.random() < 0.4 else rng.randrange(5) for _ in range(rng.randrange(4))]


def random_layout(rng):
    if rng.random() < 0.7:
        layout = {"dtype": rng.choice(KINDS), "shape": random_shape(rng)}
        if rng.random() < 0.1:
            del layout[rng.choice(list(layout))]
        return layout
    tensors = {}
    for name in rng.sample(["a", "b", "", "\ud800", "x" * 300], rng.randrange(1, 4)):
        begin = rng.choice([0, 8, 16, -8, 2 ** 63, None, "0"])
        end = rng.choice([0, 8, 16, 24, 64, 2 ** 62, -1])
        tensors[name] = {"dtype": rng.choice(KINDS), "shape": random_shape(rng), "data_offsets": [begin, end]}
    return {"tensors": tensors if rng.random() < 0.9 else rng.choice([[], 5, None, [tensors]])}


def fitting(rng):
    """A header and a body that belong together."""
    kind, width = rng.choice([("<f4", 4), ("<f8", 8), ("|u1", 1), ("S3", 3), ("<i2", 2)])
    shape = [rng.randrange(1, 5) for _ in range(rng.randrange(3))]
    size = width
    for one in shape:
        size *= one
    return {"dtype": kind, "shape": shape}, rng.randbytes(size) if hasattr(rng, "randbytes") else bytes(size)


def one_connection(port, rng):
    """Several calls on a connection; what was wrong with the answers."""
    wrong, sent, damaged = [], {}, False
    with contextlib.suppress(ConnectionError, socket.timeout), socket.create_connection(("127.0.0.1", port), 20) as sock:
        for number in range(rng.randrange(1, 6)):
            good = rng.random() < 0.2
            layout, body = fitting(rng) if good else (random_layout(rng), b"12345678" * rng.choice([0, 1, 2, 3, 8]))
            sent[number] = (good, layout, body)
            data = attacks.call(number, rng.choice(["same", "several"] if not good else ["same"]), body_size=len(body),
                                **layout) + body
            if rng.random() < 0.05:  # not a frame at all, from somewhere on
                place = rng.randrange(len(data))
                data = data[:place] + bytes([rng.randrange(256)]) + data[place + 1:]
                damaged = True
            sock.sendall(data)
        if rng.random() < 0.2:
            return wrong
        sock.shutdown(socket.SHUT_WR)
        stream = sock.makefile("rb")
        while True:
            prefix = stream.read(4)
            if len(prefix) < 4:
                break
            text = stream.read(int.from_bytes(prefix, "little"))
            header = json.loads(text)
            answer = stream.read(header.get("body_size", 0))
            good, layout, body = sent.get(header.get("id") if type(header.get("id")) is int else None, (False, None, None))
            if MARKER in answer or MARKER.hex().encode() in text:
                wrong.append(("bytes of another", layout))
            elif damaged:
                continue
            elif good and answer != body:
                wrong.append(("not what was sent", layout, header))
            elif "error" not in header and body is not None and len(answer) > len(body) + 64 * 5:
                wrong.append(("more than was sent", layout, len(answer)))
    return wrong


def test_random_arrays(python_victim, long):
    seed = int(os.environ.get("FRAMECALL_SEED", time.time_ns() % 10 ** 9))
    connections = 50000 if long else 400
    server = python_victim(numpy=True, debug=False)
    over = threading.Event()

    def other():
        """Another client, whose bytes lie about in the server's memory."""
        with victims.Neighbour(server.port) as neighbour:
            while not over.is_set():
                neighbour.request("echo", body=MARKER * 5000)

    thread = threading.Thread(target=other, daemon=True)
    thread.start()
    try:
        for number in range(connections):
            wrong = one_connection(server.port, random.Random("%d %d" % (seed, number)))
            assert not wrong, "FRAMECALL_SEED=%d, connection %d: %s" % (seed, number, wrong)
            assert server.process.poll() is None, "FRAMECALL_SEED=%d, connection %d" % (seed, number)
    finally:
        over.set()
        thread.join(20)
    victims.figure("%d connections, the server held %.0f MiB", connections,
                   victims.status(server.process.pid, "VmHWM") / victims.MIB)
    victims.still_serves(server)
