#!/usr/bin/env python3
"""Instructions of the two hot paths, one unary call on the server and one on the blocking client, counted by callgrind: no
quiet machine is needed, and a regression shows to the percent.

    ./dev bench instructions             counts, and compares with instructions.json
    ./dev bench instructions --write     counts, and writes instructions.json
"""

import argparse
import json
import os
import re
import socket
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
RECORDED = os.path.join(HERE, "instructions.json")
BUILD = os.path.join(os.path.dirname(HERE), "build", "release")
HOT_PATH = os.path.join(BUILD, "bin", "hot_path")
CALLS = 2000
TOLERANCE = 0.05
PATIENCE = 120


def compiler():
    """The counts are those of one compiler."""
    with open(os.path.join(BUILD, "CMakeCache.txt")) as f:
        command = re.search(r"^CMAKE_CXX_COMPILER:\w+=(.+)$", f.read(), re.MULTILINE).group(1)
    said = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
    version = subprocess.run([command, "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()
    return f"{'clang' if 'clang' in said else 'g++'} {version}"


def counted(*command, **options):
    return subprocess.Popen(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=" + os.devnull, HOT_PATH, *command],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def instructions(process):
    said = process.communicate(timeout=PATIENCE)[1]
    if process.returncode != 0:
        raise SystemExit("hot_path failed:\n" + said)
    return int(re.search(r"Collected : (\d+)", said).group(1))


def talk(port, count):
    """`count` calls one after the other, and the end of the server, by a plain socket."""

    def frame(header, body=b""):
        text = json.dumps(header).encode()
        return struct.pack("<i", len(text)) + text + body

    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = sock.makefile("rb")
        body = b"b" * 32
        for i in range(count):
            sock.sendall(frame({"jsonrpc": "2.0", "id": 1000000 + i, "method": "echo", "body_size": 32}, body))
            header = json.loads(stream.read(struct.unpack("<i", stream.read(4))[0]))
            if (header["id"], stream.read(header["body_size"])) != (1000000 + i, body):
                raise SystemExit(f"a wrong reply: {header!r}")
        sock.sendall(frame({"jsonrpc": "2.0", "id": 1, "method": "stop"}))


def server_run(count):
    process = counted("server", stdout=subprocess.PIPE)
    try:
        talk(int(process.stdout.readline()), count)
        return instructions(process)
    finally:
        process.kill()


def client_run(count):
    server = subprocess.Popen([HOT_PATH, "server"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline())
        result = instructions(counted("client", str(port), str(count)))
        talk(port, 0)
        return result
    finally:
        server.kill()
        server.wait()


def per_call(run):
    """The start and the end cost the same with few calls and with many."""
    return (run(2 * CALLS) - run(CALLS)) / CALLS


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write instructions.json")
    arguments = parser.parse_args()
    counts = {"server": round(per_call(server_run)), "client": round(per_call(client_run))}
    if arguments.write:
        with open(RECORDED, "w") as f:
            json.dump({"compiler": compiler(), "instructions_per_call": counts}, f, indent=2)
            f.write("\n")
    with open(RECORDED) as f:
        recorded = json.load(f)
    same = recorded["compiler"] == compiler()
    worse = False
    print(f"instructions per unary call, 32 bytes of body, by {compiler()}; recorded with {recorded['compiler']}")
    for side, count in counts.items():
        before = recorded["instructions_per_call"][side]
        print(f"{side:6} {count:6}   recorded {before:6}   {count / before - 1:+.1%}")
        worse = worse or count > before * (1 + TOLERANCE)
    if not same:
        print("not judged: another compiler")
    elif worse:
        print(f"more than {TOLERANCE:.0%} above the recorded figure: mend it, or explain it and use --write")
    return same and worse


if __name__ == "__main__":
    sys.exit(main())
