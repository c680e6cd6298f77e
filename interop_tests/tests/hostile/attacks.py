"""Attacks on a server, with plain sockets and nothing but the standard library.

    python3 interop_tests/tests/hostile/attacks.py NAME PORT [KEY=VALUE...]

NAME is a function of the list ATTACKS, KEY=VALUE are its parameters: numbers or texts. The program prints `under way` when
everything is sent that the server reads, keeps the attack up until its stdin ends, and then closes its connections. The
attackers have an address of their own, 127.0.0.66, so that a server can tell them from their neighbours at 127.0.0.1.
"""
import contextlib
import inspect
import itertools
import json
import os
import selectors
import socket
import struct
import sys
import time

ATTACKER = "127.0.0.66"
QUIET = 1.0  # seconds without a byte after which everything is sent that the server reads
ENOUGH = 10.0  # seconds after which an attack that never pauses is under way
ZEROS = bytes(1 << 20)


def frame(header, body=b""):
    text = json.dumps(header).encode()
    return struct.pack("<i", len(text)) + text + body


def call(number, method, params=None, **keys):
    header = dict({"id": number, "method": method}, **keys)
    if params is not None:
        header["params"] = params
    return frame(header)


def zeros(size):
    """`size` zero bytes in pieces."""
    for left in range(size, 0, -len(ZEROS)):
        yield ZEROS[:min(left, len(ZEROS))]


class Line:
    """One connection of an attacker: what it still has to send, and whether it reads."""

    def __init__(self, sock, pieces, reads, again):
        self.sock, self.pieces, self.reads, self.again = sock, iter(pieces), reads, again
        self.piece = memoryview(b"")
        self.sending = True

    def send(self):
        """Sends what the server takes now; the number of bytes."""
        count = 0
        for _ in range(16):
            if not self.piece:
                self.piece = memoryview(next(self.pieces, b""))
                if not self.piece:
                    self.sending = False
                    break
            try:
                done = self.sock.send(self.piece)
            except BlockingIOError:
                break
            self.piece = self.piece[done:]
            count += done
        return count


class Crowd:
    """The connections of an attacker, driven by one thread."""

    def __init__(self, port):
        self.port = port
        self.selector = selectors.DefaultSelector()
        self.lines = set()
        self.refused = 0
        self.every = None  # (seconds, function): what hold() does besides
        self.flood = False  # it never pauses

    def connect(self, receive_buffer=None):
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(20)
        try:
            sock.bind((ATTACKER, 0))
            sock.connect(("127.0.0.1", self.port))
        except OSError:
            sock.close()
            raise
        return sock

    def add(self, pieces, reads=False, again=None):
        """One more connection, which sends `pieces`. `reads`: it reads and drops whatever comes. `again`: makes the pieces of
        the connection that follows when the server has closed this one."""
        try:
            sock = self.connect(None if reads else 4096)
        except OSError:
            self.refused += 1
            return
        sock.setblocking(False)
        line = Line(sock, pieces, reads, again)
        self.lines.add(line)
        self.watch(line)

    def watch(self, line):
        """Waits for what `line` still has to do; nothing, if it neither sends nor reads any more."""
        with contextlib.suppress(KeyError):
            self.selector.unregister(line.sock)
        events = selectors.EVENT_READ * line.reads | selectors.EVENT_WRITE * line.sending
        if events:
            self.selector.register(line.sock, events, line)

    def drop(self, line):
        self.lines.discard(line)
        with contextlib.suppress(KeyError):
            self.selector.unregister(line.sock)
        line.sock.close()
        if line.again:
            self.add(line.again(), line.reads, line.again)

    def serve(self, line, events):
        """Reads and sends what is possible on one connection; the number of bytes."""
        moved = 0
        if events & selectors.EVENT_READ:
            data = line.sock.recv(1 << 20)
            if not data:
                raise ConnectionResetError
            moved += len(data)
        if events & selectors.EVENT_WRITE:
            moved += line.send()
            if not line.sending:
                self.watch(line)
        return moved

    def turn(self, seconds):
        """Whatever is possible now, waited for at most `seconds`; the number of bytes that moved, None when stdin has ended."""
        moved = 0
        for key, events in self.selector.select(seconds):
            if key.data is None:
                if not os.read(0, 4096):
                    return None
                continue
            try:
                moved += self.serve(key.data, events)
            except BlockingIOError:
                pass
            except OSError:
                self.drop(key.data)
        return moved

    def settle(self):
        """Until everything is sent that the server reads."""
        began = last = time.monotonic()
        while time.monotonic() - began < (QUIET if self.flood else ENOUGH):
            if self.turn(0.05):
                last = time.monotonic()
            elif time.monotonic() - last > QUIET or not any(line.sending for line in self.lines):
                return

    def hold(self):
        """Keeps it up until stdin ends."""
        self.selector.register(0, selectors.EVENT_READ, None)
        due = time.monotonic()
        while self.turn(0.5) is not None:
            if self.every and time.monotonic() >= due:
                due = time.monotonic() + self.every[0]
                self.every[1]()

    def close(self):
        for line in self.lines:
            line.sock.close()


# ---- memory

def unread_replies(crowd, connections=4, calls=128, method="file.list", limit=10000):
    """Calls with large answers, none of which is ever read."""
    for _ in range(connections):
        crowd.add([b"".join(call(n, method, {"limit": limit}) for n in range(calls))])


def bodies(crowd, connections=1, calls=128, size=16 << 20, method="wait"):
    """Calls with large bodies to a method that takes its time."""
    for _ in range(connections):
        crowd.add(itertools.chain.from_iterable(
            itertools.chain([call(n, method, body_size=size)], zeros(size)) for n in range(calls)))


