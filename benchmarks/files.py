#!/usr/bin/env python3
"""Files of 1 KiB to 1 GiB, one after the other over one connection, from Python: framecall.Client.put() and get(), beside
http.client and nginx. See README.md."""

import argparse
import contextlib
import http.client
import os
import shutil
import tempfile
import time

import measure
from bulk_contenders import GIB, MIB, NGINX, NGINX_SERVER
from measure import Failed, Program, free_port
from peers import content, sha256
from processes import program_path

SIZES = [1 << 10, 8 << 10, 64 << 10, 512 << 10, 4 << 20, 32 << 20, 256 << 20, GIB]
AT_ONCE = 64 * MIB  # about how much one measurement moves
MOST_FILES = 300


def name_of(size):
    return f"{size}.bin"


def by_framecall(client, action, source, target, size, count):
    began = time.perf_counter()
    for _ in range(count):
        if action == "put":
            client.put(source, name_of(size))
        else:
            client.get(name_of(size), target)
    return time.perf_counter() - began


def by_http(connection, target, size, count):
    """As a careful user would: blocks of 1 MiB, into a file under another name, renamed when it is whole."""
    buffer = memoryview(bytearray(MIB))
    began = time.perf_counter()
    for _ in range(count):
        connection.request("GET", "/" + name_of(size))
        with connection.getresponse() as reply, open(target + ".part", "wb", buffering=0) as file:
            while got := reply.readinto(buffer):
                file.write(buffer[:got])
        os.rename(target + ".part", target)
    return time.perf_counter() - began


class Bench:
    """Both servers, a client of each, and the files."""

    def __init__(self, folder, sizes, servers):
        self.here, self.there = os.path.join(folder, "here"), os.path.join(folder, "there")
        self.digests = {}
        os.mkdir(self.here)
        for size in sizes:
            path = os.path.join(self.here, name_of(size))
            with open(path, "wb") as file:
                for at in range(0, size, MIB):
                    file.write(content(at, min(MIB, size - at)))
            shutil.copyfile(path, os.path.join(self.there, name_of(size)))
            self.digests[size] = sha256(path)
        import framecall

        self.client = framecall.Client(f"127.0.0.1:{servers['framecall'].port()}")
        self.http = servers.get("nginx") and http.client.HTTPConnection("127.0.0.1", servers["nginx"].port())

    def run(self, case, size, number):
        count = max(1, min(MOST_FILES, AT_ONCE // size))
        contender, action = case
        source, target = os.path.join(self.here, name_of(size)), os.path.join(self.here, "target")
        if contender == "nginx":
            seconds = by_http(self.http, target, size, count)
        else:
            seconds = by_framecall(self.client, action, source, target, size, count)
        arrived = os.path.join(self.there, name_of(size)) if action == "put" else target
        if os.path.getsize(arrived) != size or (number == 0 and sha256(arrived) != self.digests[size]):
            raise Failed(f"{contender}, {action}, {size} bytes: what arrived is something else")
        if action == "get":
            os.unlink(target)
        return {"bytes_per_second": size * count / seconds, "files_per_second": count / seconds}


def show(report):
    print(
        f"Files over one connection, from Python, {report['congestion_control']}, {report['rounds_wanted']} rounds; medians"
    )
    print("{cpu}, {cpus} CPUs, Linux {kernel}, load {load}; Python {python}\n".format(**report["machine"]))
    lines = [("", "size", "GB/s", "min-max", "files/s")]
    for row in report["rows"]:
        rate = {key: value / 1e9 for key, value in row["bytes_per_second"].items()}
        lines.append(
            (
                row["title"],
                measure.size_text(row["bytes"]),
                "{median:.3f}".format(**rate),
                "{min:.3f}-{max:.3f}".format(**rate),
                "{:,.1f}".format(row["files_per_second"]["median"]),
            )
        )
    measure.print_table(lines)
    for key, reason in report["skipped"].items():
        print(f"{key}: {reason}")


TITLES = {
    ("framecall", "put"): "framecall put, SHA-256",
    ("framecall", "get"): "framecall get",
    ("nginx", "get"): "nginx → http.client",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, help="default: 5")
    parser.add_argument("--quick", action="store_true", help="one round, up to 32 MiB: does everything work?")
    parser.add_argument("--cc", default="", help="congestion control, in a network namespace of its own (root)")
    parser.add_argument("--out", default="/dev/shm", help="where the files are (default: %(default)s)")
    parser.add_argument("--json", default="", help="write everything that was measured to this file")
    args = parser.parse_args()
    rounds = args.rounds or (1 if args.quick else 5)
    sizes = [size for size in SIZES if size <= 32 * MIB] if args.quick else SIZES
    if shutil.disk_usage(args.out).free < 4 * sum(sizes):
        raise Failed(f"no room for {4 * sum(sizes)} bytes in {args.out}")
    started = measure.now()
    skipped = {"nginx": "not installed: nginx"} if measure.missing(["nginx"]) else {}
    if args.cc:
        measure.enter_own_network(args.cc)
    cases = [case for case in TITLES if case[0] not in skipped]
    figures = {(case, size): [] for case in cases for size in sizes}
    with tempfile.TemporaryDirectory(prefix="framecall-bench-", dir=args.out) as folder:
        there = os.path.join(folder, "there")
        with open(os.path.join(folder, "nginx.conf"), "w") as file:
            file.write(NGINX.format(free_port=free_port(), scratch=folder, source_folder=there))
        commands = {
            "framecall": ["serve", "--listen", "127.0.0.1:0", "--root", there, "--durability", "none", "--quiet"],
            "nginx": [word.format(scratch=folder) for word in NGINX_SERVER[1:]],
        }
        programs = {"framecall": program_path(), "nginx": "nginx"}
        os.mkdir(there)
        with contextlib.ExitStack() as running:
            servers = {
                key: running.enter_context(Program([programs[key], *commands[key]], os.path.join(folder, key + ".log")))
                for key in programs.keys() - skipped.keys()
            }
            bench = Bench(folder, sizes, servers)
            for number, (case, size) in measure.interleaved(1 + rounds, list(figures)):
                result = bench.run(case, size, number)
                if number:  # round 0 warms up, and looks at the content
                    figures[case, size].append(result)
            bench.client.close()
    report = {
        "suite": "files",
        "when": started,
        "rounds_wanted": rounds,
        "machine": measure.machine(),
        "versions": {
            "framecall": measure.version(program_path(), "--version"),
            "nginx": measure.version("nginx", "-v"),
        },
        "congestion_control": measure.congestion_control(),
        "rows": [
            {
                "case": case[1],
                "contender": case[0],
                "title": TITLES[case],
                "bytes": size,
                "rounds": results,
                **{key: measure.summary([result[key] for result in results]) for key in results[0]},
            }
            for (case, size), results in figures.items()
        ],
        "targets": [],
        "skipped": skipped,
    }
    show(report)
    if args.json:
        measure.write_json(args.json, report)


if __name__ == "__main__":
    measure.run_script(main)
