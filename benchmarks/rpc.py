#!/usr/bin/env python3
"""Calls in C++: framecall beside sockets without a library, beside what a user would take instead, and beside the floor.
See README.md."""

import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import struct
import sys

import contest
import measure
from contest import Case, Contender, column, ratios
from measure import Failed, Program
from processes import program_path, wait_until

RAW = ("{programs}/load", "--proto", "raw")
FRAMED = ("{programs}/load", "--proto", "framecall")
SERVE = ("{framecall}", "serve", "--listen", "127.0.0.1:0", "--threads", "1", "--quiet", "--max-connections", "20000")
OWN = ("{load}", "--api")


def program(name, *words):
    return ("{programs}/" + name, *words)


def pair(key, title):
    return Contender(key, title, program(key + "_server"), program(key + "_client"), (key + "_server", key + "_client"))


GRPC = ("grpc_server", "grpc_client")
CONTENDERS = (
    Contender("raw", "raw epoll, C", program("floor_server", "raw"), RAW),
    Contender("raw-blocking", "raw blocking sockets, C", program("floor_server", "raw", "blocking"), RAW),
    pair("asio", "raw Asio coroutines"),
    Contender("skim", "skim: our wire in C, not validated", program("floor_server", "framecall"), FRAMED),
    Contender("framecall", "framecall, Client", SERVE, (*OWN, "blocking"), ("framecall_load",)),
    Contender("framecall-async", "framecall, AsyncClient", SERVE, (*OWN, "async"), ("framecall_load",)),
    Contender("framecall-c", "framecall serve, C client", SERVE, FRAMED),
    Contender(
        "client-c",
        "framecall's Client → skim, blocking",
        program("floor_server", "framecall", "blocking"),
        (*OWN, "blocking"),
        ("framecall_load",),
    ),
    Contender("nlohmann", "nlohmann and Asio, C client", program("nlohmann_server"), FRAMED, ("nlohmann_server",)),
    Contender("grpc", "gRPC, unary", program("grpc_server", "unary"), program("grpc_client"), GRPC),
    Contender(
        "grpc-stream",
        "gRPC, stream",
        program("grpc_server", "stream"),
        program("grpc_client", "--api", "stream"),
        GRPC,
    ),
    pair("thrift", "Thrift"),
    pair("capnp", "Cap'n Proto"),
    pair("zmq", "ZeroMQ"),
)
SERVED = ("raw", "asio", "skim", "framecall-c", "nlohmann", "grpc", "thrift", "capnp", "zmq")
OTHERS = (*SERVED, "grpc-stream")

CPUS = sorted(os.sched_getaffinity(0))
FIRST, SECOND = str(CPUS[0]), str(CPUS[-1])
CASES = (
    Case(
        "unary-one-core",
        "One call in flight, both ends on one core, 32 bytes",
        (*OTHERS, "raw-blocking", "framecall", "framecall-async", "client-c"),
        server_on=FIRST,
        client_on=FIRST,
    ),
    Case("unary", "One call in flight, not pinned, 32 bytes", (*OTHERS, "framecall", "framecall-async")),
    Case(
        "8x16",
        "8 connections with 16 calls in flight each, server on one core, client on the other, 32 bytes",
        (*OTHERS, "framecall-async"),
        connections=8,
        in_flight=16,
        server_on=FIRST,
        client_on=SECOND,
    ),
    Case(
        "1x64",
        "One connection with 64 calls in flight, not pinned, 32 bytes",
        (*OTHERS, "framecall", "framecall-async"),
        in_flight=64,
    ),
    Case("1mib", "1 MiB there and back, one call in flight", (*OTHERS, "framecall", "framecall-async"), body=1 << 20),
    Case("idle", "Memory of idle connections", SERVED, connections=1000),
    Case("idle-after-calls", "Memory of idle connections, after a call on each", ("framecall-c",), connections=1000),
    Case(
        "idle-10000",
        "Memory of as many idle connections as may be open, 10,000 at most",
        ("framecall-c",),
        connections=10000,
    ),
    Case("system-calls", "System calls of the server for a call, one in flight", SERVED),
)

HELLO = {  # what a connection says first, where a server keeps nothing of one that was never heard of
    "grpc": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)),
    "zmq": b"\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL".ljust(64, b"\0") + b"\4\x1c\5READY\x0bSocket-Type\0\0\0\6DEALER",
}


def resident(pid):
    """KiB."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def settled(pid):
    """KiB in memory once the process does nothing any more: three looks that agree."""
    seen = []

    def look():
        seen.append(resident(pid))
        return len(seen) > 9 and len(set(seen[-9:])) == 1 and seen[-1]

    return wait_until(look, f"the memory of process {pid} stays as it is")


def call_once(connection):
    """framecall's wire by hand: a small call, its reply read whole."""
    body = b"a" * 32
    header = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "upper", "body_size": len(body)}).encode()
    connection.sendall(struct.pack("<i", len(header)) + header + body)
    with connection.makefile("rb") as reply:
        header = json.loads(reply.read(*struct.unpack("<i", reply.read(4))))
        if reply.read(header["body_size"]) != body.upper():
            raise Failed("a wrong reply")


