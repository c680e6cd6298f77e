#!/usr/bin/env python3
"""What grows with connections, with bodies, with calls in flight, with threads: rates, times, memory. See README.md."""

import contextlib
import dataclasses
import json
import os
import select
import socket
import struct
import time

import contest
import measure
import rpc
from contest import Case, Contender, column
from measure import Failed
from processes import peak_memory, wait_until

MIB, GIB = 1 << 20, 1 << 30
FRAMED = rpc.FRAMED
SERVE = (*rpc.SERVE, "--max-body", str(GIB))
CONTENDERS = (
    Contender("framecall", "framecall serve", SERVE, FRAMED),
    Contender(
        "framecall-2", "framecall serve, 2 threads", tuple("2" if word == "1" else word for word in SERVE), FRAMED
    ),
    Contender("asio", "raw Asio coroutines", rpc.program("asio_server"), rpc.RAW, ("asio_server",)),
)
BOTH = ("framecall", "asio")

CONNECTIONS = (1, 2, 5, 10, 30, 100, 300, 1000)
IN_FLIGHT = (1, 2, 4, 8, 16, 32, 64, 128)
BODIES = (1 << 10, 32 << 10, MIB, 32 * MIB, GIB)
IDLE = (10, 100, 1000, 10000)
CLAIMS = 100


@dataclasses.dataclass(frozen=True)
class Step(Case):
    """A point of a curve. `measurement`: what finds its figures, if it is not a load like any other."""

    measurement: object = None


def steps():
    pinned = {"server_on": rpc.FIRST, "client_on": rpc.SECOND}
    made = [
        Step(f"connections-{n}", f"{n:,} busy", BOTH, connections=n, row="connections", **pinned) for n in CONNECTIONS
    ]
    made += [
        Step("ping", "one more beside 1,000 busy", BOTH, connections=1000, row="ping", measurement=beside, **pinned)
    ]
    made += [Step(f"in-flight-{n}", f"{n} in flight", BOTH, in_flight=n, row="in-flight", **pinned) for n in IN_FLIGHT]
    made += [Step(f"body-{n}", measure.size_text(n), BOTH, body=n, row="body", measurement=bodies) for n in BODIES]
    made += [Step("threads", "8 x 16", ("framecall", "framecall-2"), connections=8, in_flight=16, row="threads")]
    for row, title in (("idle", "fresh"), ("idle-after-calls", "after a call")):
        for n in IDLE:
            count = min(n, rpc.most_connections())
            name = f"{count:,}, {title}" + (f" (no descriptors for {n:,})" if count < n else "")
            key = f"{row}-{n}"
            made.append(Step(key, name, ("framecall",), connections=count, row=row, measurement=idle))
    title = f"{CLAIMS} bodies of 1 GiB announced, none sent"
    made.append(Step("claims", title, ("framecall",), connections=CLAIMS, body=GIB, row="claims", measurement=claims))
    return made


def request_head(contender, method, size):
    """What a body of that size follows; asio_server's wire has no methods."""
    if contender.key == "asio":
        return struct.pack("<I", size)
    call = {"jsonrpc": "2.0", "id": 1, "method": method, **({"body_size": size} if size else {})}
    header = json.dumps(call).encode()
    return struct.pack("<i", len(header)) + header


class Caller:
    """One connection with one call in flight, always the same one, so that every byte of its reply is known after the first.
    The reply begins when the server has all of the request: nothing needs to be read before. Bodies go in pieces of 1 MiB."""

    def __init__(self, contender, port, method, size):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 60, 0))
        self.piece = bytes(97 + i * 7 % 26 for i in range(min(size, MIB)))
        self.more = size // MIB - 1 if size > MIB else 0
        self.request = request_head(contender, method, size) + self.piece
        self.room = bytearray(len(self.piece))
        self.send()
        head = self.socket.recv(4, socket.MSG_WAITALL)
        if contender.key != "asio":
            head += self.socket.recv(*struct.unpack("<i", head), socket.MSG_WAITALL)
            if "result" not in json.loads(head[4:]):
                raise Failed(f"{method}: {head[4:].decode()}")
        self.reply, self.first_room = head + self.piece, bytearray(len(head) + len(self.piece))
        for _ in range(1 + self.more):
            self.expect(self.piece, self.room)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self):
        self.socket.sendall(self.request)
        for _ in range(self.more):
            self.socket.sendall(self.piece)

    def expect(self, wanted, room):
        if wanted and (self.socket.recv_into(room, 0, socket.MSG_WAITALL) != len(wanted) or room != wanted):
            raise Failed("a wrong reply")

    def call(self):
        self.send()
        self.expect(self.reply, self.first_room)
        for _ in range(self.more):
            self.expect(self.piece, self.room)

    def times(self, seconds):
        """Microseconds of each call, one after the other, sorted; at least one."""
        taken, now = [], time.perf_counter()
        until = now + seconds
        while now < until:
            began = now
            self.call()
            now = time.perf_counter()
            taken.append((now - began) * 1e6)
        return sorted(taken)


