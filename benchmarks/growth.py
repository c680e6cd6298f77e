#!/usr/bin/env python3
"""What grows with connections, with bodies, with calls in flight, with threads: rates, times, memory. See README.md."""

import contextlib
import dataclasses
import json
import os
import socket
import struct
import subprocess
import sys
import time

import contest
import measure
import rpc
from contest import Case, Contender, column, ratios
from measure import Failed
from processes import wait_until

MIB = 1 << 20
RAW, FRAMED, SERVE = rpc.RAW, rpc.FRAMED, rpc.SERVE
LARGEST = 1 << 30
SERVE_LARGE = (*SERVE, "--max-body", str(LARGEST))
ASIO = Contender("asio", "raw Asio coroutines", rpc.program("asio_server"), RAW, ("asio_server",))
FRAMECALL = Contender("framecall", "framecall serve", SERVE, FRAMED)
LARGE = Contender("framecall", "framecall serve", SERVE_LARGE, FRAMED)
TWO_THREADS = Contender(
    "framecall-2", "framecall serve, 2 threads", tuple("2" if word == "1" else word for word in SERVE), FRAMED
)

CONNECTIONS = (1, 2, 5, 10, 30, 100, 300, 1000)
IN_FLIGHT = (1, 2, 4, 8, 16, 32, 64, 128)
BODIES = (1 << 10, 32 << 10, 1 << 20, 32 << 20, 1 << 30)
IDLE = (10, 100, 1000, 10000)
IDLE_SECONDS = 3


@dataclasses.dataclass(frozen=True)
class Step(Case):
    """A point of a curve."""

    measurement: object = None


def steps(quick):
    pinned = {"server_on": rpc.FIRST, "client_on": rpc.SECOND}
    few = slice(None, None, 3) if quick else slice(None)
    made = [
        Step(
            f"connections-{n}",
            f"{n} busy connections",
            ("framecall", "asio"),
            connections=n,
            row="connections",
            **pinned,
        )
        for n in sorted({*CONNECTIONS[few], 1000})
    ]
    made += [
        Step(
            "ping",
            "another connection beside 1,000 busy ones",
            ("framecall", "asio"),
            connections=1000,
            row="ping",
            measurement=beside,
            **pinned,
        ),
    ]
    made += [
        Step(f"in-flight-{n}", f"{n} in flight", ("framecall",), in_flight=n, row="in-flight", **pinned)
        for n in IN_FLIGHT[few]
    ]
    made += [
        Step(f"body-{n}", f"bodies of {n} bytes", ("framecall",), body=n, row="body", measurement=body)
        for n in (BODIES[:3] if quick else BODIES)
    ]
    made += [
        Step(
            "threads",
            "threads of the server, 8 x 16",
            ("framecall", "framecall-2"),
            connections=8,
            in_flight=16,
            row="threads",
        ),
    ]
    for key, title in (("idle", "idle"), ("idle-after-calls", "idle after a call")):
        made += [
            Step(f"{key}-{n}", f"{n} {title}", ("framecall",), connections=n, row=key, measurement=idle)
            for n in (IDLE[:3] if quick else IDLE)
        ]
    made.append(
        Step("claims", "100 bodies of 1 GiB announced, none sent", ("framecall",), row="claims", measurement=claims)
    )
    return made


def beside(running, case, contender):
    """Round trips of one more connection, from a process of its own, while the others are busy."""
    with running.server(contender, case.server_on) as server:
        port = contest.port_of(server)
        quiet = dataclasses.replace(case, connections=1)
        command = [*running.command(contender.client), "--port", str(port)]
        busy = contest.pinned(case.client_on, [*command, *case.flags(running.seconds + 2, running.warm)])
        with measure.Program(busy, running.log(contender.key + ".busy")) as load:
            accepted(server, case.connections)
            with running.client(contender, quiet, port, case.client_on) as client:
                client.finish(30 + 4 * running.seconds)
                said = contest.spoken(client)
            load.finish(30 + 4 * running.seconds)
            contest.spoken(load)
    return {key: said[key] for key in ("p50_us", "p99_us")}


def accepted(server, count):
    folder = f"/proc/{server.process.pid}/fd"
    wait_until(lambda: len(os.listdir(folder)) > count, f"{count} connections are accepted")


