#!/usr/bin/env python3
"""Calls from Python and handlers in Python: framecall beside sockets by hand and what a user would take instead.
See README.md."""

import importlib.util
import os
import time

import contest
import measure
from contest import Case, Contender, column, ratios
from measure import Failed
from rpc import FIRST, FRAMED, SERVE, program

BURNING = 1.0  # seconds


def python(name, *words):
    return ("{python}", "{here}/programs/python/" + name + ".py", *words)


RAW_SERVER, SKIM = program("floor_server", "raw"), program("floor_server", "framecall")
UVLOOP = ("--loop", "uvloop")
ASYNC = ("--handlers", "async")
GRPC, ZMQ = ("grpc", "google.protobuf", "grpc_client"), ("zmq", "zmq_client")

CONTENDERS = (  # clients
    Contender("socket", "socket and struct, no JSON", RAW_SERVER, python("socket_client", "--api", "raw")),
    Contender("socket-json", "socket, struct and json", SKIM, python("socket_client")),
    Contender("framecall", "framecall.Client", SKIM, python("framecall_client"), ("framecall",)),
    Contender(
        "framecall-serve", "framecall.Client → framecall serve", SERVE, python("framecall_client"), ("framecall",)
    ),
    Contender("rpyc", "rpyc → rpyc", python("rpyc_server"), python("rpyc_client"), ("rpyc",)),
    Contender("zmq", "pyzmq → ZeroMQ in C++", program("zmq_server"), python("zmq_client"), ZMQ),
    Contender("grpcio", "grpcio → gRPC in C++", program("grpc_server", "unary"), python("grpc_client"), GRPC),
    Contender("streams", "asyncio streams", SKIM, python("streams_client")),
    Contender("streams-uvloop", "asyncio streams on uvloop", SKIM, python("streams_client", *UVLOOP), ("uvloop",)),
    Contender("aio", "framecall.aio.Client", SKIM, python("framecall_aio_client"), ("framecall",)),
    Contender(
        "aio-uvloop",
        "framecall.aio.Client on uvloop",
        SKIM,
        python("framecall_aio_client", *UVLOOP),
        ("framecall", "uvloop"),
    ),
    # servers
    Contender("socketserver", "socketserver, threads", python("socketserver_server"), FRAMED),
    Contender("streams-server", "asyncio streams", python("streams_server"), FRAMED),
    Contender("streams-uvloop-server", "asyncio streams on uvloop", python("streams_server", *UVLOOP), FRAMED),
    Contender("rpyc-server", "rpyc, loaded by rpyc", python("rpyc_server"), python("rpyc_client"), ("rpyc",)),
    Contender("zmq-server", "pyzmq, loaded from C++", python("zmq_server"), program("zmq_client"), ZMQ),
    Contender("grpcio-server", "grpcio, loaded from C++", python("grpc_server"), program("grpc_client"), GRPC),
    Contender("def", "framecall.Server, def", python("framecall_server"), FRAMED, ("framecall",)),
    Contender("async", "framecall.Server, async def", python("framecall_server", *ASYNC), FRAMED, ("framecall",)),
    Contender(
        "async-uvloop",
        "framecall.Server, async def on uvloop",
        python("framecall_server", *ASYNC, *UVLOOP),
        FRAMED,
        ("framecall", "uvloop"),
    ),
)
LOOPS = ("streams", "streams-uvloop", "aio", "aio-uvloop")
SERVERS = tuple(c.key for c in CONTENDERS[-9:])
CASES = (
    Case(
        "client",
        "A blocking client, one call in flight, both ends on one core, 32 bytes",
        ("socket", "socket-json", "framecall", "framecall-serve", "rpyc", "zmq", "grpcio"),
        server_on=FIRST,
        client_on=FIRST,
    ),
    Case(
        "client-64",
        "A blocking client, batches of 64 calls, 32 bytes",
        ("socket-json", "framecall", "framecall-serve", "rpyc", "grpcio"),
        in_flight=64,
    ),
    Case(
        "asyncio",
        "A client on a loop, one call in flight, both ends on one core, 32 bytes",
        LOOPS,
        server_on=FIRST,
        client_on=FIRST,
    ),
    Case("asyncio-64", "A client on a loop, 64 calls in flight, 32 bytes", LOOPS, in_flight=64),
    Case(
        "client-1mib",
        "A blocking client, 1 MiB there and back",
        ("socket-json", "framecall", "framecall-serve", "rpyc", "zmq", "grpcio"),
        body=1 << 20,
    ),
    Case(
        "server",
        "Handlers in Python, one call in flight, both ends on one core, 32 bytes",
        SERVERS,
        server_on=FIRST,
        client_on=FIRST,
    ),
    Case("server-64", "Handlers in Python, one connection with 64 calls in flight, 32 bytes", SERVERS, in_flight=64),
    Case(
        "server-8x16",
        "Handlers in Python, 8 connections with 16 calls in flight each, 32 bytes",
        SERVERS,
        connections=8,
        in_flight=16,
    ),
    Case("ping", "rpc.ping while a handler keeps Python busy for a second", ("def", "async")),
)