@contextlib.contextmanager
def on_cpu(cpu):
    """This process itself, for a while."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(cpu)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def polls(pid):
    """Whether the load has checked all of its connections and begun: what it opens last is its epoll."""
    folder = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        return "eventpoll" in os.readlink(f"{folder}/{max(map(int, os.listdir(folder)))}")


def beside(running, case, contender):
    """Round trips of one more connection while all the others are busy. It shares the load's core."""
    seconds = max(1.0, 2 * running.seconds)
    with running.server(contender, case.server_on) as server, on_cpu(case.client_on):
        port = contest.port_of(server)
        with running.client(contender, case, port, case.client_on, seconds + 1) as load:
            wait_until(lambda: load.ended(0) or polls(load.process.pid), "the load begins")
            with Caller(contender, port, "rpc.ping", 0) as caller:
                caller.times(running.warm)
                taken = caller.times(seconds)
            if load.ended(0):
                raise load.failure("ended before it was measured")
            load.finish(30)
            said = contest.spoken(load)
    return {
        "p50_us": taken[len(taken) // 2],
        "p99_us": taken[len(taken) * 99 // 100],
        "pings": len(taken),
        "calls_per_second": said["calls_per_second"],
    }


def bodies(running, case, contender):
    """There and back; and the most memory that the server ever had, above what it had at its start."""
    with running.server(contender) as server:
        port, before = contest.port_of(server), peak_memory(server.process.pid)
        with Caller(contender, port, "echo", case.body) as caller:
            caller.times(running.warm)
            cpu, taken = server.cpu(), caller.times(running.seconds)
            cpu = server.cpu() - cpu
        peak = peak_memory(server.process.pid) - before
    rate = len(taken) / sum(taken) * 1e6
    return {
        "gb_per_second": rate * case.body / 1e9,
        "calls_per_second": rate,
        "p50_us": taken[len(taken) // 2],
        "cpu_us": cpu / len(taken) * 1e6,
        "peak_mib": peak / MIB,
    }


def switches(pid):
    """How often a thread of it has given up the CPU, which it does after each time that it was woken."""
    found = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as lines:
            found += next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches:"))
    return found


def idle(running, case, contender):
    """Memory of connections, and what the server does while none of them says anything."""
    span = min(3.0, 3 * running.seconds)
    after_calls = case.row == "idle-after-calls"
    with rpc.idle_connections(running, contender, case.connections, after_calls) as (server, before, after):
        pid = server.process.pid
        cpu, woken = server.cpu(), switches(pid)
        time.sleep(span)  # the time that is measured
        cpu, woken = server.cpu() - cpu, switches(pid) - woken
    return {
        "kib_per_connection": (after - before) / case.connections,
        "mib_in_all": after / 1024,
        "cpu_ms_per_second": cpu / span * 1e3,
        "context_switches_per_second": woken / span,
    }


def claims(running, case, contender):
    """What connections cost that announce a large body and send nothing of it."""
    head = request_head(contender, "echo", case.body)
    with running.server(contender) as server, contextlib.ExitStack() as connections:
        pid, port = server.process.pid, contest.port_of(server)
        caller = connections.enter_context(Caller(contender, port, "rpc.ping", 0))
        before, held = rpc.settled(pid), rpc.descriptors(pid)
        peak = peak_memory(pid)
        made = []
        for _ in range(case.connections):
            made.append(connections.enter_context(socket.create_connection(("127.0.0.1", port))))
            made[-1].sendall(head)
        wait_until(lambda: rpc.descriptors(pid) >= held + case.connections, "all are accepted")
        for _ in range(2):  # its one thread has read the heads when it has come round again
            caller.call()
        after = rpc.settled(pid)
        peak = peak_memory(pid) - peak
        poll = select.poll()  # select.select() takes no descriptor above 1,023
        for connection in made:
            poll.register(connection, select.POLLIN)
        if poll.poll(0):
            raise Failed("a claim was answered, or its connection was closed")
    return {"mib": (after - before) / 1024, "peak_mib": peak / MIB}


def judge(results):
    targets = []

    def add(row, what, values, wanted, higher=True):
        if values:
            targets.append(measure.target(row, what, values, wanted, higher))

    def figures(case, figure="calls_per_second", contender="framecall"):
        return column(results.get(case, {}), contender, figure)

    points = {n: values for n in CONNECTIONS if (values := figures(f"connections-{n}"))}
    if 1000 in points:
        best = max(points, key=lambda n: measure.summary(points[n])["median"])
        shares = [a / b for a, b in zip(points[1000], points[best])]
        add("connections", f"rate of 1,000 / of the best, {best:,}", shares, 0.8)
    pings = [a / b for a, b in zip(figures("ping", "p99_us"), figures("ping", "p99_us", "asio"))]
    add("ping", "p99 / that of raw Asio, beside 1,000 busy", pings, 2, False)
    for row in ("idle", "idle-after-calls"):
        most = f"{row}-{IDLE[-1]}"
        add(row, "KiB for each of as many as may be open", figures(most, "kib_per_connection"), 1, False)
        add(row, "MiB in all", figures(most, "mib_in_all"), 20, False)
        add(row, "CPU ms a second", figures(most, "cpu_ms_per_second"), 1, False)
    add("claims", f"MiB for {CLAIMS} of 1 GiB", figures("claims", "peak_mib"), 1, False)
    return targets


def measured(running, case, contenders, rounds):
    if case.row.startswith("idle"):
        rounds = min(rounds, 3)
    measurement = case.measurement and (lambda *one: case.measurement(running, *one))
    return running.rounds(case, contenders, rounds, measurement)


def main():
    rpc.allow_descriptors(20400)
    cases = steps()
    args = contest.arguments(
        __doc__, list(dict.fromkeys(case.row for case in cases)), [c.key for c in CONTENDERS], rounds=5
    )
    cases = [case for case in cases if case.row in args.cases]
    args.cases = {case.key for case in cases}
    has, versions = rpc.has, rpc.versions()
    contest.run("growth", args, has, cases, CONTENDERS, lambda *one: measured(*one, args.rounds), judge, versions)


if __name__ == "__main__":
    measure.run_script(main)