def gone_callers(crowd, connections=10, calls=100, size=1 << 20, method="wait"):
    """The same one connection after the other, each closed when the server reads no more of it."""
    for _ in range(connections):
        bodies(crowd, 1, calls, size, method)
        crowd.settle()
        for line in list(crowd.lines):
            crowd.drop(line)


def unread_streams(crowd, connections=5, streams=128, method="parts"):
    """Streams of parts that nobody reads."""
    for _ in range(connections):
        crowd.add([b"".join(call(n, method, stream=True) for n in range(streams))])


def unfinished_bodies(crowd, connections=30, size=63 << 20, seconds=1.0, missing=10000):
    """Bodies that never become whole, with one byte more every `seconds`."""
    for _ in range(connections):
        crowd.add(itertools.chain([call(1, "echo", body_size=size)], zeros(size - missing)))

    def drip():
        for line in list(crowd.lines):
            with contextlib.suppress(OSError):
                line.sock.send(b"\0")

    crowd.every = (seconds, drip)


def unfinished_puts(crowd, connections=20, size=10 << 20, prefix="part", missing=1):
    """Uploads that never become whole."""
    for n in range(connections):
        crowd.add(itertools.chain([call(1, "file.put", {"name": "%s%d" % (prefix, n), "size": size}, body_size=size)],
                                  zeros(size - missing)))


def datagrams(crowd, count=200000, seconds=8.0, method="half"):
    """Calls by datagram; nobody reads the answers."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((ATTACKER, 0))
    sock.connect(("127.0.0.1", crowd.port))
    sock.setblocking(False)
    text = call(1, method)
    began = time.monotonic()
    for n in range(count):
        with contextlib.suppress(OSError):
            sock.send(text)
        if n % 256 == 0:
            time.sleep(max(0, began + n * seconds / count - time.monotonic()))  # the rate itself
    sock.close()


# ---- time

def same_puts(crowd, name="big", size=1 << 30, calls=100):
    """Asks again and again whether a file is there already, and goes away."""
    text = call(1, "file.put", {"name": name, "size": size, "offset": size, "sha256": "0" * 64})
    with crowd.connect() as sock:
        sock.sendall(text.replace(b'"id": 1,', b'"id": %d,' % 1) + b"".join(
            call(n, "file.put", {"name": name, "size": size, "offset": size, "sha256": "0" * 64})
            for n in range(2, calls + 1)))


def repeated(crowd, method="file.list", connections=1, calls=128, params=None, **keys):
    """Calls of one kind, on and on, with as many under way as the server takes, and every answer read."""
    text = b"".join(call(n, method, json.loads(params) if isinstance(params, str) else params, **keys)
                    for n in range(calls))
    crowd.flood = True

    def again():
        return itertools.repeat(text)

    for _ in range(connections):
        crowd.add(again(), reads=True, again=again)


def once(crowd, method="half", connections=1, calls=128, params=None):
    """The same once."""
    text = b"".join(call(n, method, json.loads(params) if isinstance(params, str) else params) for n in range(calls))
    for _ in range(connections):
        crowd.add([text], reads=True)


def guesses(crowd, connections=200, each=100):
    """Wrong passwords, `each` on a connection, in the dialect `login`; whoever is thrown out comes again."""
    text = b"".join(frame({"operate": "login", "username": "ann", "password": "guess %d" % n}) for n in range(each))
    crowd.flood = True
    for _ in range(connections):
        crowd.add([text], reads=True, again=lambda: [text])


def lines(crowd, text="slow", connections=8):
    """Raw lines, which ask for a command."""
    for _ in range(connections):
        crowd.add([text.encode() + b"\n"], reads=True)


def puts(crowd, connections=16, calls=64, size=100):
    """Small files, on and on; each connection writes names of its own."""
    crowd.flood = True
    for connection in range(connections):
        text = b"".join(call(n, "file.put", {"name": "put %d %d" % (connection, n % 8), "size": size}, body_size=size)
                        + bytes(size) for n in range(calls))
        crowd.add(itertools.repeat(text), reads=True, again=lambda text=text: itertools.repeat(text))


def bad_frames(crowd, connections=2000):
    """Connections that are refused, with a line in the log each."""
    for _ in range(connections):
        with contextlib.suppress(OSError):
            with crowd.connect() as sock:
                sock.settimeout(3)
                sock.sendall(b"\5\0\0\0hello")
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(4096):
                    pass


# ---- descriptors

def silent(crowd, connections=480):
    """Connections that say nothing."""
    for _ in range(connections):
        crowd.add([])


def unread_files(crowd, connections=10, calls=128, name="big"):
    """Downloads that nobody reads."""
    for _ in range(connections):
        crowd.add([b"".join(call(n, "file.get", {"name": name}) for n in range(calls))])


ATTACKS = [unread_replies, bodies, gone_callers, unread_streams, unfinished_bodies, unfinished_puts, datagrams, same_puts,
           repeated, once, guesses, lines, puts, bad_frames, silent, unread_files]


def main(name, port, *arguments):
    attack = {one.__name__: one for one in ATTACKS}[name]
    kinds = {key: type(one.default) for key, one in inspect.signature(attack).parameters.items()}
    given = (argument.split("=", 1) for argument in arguments)
    parameters = {key: kinds.get(key, str)(value) if kinds.get(key) in (int, float) else value for key, value in given}
    crowd = Crowd(int(port))
    attack(crowd, **parameters)
    crowd.settle()
    print("under way", flush=True)
    crowd.hold()
    crowd.close()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
