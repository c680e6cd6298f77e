#!/usr/bin/env python3
"""How long it takes to start, to import and, with --build, to build framecall. See README.md."""

import argparse
import glob
import os
import socket
import subprocess
import sys
import tempfile
import time

import measure
from measure import Failed, Program
from processes import program_path

SOURCE_FILE = "cpp/src/server/connection.cpp"  # of the one-file change
MIB = 1 << 20


def seconds(*command, folder=None, **environment):
    """From before its start to its end."""
    began = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    taken = time.perf_counter() - began
    if done.returncode:
        raise Failed("{}: exit code {}\n{}".format(" ".join(command), done.returncode, done.stdout.decode()[-2000:]))
    return taken


def milliseconds(*command):
    return seconds(*command) * 1e3


def version(scratch):
    return milliseconds(program_path(), "--version")


def accepts(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def server(scratch):
    """From its start to the first connection that it accepts; looked at without a pause."""
    port = measure.free_port()
    command = [program_path(), "serve", "--listen", f"127.0.0.1:{port}", "--quiet"]
    began = time.perf_counter()
    with Program(command, os.path.join(scratch, "server.log")) as running:
        while not accepts(port):
            if running.process.poll() is not None or time.perf_counter() - began > 10:
                raise running.failure("did not listen")
        return (time.perf_counter() - began) * 1e3


def package(scratch):
    """`import framecall` over Python alone, each in a process of its own."""
    bare = milliseconds(sys.executable, "-c", "pass")
    return milliseconds(sys.executable, "-c", "import framecall") - bare


STARTS = {  # what: (measurement, target in ms)
    "framecall --version": (version, 10),
    "framecall serve accepts": (server, 50),
    "import framecall, over Python alone": (package, 30),
}


def builds(scratch):
    """{what: (figure, target)} in a clone of its own; no compiler cache."""
    clone, wheels = os.path.join(scratch, "clone"), os.path.join(scratch, "wheels")
    subprocess.run(["git", "clone", "--quiet", measure.ROOT, clone], check=True)
    alone = {"folder": clone, "CCACHE_DISABLE": "1"}
    print("./dev build in a fresh clone ...", file=sys.stderr, flush=True)
    found = {"./dev build, fresh clone, s": (seconds("./dev", "build", **alone), 360)}
    with open(os.path.join(clone, SOURCE_FILE), "a") as file:
        file.write("// changed\n")
    found["./dev build, one file changed, s"] = (seconds("./dev", "build", **alone), 30)
    print("the wheel ...", file=sys.stderr, flush=True)
    command = [".venv/bin/python", "-m", "pip", "wheel", "--no-deps", "--wheel-dir", wheels, "."]
    found["the wheel, s"] = (seconds(*command, **alone), 180)
    (wheel,) = glob.glob(os.path.join(wheels, "*.whl"))
    found["size of the wheel, MiB"] = (os.path.getsize(wheel) / MIB, 3)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, help="default: 20")
    parser.add_argument("--quick", action="store_true", help="three rounds: does everything work?")
    parser.add_argument("--build", action="store_true", help="measure the builds too: about eight minutes")
    parser.add_argument("--json", default="", help="write everything that was measured to this file")
    args = parser.parse_args()
    rounds = args.rounds or (3 if args.quick else 20)
    started = measure.now()
    figures = {what: [] for what in STARTS}
    with tempfile.TemporaryDirectory(prefix="framecall-bench-") as scratch:
        for number, what in measure.interleaved(1 + rounds, list(STARTS)):
            taken = STARTS[what][0](scratch)
            if number:  # round 0 brings the programs into the page cache
                figures[what].append(taken)
        rows = [
            {"case": "start", "contender": what, "title": what, "milliseconds": measure.summary(values)}
            for what, values in figures.items()
        ]
        targets = [
            measure.target("start", what + ", ms", figures[what], most, False) for what, (_, most) in STARTS.items()
        ]
        for what, (figure, most) in builds(scratch).items() if args.build else ():
            rows.append({"case": "build", "contender": what, "title": what, "figure": measure.summary([figure])})
            targets.append(measure.target("build", what, [figure], most, False))
    report = {
        "suite": "start",
        "when": started,
        "rounds_wanted": rounds,
        "machine": measure.machine(),
        "versions": {
            "framecall": measure.version(program_path(), "--version"),
            "g++": measure.version("g++", "--version"),
        },
        "rows": rows,
        "targets": targets,
        "skipped": {} if args.build else {"build": "measured with --build only"},
    }
    print("{cpu}, {cpus} CPUs, Linux {kernel}, load {load}; Python {python}\n".format(**report["machine"]))
    measure.print_targets(targets)
    for key, reason in report["skipped"].items():
        print(f"{key}: {reason}")
    if args.json:
        measure.write_json(args.json, report)


if __name__ == "__main__":
    measure.run_script(main)