def status(pid, key):
    """KiB, or a count."""
    with open(f"/proc/{pid}/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(key + ":"))


def body(running, case, contender):
    """As any case; and the most memory that the server had."""
    with running.server(contender) as server:
        port, before = contest.port_of(server), status(server.process.pid, "VmRSS")
        with running.client(contender, case, port) as client:
            client.finish(120)
            said = contest.spoken(client)
        most = status(server.process.pid, "VmHWM")
    return {
        "bytes_per_second": said["calls_per_second"] * case.body,
        "calls_per_second": said["calls_per_second"],
        "p50_us": said["p50_us"],
        "peak_mib": (most - before) / 1024,
    }


def switches(pid):
    """How often a thread of it has given up the CPU, which it does after each time that it was woken."""
    return sum(status(f"{pid}/task/{task}", "voluntary_ctxt_switches") for task in os.listdir(f"/proc/{pid}/task"))


def idle(running, case, contender):
    """Memory of connections, and what the server does while none of them says anything."""
    with running.server(contender) as server, contextlib.ExitStack() as connections:
        pid, port = server.process.pid, contest.port_of(server)

        def open_one():
            connection = connections.enter_context(socket.create_connection(("127.0.0.1", port)))
            if case.row == "idle-after-calls":
                rpc.call_once(connection)

        open_one()
        before = rpc.settled(pid)
        count = min(case.connections, rpc.most_connections())
        for _ in range(count):
            open_one()
        accepted(server, count)
        after = rpc.settled(pid)
        cpu, woken = server.cpu(), switches(pid)
        time.sleep(IDLE_SECONDS)  # the time that is measured
        cpu, woken = server.cpu() - cpu, switches(pid) - woken
    return {
        "kib_per_connection": (after - before) / count,
        "mib_in_all": after / 1024,
        "connections_open": count,
        "cpu_ms_per_second": cpu / IDLE_SECONDS * 1e3,
        "wake_ups_per_second": woken / IDLE_SECONDS,
    }


def claims(running, case, contender):
    header = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "echo", "body_size": LARGEST}).encode()
    with running.server(contender) as server, contextlib.ExitStack() as connections:
        pid, port = server.process.pid, contest.port_of(server)
        before = rpc.settled(pid)
        for _ in range(100):
            connection = connections.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.sendall(struct.pack("<i", len(header)) + header)
        accepted(server, 100)
        return {"mib": (rpc.settled(pid) - before) / 1024}


def judge(results):
    targets = []

    def add(row, what, values, wanted, higher=True):
        if values:
            targets.append(measure.target(row, what, values, wanted, higher))

    many = column(results.get("connections-1000", {}), "framecall")
    if many:
        curves = [column(figures, "framecall") for key, figures in results.items() if key.startswith("connections-")]
        best = [max(values) for values in zip(*curves)]
        add("connections", "1,000 / the best of all", [a / b for a, b in zip(many, best)], 0.8)
    add(
        "ping",
        "p99 / raw Asio's, beside 1,000 busy",
        ratios(results.get("ping", {}), "framecall", "asio", "p99_us"),
        2,
        False,
    )
    for key in ("idle", "idle-after-calls"):
        most = column(results.get(f"{key}-10000", {}), "framecall", "kib_per_connection")
        add(key, "KiB for each of as many as may be open", most, 1, False)
        in_all = column(results.get(f"{key}-10000", {}), "framecall", "mib_in_all")
        add(key, "MiB in all", in_all, 20, False)
        add(key, "CPU ms a second", column(results.get(f"{key}-10000", {}), "framecall", "cpu_ms_per_second"), 1, False)
    add("claims", "MiB for 100 of 1 GiB", column(results.get("claims", {}), "framecall", "mib"), 1, False)
    return targets


def measured(running, case, contenders, rounds):
    if case.row in ("body", "claims"):
        contenders = [LARGE]
    if case.row.startswith("idle"):
        rounds = min(rounds, 2)
    measurement = case.measurement and (lambda *one: case.measurement(running, *one))
    return running.rounds(case, contenders, rounds, measurement)


def main():
    quick = "--quick" in sys.argv
    cases = steps(quick)
    args = contest.arguments(
        __doc__, sorted({case.row for case in cases}), ["framecall", "framecall-2", "asio"], rounds=5
    )
    rpc.allow_descriptors(20400)
    cases = [case for case in cases if case.row in args.cases]
    args.cases = {case.key for case in cases}
    contest.run(
        "growth",
        args,
        rpc.has,
        cases,
        (FRAMECALL, TWO_THREADS, ASIO),
        lambda *one: measured(*one, args.rounds),
        judge,
        rpc.versions(),
    )


if __name__ == "__main__":
    try:
        main()
    except (Failed, AssertionError, RuntimeError, subprocess.CalledProcessError) as error:
        sys.exit(f"growth.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