def most_connections():
    """That one process can hold beside a server with the same limit, which counts two descriptors for each."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2 - 100


@contextlib.contextmanager
def idle_connections(running, contender, count, after_calls=False):
    """The server, and the KiB that it has in memory without and with so many connections, which stay open in the block."""
    with running.server(contender) as server, contextlib.ExitStack() as connections:
        pid, port = server.process.pid, contest.port_of(server)

        def open_one():
            connection = connections.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.sendall(HELLO.get(contender.key, b""))
            if after_calls:
                call_once(connection)

        open_one()
        before, held = settled(pid), descriptors(pid)
        for _ in range(count):
            open_one()
        wait_until(lambda: descriptors(pid) >= held + count, f"{contender.key} accepts {count} connections")
        yield server, before, settled(pid)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def memory(running, case, contender):
    count = min(case.connections, most_connections())
    with idle_connections(running, contender, count, case.key == "idle-after-calls") as (_, before, after):
        return {
            "kib_per_connection": (after - before) / count,
            "mib_in_all": after / 1024,
            "mib_without": before / 1024,
            "connections": count,
        }


def system_calls(running, case, contender):
    """strace counts, from the moment that it holds every thread of the server to the end of the client."""
    counts = running.log(contender.key + ".strace")
    with running.server(contender) as server:
        pid, port = server.process.pid, contest.port_of(server)
        command = ["strace", "-c", "-f", "-q", "-o", counts, "-p", str(pid)]
        with Program(command, running.log(contender.key + ".strace.log")) as tracer:
            wait_until(lambda: tracer.process.poll() is not None or traced(pid), "strace holds the server")
            if tracer.process.poll() is not None:
                raise tracer.failure("strace cannot look at a process here")
            with running.client(contender, case, port) as client:
                client.finish(60 + 4 * running.seconds)
                calls = contest.spoken(client)["calls_total"]
            tracer.process.send_signal(signal.SIGINT)
            tracer.ended(10)
    with open(counts) as table:
        totals = [line.split() for line in table if line.rstrip().endswith("total")]
    if not totals:
        raise Failed(f"{contender.key}: strace counted nothing")
    return {"system_calls_per_call": round(int(totals[0][3]) / calls, 2), "calls": calls}  # the few of connecting fade


def traced(pid):
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/status") as status:
            if "TracerPid:\t0\n" in status.read():
                return False
    return True


def measured(running, case, contenders, rounds):
    if case.key.startswith("idle"):
        return running.rounds(case, contenders, min(rounds, 3), lambda *one: memory(running, *one))
    if case.key == "system-calls":
        if not shutil.which("strace"):
            print("system-calls: not installed: strace", file=sys.stderr)
            return {}
        return running.rounds(case, contenders, 1, lambda *one: system_calls(running, *one))
    return running.rounds(case, contenders, rounds)


def best(results, *keys):
    """The fastest of them."""
    there = [key for key in keys if results.get(key)]
    return max(there, key=lambda key: measure.summary(column(results, key))["median"], default="")


def judge(results):
    targets = []

    def add(case, what, values, wanted, higher=True):
        if values:
            targets.append(measure.target(case, what, values, wanted, higher))

    def faster(case, what, key, reference, wanted):
        figures = results.get(case, {})
        add(case, what, ratios(figures, key, reference), wanted)

    one = results.get("unary-one-core", {})
    add("unary-one-core", "p50 of framecall / raw Asio", ratios(one, "framecall", "asio", "p50_us"), 1.05, False)
    faster("unary-one-core", "framecall / gRPC unary", "framecall", "grpc", 6)
    faster("unary-one-core", "blocking client / raw blocking sockets", "client-c", "raw-blocking", 0.9)
    faster("unary", "framecall serve / raw epoll", "framecall-c", "raw", 0.95)
    for case, wanted in (("8x16", {"zmq": 1.5, "thrift": 10, "gRPC": 12}), ("1x64", {"zmq": 2, "gRPC": 15})):
        faster(case, "framecall serve / skim", "framecall-c", "skim", 0.8)
        for other, times in wanted.items():
            key = best(results.get(case, {}), "grpc", "grpc-stream") if other == "gRPC" else other
            faster(case, f"framecall serve / {key}", "framecall-c", key, times)
    add("8x16", "server CPU, µs for a call", column(results.get("8x16", {}), "framecall-c", "server_cpu_us"), 1, False)
    faster("1mib", "framecall serve / raw epoll", "framecall-c", "raw", 1.0)
    grpc = best(results.get("1mib", {}), "grpc", "grpc-stream")
    faster("1mib", f"framecall serve / {grpc}", "framecall-c", grpc, 2.5)
    for case in ("idle", "idle-after-calls"):
        figures = column(results.get(case, {}), "framecall-c", "kib_per_connection")
        add(case, "KiB for a connection", figures, 1, False)
    add("idle-10000", "MiB in all", column(results.get("idle-10000", {}), "framecall-c", "mib_in_all"), 20, False)
    counted = column(results.get("system-calls", {}), "framecall-c", "system_calls_per_call")
    add("system-calls", "for a call", counted, 4, False)
    return targets


def versions():
    found = {"framecall": measure.version(program_path(), "--version"), "g++": measure.version("g++", "--version")}
    for name, package in {"gRPC": "grpc++", "Cap'n Proto": "capnp-rpc", "ZeroMQ": "libzmq"}.items():
        found[name] = measure.version("pkg-config", "--modversion", package)
    return {**found, "Thrift": measure.version("thrift", "--version")}


def has(need):
    return os.path.exists(contest.load_program() if need == "framecall_load" else os.path.join(contest.PROGRAMS, need))


def allow_descriptors(wanted):
    """For us, and for the servers, which inherit it: of framecall's connections each may take two."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    except (ValueError, OSError):  # that takes root
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, wanted), hard))


def main():
    args = contest.arguments(__doc__, [case.key for case in CASES], [c.key for c in CONTENDERS])
    allow_descriptors(20400)
    contest.run("rpc", args, has, CASES, CONTENDERS, lambda *one: measured(*one, args.rounds), judge, versions())


if __name__ == "__main__":
    measure.run_script(main)