def pings(running, case, contender):
    """A connection of its own that pings, for as long as a handler of another one burns."""
    import framecall

    with running.server(contender) as server:
        address = f"127.0.0.1:{contest.port_of(server)}"
        with framecall.Client(address) as burner, framecall.Client(address) as client:
            burner.call("burn", 0.01)
            client.call("rpc.ping")
            cpu, times = server.cpu(), []
            burner.notify("burn", BURNING)
            began = now = time.perf_counter()
            while now < began + BURNING:
                sent = now
                client.call("rpc.ping")
                now = time.perf_counter()
                times.append((now - sent) * 1e3)
            if server.cpu() - cpu < BURNING / 4:
                raise Failed(f"{contender.key}: the handler did not burn")
    times.sort()
    return {"p50_ms": times[len(times) // 2], "p99_ms": times[len(times) * 99 // 100], "worst_ms": times[-1]}


def measured(running, case, contenders, rounds):
    if case.key == "ping":
        return running.rounds(case, contenders, min(rounds, 5), lambda *one: pings(running, *one))
    return running.rounds(case, contenders, rounds)


# case: (contender, reference, times as fast)
WANTED = {
    "client": (("framecall", "socket", 1.0),),
    "client-64": (("framecall", "socket-json", 5),),
    "asyncio": (("aio", "streams", 2), ("aio-uvloop", "streams-uvloop", 1.5)),
    "asyncio-64": (("aio", "streams", 6), ("aio-uvloop", "streams-uvloop", 2.5)),
    "client-1mib": (("framecall", "socket-json", 1.3), ("framecall-serve", "zmq", 1.3)),
    "server": (("def", "socketserver", 1.15),),
    "server-64": (
        ("def", "streams-uvloop-server", 4),
        ("async", "streams-uvloop-server", 1.6),
        ("async-uvloop", "streams-uvloop-server", 2),
    ),
    "server-8x16": (
        ("def", "streams-uvloop-server", 4),
        ("async", "streams-uvloop-server", 1.6),
        ("async-uvloop", "streams-uvloop-server", 2),
    ),
}


def judge(results):
    targets = []
    for case, wanted in WANTED.items():
        for key, reference, times in wanted:
            values = ratios(results.get(case, {}), key, reference)
            if values:
                targets.append(measure.target(case, f"{key} / {reference}", values, times))
    for figure, limit in (("p99_ms", 5), ("worst_ms", 20)):
        values = column(results.get("ping", {}), "def", figure)
        if values:
            targets.append(measure.target("ping", figure.replace("_", ", "), values, limit, higher=False))
    return targets


def has(need):
    """A program in C++, or a Python module."""
    if os.path.exists(os.path.join(contest.PROGRAMS, need)):
        return True
    try:
        return importlib.util.find_spec(need) is not None
    except ModuleNotFoundError:  # of the package around it
        return False


def versions():
    from importlib import metadata

    found = {}
    for name in ("framecall", "uvloop", "grpcio", "protobuf", "pyzmq", "rpyc"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def main():
    args = contest.arguments(__doc__, [case.key for case in CASES], [c.key for c in CONTENDERS])
    contest.run("python_rpc", args, has, CASES, CONTENDERS, lambda *one: measured(*one, args.rounds), judge, versions())


if __name__ == "__main__":
    measure.run_script(main)
