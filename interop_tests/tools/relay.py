"""A TCP relay that cuts streams into pieces of 1 to 10 bytes, so that no message arrives whole.

    relay.py HOST:PORT [--listen PORT] [--seed N] [--both]

Towards the target every piece is a segment of its own (TCP_NODELAY), and the first pieces of a
connection are not sent before the target has read the one before (its receive queue in /proc/net/tcp
is empty): heads arrive apart for certain, whatever the scheduling. `--both` cuts the replies as well.
"""
import argparse
import contextlib
import os
import random
import socket
import struct
import threading
import time

APART = 150  # pieces at the start of each direction that wait until the one before has been read
READ_DEADLINE = 0.5  # seconds; a peer that does not read is sent to all the same


def unread_bytes(reader, writer):
    """Bytes in the receive queue of the socket bound to port `reader`, connected to port `writer`."""
    with open("/proc/net/tcp") as table:
        for line in table:
            fields = line.split()
            if fields[1].endswith(":%04X" % reader) and fields[2].endswith(":%04X" % writer):
                return int(fields[4].partition(":")[2], 16)
    return 0


class Relay:
    """A context manager; `port` is where to connect to. Threads are daemons and end with it.

    The first `together` bytes of what comes at once are not cut apart: a raw command that only silence ends
    would be another command when a busy machine is silent in its middle.
    """

    def __init__(self, target_port, target_host="127.0.0.1", port=0, seed=0, both=False, together=0):
        self.target = (target_host, target_port)
        self.both = both
        self.together = together
        self.random = random.Random(seed)
        self.pieces = 0
        self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.open_sockets = set()
        self.acceptor = threading.Thread(target=self.accept_all, daemon=True)

    def __enter__(self):
        self.acceptor.start()
        return self

    def __exit__(self, *exc):
        with self.lock:
            sockets = [self.listener] + list(self.open_sockets)
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.acceptor.join(5)

    def accept_all(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            try:
                server = socket.create_connection(self.target, timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            pair = Pair(self, client, server)
            with self.lock:
                self.open_sockets.update((client, server))
                seeds = self.random.random(), self.random.random()
            threading.Thread(target=pair.run, args=(client, server, True, seeds[0]), daemon=True).start()
            threading.Thread(target=pair.run, args=(server, client, self.both, seeds[1]), daemon=True).start()


class Pair:
    """The two directions of one connection. A reset on one side becomes a reset on the other."""

    def __init__(self, relay, client, server):
        self.relay = relay
        self.sockets = (client, server)
        self.lock = threading.Lock()
        self.directions = 2
        self.reset = False
        for sock in self.sockets:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self, source, sink, cut, seed):
        broken = False
        try:
            self.copy(source, sink, cut, random.Random(seed))
        except OSError:
            broken = True
        with self.lock:
            if not broken and not self.reset:
                with contextlib.suppress(OSError):
                    sink.shutdown(socket.SHUT_WR)
            elif not self.reset:  # wakes the other direction; close() then sends RST
                self.reset = True
                for sock in self.sockets:
                    with contextlib.suppress(OSError):
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        sock.shutdown(socket.SHUT_RD)
            self.directions -= 1
            if self.directions:
                return
        for sock in self.sockets:
            with self.relay.lock:
                self.relay.open_sockets.discard(sock)
            sock.close()

    def copy(self, source, sink, cut, rng):
        apart = APART if cut and os.path.exists("/proc/net/tcp") else 0
        ports = sink.getpeername()[1], sink.getsockname()[1]
        while True:
            data = source.recv(65536)
            if not data:
                return
            if not cut:
                sink.sendall(data)
                continue
            at = 0
            while at < len(data):
                count = rng.randint(1, 10) if at else max(rng.randint(1, 10), self.relay.together)
                sink.sendall(data[at:at + count])
                at += count
                self.relay.pieces += 1
                if apart:
                    apart -= 1
                    deadline = time.monotonic() + READ_DEADLINE
                    while unread_bytes(*ports) and time.monotonic() < deadline:
                        time.sleep(0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", metavar="HOST:PORT")
    parser.add_argument("--listen", type=int, default=0, metavar="PORT")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--both", action="store_true")
    options = parser.parse_args()
    host, _, port = options.target.rpartition(":")
    with Relay(int(port), host, options.listen, options.seed, options.both) as relay:
        print("listening tcp 127.0.0.1:%d" % relay.port, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            relay.acceptor.join()


if __name__ == "__main__":
    main()
