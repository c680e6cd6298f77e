#!/usr/bin/env python3
"""Five of the tutorial's loop clients (T8) at once: framecall's raw echo beside the tutorial's threading server (T7).
See README.md."""

import argparse
import os
import sys
import tempfile
import time

import measure
from measure import Failed, Program
from processes import SCRIPTS, program_path, wait_until

CLIENTS = 5
SCRIPT = (sys.executable, "-u")


def contenders():
    serve = (program_path(), "serve", "--echo", "127.0.0.1:0", "--quiet")
    return {
        "framecall": ("framecall serve --echo", serve),
        "threads": (
            "T7, socketserver with threads",
            (*SCRIPT, os.path.join(SCRIPTS, "t07_threading_tcp_server.py"), "0"),
        ),
    }


def replies_in(path):
    """The replies that a client printed; the last line may have been cut."""
    with open(path, "rb") as f:
        lines = f.read().split(b"\n")[:-1]
    wrong = [line for line in lines if line != b"b'HELLO'"]
    if wrong:
        raise Failed(f"a client printed {wrong[0]!r}")
    return len(lines)


def one_round(command, seconds, folder):
    """Calls per second of all clients together, and CPU seconds of the server per call."""
    with Program(command, os.path.join(folder, "server")) as server:
        port = server.port()
        logs = [os.path.join(folder, f"client-{number}") for number in range(CLIENTS)]
        client = (*SCRIPT, os.path.join(SCRIPTS, "t08_tcp_loop_client.py"), str(port))
        running = [Program(client, log) for log in logs]
        try:
            wait_until(lambda: all(map(replies_in, logs)), "every client has its first reply")
            began, cpu = time.monotonic(), server.cpu()
            before = sum(map(replies_in, logs))
            time.sleep(seconds)
            count = sum(map(replies_in, logs)) - before
            elapsed, cpu = time.monotonic() - began, server.cpu() - cpu
        finally:
            for one in running:
                one.__exit__()
        for log in logs:
            os.unlink(log)
    return count / elapsed, cpu / max(count, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="of one round (default %(default)g)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE", help="writes everything to FILE")
    arguments = parser.parse_args()
    rates, costs = {}, {}
    choices = contenders()
    try:
        with tempfile.TemporaryDirectory(prefix="framecall-bench-") as folder:
            for number, key in measure.interleaved(arguments.rounds, list(choices)):
                rate, cost = one_round(choices[key][1], arguments.seconds, folder)
                rates.setdefault(key, []).append(rate)
                costs.setdefault(key, []).append(cost)
                print(f"round {number + 1}, {key}: {rate:,.0f} calls/s", file=sys.stderr, flush=True)
    except (AssertionError, Failed) as failure:
        sys.exit(f"benchmarks/echo.py: {failure}")
    rows = [("five T8 at once", "calls/s", "min", "max", "times T7", "server CPU, µs/call")]
    for key, (title, _) in choices.items():
        s = measure.summary(rates[key])
        cpu = 1e6 * measure.summary(costs[key])["median"]
        rows.append(
            (
                title,
                f"{s['median']:,.0f}",
                f"{s['min']:,.0f}",
                f"{s['max']:,.0f}",
                f"{measure.ratio(rates[key], rates['threads']):.2f}",
                f"{cpu:.1f}",
            )
        )
    measure.print_table(rows)
    if arguments.json:
        measure.write_json(
            arguments.json,
            {
                "date": measure.now(),
                "machine": measure.machine(),
                "seconds": arguments.seconds,
                "calls_per_second": rates,
                "cpu_seconds_per_call": costs,
            },
        )


if __name__ == "__main__":
    main()
