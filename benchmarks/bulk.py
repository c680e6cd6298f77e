#!/usr/bin/env python3
"""How fast a file goes from the page cache, over loopback TCP, into a file on tmpfs: framecall beside
what a user would take instead, and beside the floor. See README.md."""

import argparse
import importlib.util
import json
import os
import shutil
import signal
import sys
import tempfile
import time

import contest
import measure
from bulk_contenders import CONTENDERS, FLOOR, GIB, MIB, MODULE, NAME, NGINX, OURS, PACKAGES
from contest import column, ratios
from measure import Failed, Program, free_port
from peers import content, sha256
from processes import SCRIPTS, program_path

HERE = os.path.dirname(os.path.abspath(__file__))
WARM_COPIES = 3


def spoken(log):
    """What a program said last about its transfer: {"bytes": ..., "seconds": ...}, or how many bytes; {} if it did not."""
    with open(log, errors="replace") as f:
        last = f.read().strip().rpartition("\n")[2]
    try:
        said = json.loads(last)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {"bytes": said}


class Bench:
    """The source files, and one transfer after the other between two folders of its own."""

    def __init__(self, size, framecall, scratch, out):
        self.size, self.framecall, self.scratch, self.root = size, framecall, scratch, os.path.join(out, "root")
        self.sources = {}  # size: (path, SHA-256)

    def source(self, size):
        """Made once per size, on disk."""
        if size not in self.sources:
            path = os.path.join(self.scratch, str(size), NAME)
            os.makedirs(os.path.dirname(path))
            with open(path, "wb") as f:
                for at in range(0, size, MIB):
                    f.write(content(at, min(MIB, size - at)))
                f.flush()
                os.fsync(f.fileno())  # or its write-back would run while we measure
            self.sources[size] = path, sha256(path)
        return self.sources[size]

    def values(self, source):
        return {
            "here": HERE,
            "scripts": SCRIPTS,
            "build": measure.BUILD,
            "python": sys.executable,
            "framecall": self.framecall,
            "scratch": self.scratch,
            "source": source,
            "source_folder": os.path.dirname(source),
            "root": self.root,
            "target": os.path.join(self.root, NAME),
        }

    def run(self, contender, check):
        """One transfer into a fresh folder; what it cost. The size is always checked, the content on demand."""
        size = min(self.size, contender.max_size)
        source, digest = self.source(size)
        values = self.values(source)
        os.mkdir(self.root)
        try:
            if not contender.discards:
                self.warm_up(source)
            if contender.listener[0] == "nginx":  # the only one that cannot pick a free port itself
                with open(os.path.join(self.scratch, "nginx.conf"), "w") as f:
                    f.write(NGINX.format(free_port=free_port(), **values))
            result = self.transfer(contender, size, values)
            if check and not contender.discards and sha256(values["target"]) != digest:
                raise Failed(f"{contender.title}: SHA-256 of the received file differs")
            return result
        finally:
            shutil.rmtree(self.root)

    def warm_up(self, source):
        """Brings the source into the page cache, and hands the transfer memory that was in use a moment ago. A virtual
        machine gives free memory back to its host every 2 s, and getting it again costs more than the whole transfer:
        free three times as much as the transfer takes, so that enough is left when that happens meanwhile."""
        copies = [os.path.join(self.root, f"copy{n}") for n in range(WARM_COPIES)]
        for copy in copies:
            shutil.copyfile(source, copy)
        for copy in copies:
            os.unlink(copy)

    def transfer(self, contender, size, values):
        log = os.path.join(self.scratch, contender.key)
        for side in (".listener", ".client"):
            open(log + side, "w").close()  # figures are read from it
        patience = max(120, size / 10e6)
        with Program([part.format(**values) for part in contender.listener], log + ".listener", self.root) as listener:
            values["port"] = listener.port()
            cpu, busy, began = listener.cpu(), measure.busy_cpu(), time.monotonic()
            with Program(
                [part.format(**values) for part in contender.client], log + ".client", values["source_folder"]
            ) as client:
                client_cpu = client.finish(patience)
                if not contender.client_waits:
                    self.wait_for_size(contender, values["target"], size, began + patience)
                seconds = time.monotonic() - began
                listener_cpu = listener.cpu() - cpu
                others = max(0.0, (measure.busy_cpu() - busy - client_cpu - listener_cpu) / seconds)
            said = spoken(log + ".client") or spoken(log + ".listener")
            if contender.discards:
                got = said.get("bytes", 0)
            else:
                got = os.path.getsize(values["target"]) if os.path.exists(values["target"]) else 0
            if got != size:
                raise Failed(f"{contender.title}: {got} of {size} bytes arrived")
        sender, receiver = (listener_cpu, client_cpu) if contender.download else (client_cpu, listener_cpu)
        return {
            "bytes": size,
            "seconds": seconds,
            "bytes_per_second": size / seconds,
            "bytes_per_second_said": size / said["seconds"] if "seconds" in said else 0.0,
            "sender_cpu_s_per_gib": sender / size * GIB,
            "receiver_cpu_s_per_gib": receiver / size * GIB,
            "other_cpus": others,
        }

    @staticmethod
    def wait_for_size(contender, path, size, deadline):
        """For peers whose sender does not wait for the receiver: looks 2,000 times a second."""
        while not os.path.exists(path) or os.path.getsize(path) < size:
            if time.monotonic() > deadline:
                raise Failed(f"{contender.title}: the file was never whole")
            time.sleep(0.0005)


def available(wanted, may_install):
    """The contenders that can run here, and a reason for each that cannot."""
    programs = {program for contender in wanted for program in contender.needs} - {"framecall", MODULE}
    lacking = measure.missing(programs)
    if lacking and may_install:
        measure.install(" ".join(PACKAGES[program] for program in lacking).split())
        lacking = measure.missing(programs)
    if not importlib.util.find_spec("framecall"):
        lacking.append(MODULE)
    return contest.available(wanted, lambda need: need not in lacking)


def rate_ratios(results, one, other):
    return ratios(results, one, other, "bytes_per_second")


def judge(results):
    targets = []

    def add(row, what, values, wanted, higher=True):
        if values:
            targets.append(measure.target(row, what, values, wanted, higher))

    add("discard", "get / sendfile → recv", rate_ratios(results, "get-discard", "floor-discard"), 0.95)
    add("discard", "get / nginx → curl", rate_ratios(results, "get-discard", "nginx-discard"), 1.5)
    for name, key in (("send", OURS), ("put, with SHA-256", "put"), ("get", "get")):
        add("file", name + " / the floor", rate_ratios(results, key, FLOOR), 0.95)
        add("file", name + " / nginx → curl", rate_ratios(results, key, "nginx"), 1.5)
        add("file", name + " / the tutorial pair", rate_ratios(results, key, "tutorial"), 11)
    for name, key in (("send", OURS), ("get", "get")):
        add("CPU s for a GiB", name + ", sender", column(results, key, "sender_cpu_s_per_gib"), 0.10, False)
        add("CPU s for a GiB", name + ", receiver", column(results, key, "receiver_cpu_s_per_gib"), 0.75, False)
    for name, key in (("send", OURS), ("put", "put"), ("get", "get")):
        values = ratios(results, "python-" + name, key, "bytes_per_second_said")
        add("from Python", name + " / framecall " + name, values, 0.97)
    return targets


def show(report, results):
    print(
        f"{report['bytes'] // MIB} MiB from the page cache to tmpfs or to nowhere, loopback TCP, "
        f"{report['congestion_control']}, {report['rounds_wanted']} rounds; medians, ratios within a round"
    )
    print(
        "{cpu}, {cpus} CPUs, Linux {kernel}, load {load}; Python {python}, {versions}".format(
            versions=", ".join(map(" ".join, report["versions"].items())), **report["machine"]
        )
    )
    for case, floor, title in (("file", FLOOR, "Into a file"), ("discard", "floor-discard", "Discarded")):
        rows = [("", "GB/s", "min-max", "x floor", "sender CPU s/GiB", "receiver CPU s/GiB", "other CPUs")]
        for row in (row for row in report["rows"] if row["case"] == case):
            speed = row["bytes_per_second"]
            of_floor = rate_ratios(results, row["contender"], floor)
            figures = ("sender_cpu_s_per_gib", "receiver_cpu_s_per_gib", "other_cpus")
            rows.append(
                (
                    row["title"] + ("" if row["bytes"] == report["bytes"] else f", {row['bytes'] // MIB} MiB, scaled"),
                    "%.2f" % (speed["median"] / 1e9),
                    "{:.2f}-{:.2f}".format(speed["min"] / 1e9, speed["max"] / 1e9),
                    "{:.2f}".format(measure.summary(of_floor)["median"]) if of_floor else "-",
                    *("{:.2f}".format(row[figure]["median"]) for figure in figures),
                )
            )
        if len(rows) > 1:
            print(f"\n{title}")
            measure.print_table(rows)
    for key, reason in report["skipped"].items():
        print(f"{key}: {reason}")
    if report["targets"]:
        print("\nTargets: ratios within a round; from Python without the start of the interpreter")
        measure.print_targets(report["targets"])
    if report["congestion_control"] == "bbr":
        print("bbr paces, which costs up to half of what loopback can do: --cc cubic measures without it")


def versions(contenders, framecall):
    commands = {
        "framecall": (framecall, "--version"),
        "cc": ("cc", "--version"),
        "curl": ("curl", "--version"),
        "nginx": ("nginx", "-v"),
        "socat": ("socat", "-V"),
    }
    needed = {program for contender in contenders for program in contender.needs}
    return {program: measure.version(*command) for program, command in commands.items() if program in needed}


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, help="bytes per transfer (default: 1 GiB)")
    parser.add_argument("--rounds", type=int, help="default: 7")
    parser.add_argument("--quick", action="store_true", help="128 MiB, 3 rounds: does it work?")
    parser.add_argument(
        "--only", default="", help="contenders, comma-separated: " + " ".join(c.key for c in CONTENDERS)
    )
    parser.add_argument("--cc", default="", help="congestion control, in a network namespace of its own (root)")
    parser.add_argument("--install", action="store_true", help="install missing peers with apt (root)")
    parser.add_argument("--out", default="/dev/shm", help="where received files go (default: %(default)s)")
    parser.add_argument("--json", default="", help="write everything that was measured to this file")
    args = parser.parse_args()
    args.size = args.size or (128 * MIB if args.quick else GIB)
    args.rounds = args.rounds or (3 if args.quick else 7)
    args.only = set(args.only.split(",")) - {""} or {c.key for c in CONTENDERS}
    unknown = args.only - {c.key for c in CONTENDERS}
    if unknown or args.size < 1 or args.rounds < 1:
        parser.error("no such contender: " + ", ".join(sorted(unknown)) if unknown else "a number is too small")
    return args


def main():
    args = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = measure.now()
    contenders, skipped = available([c for c in CONTENDERS if c.key in args.only], args.install)
    framecall = program_path() if any("framecall" in c.needs for c in contenders) else ""
    if any("cc" in c.needs for c in contenders):
        for source in ("send_file.c", "receive_file.c"):
            measure.compile_c(os.path.join(HERE, "bulk", source))
    if args.cc:
        measure.enter_own_network(args.cc)
    if shutil.disk_usage(args.out).free < args.size * WARM_COPIES * 1.1:
        raise Failed(f"no room for {WARM_COPIES} x {args.size} bytes in {args.out}")

    results = {c.key: [] for c in contenders}
    os.makedirs(measure.BUILD, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=measure.BUILD) as scratch,
        tempfile.TemporaryDirectory(prefix="framecall-bench-", dir=args.out) as out,
    ):
        bench = Bench(args.size, framecall, scratch, out)
        for number, contender in measure.interleaved(1 + args.rounds, contenders):
            result = bench.run(contender, check=number == 0)
            if number:  # round 0 brings memory and caches to their usual state
                results[contender.key].append(result)
            print(
                f"round {number} of {args.rounds}  {contender.key:14}  {result['bytes_per_second'] / 1e9:.2f} GB/s",
                file=sys.stderr,
                flush=True,
            )
    rows = [
        {
            "case": "discard" if c.discards else "file",
            "contender": c.key,
            "title": c.title,
            "rounds": results[c.key],
            **{figure: measure.summary([r[figure] for r in results[c.key]]) for figure in results[c.key][0]},
            "bytes": min(args.size, c.max_size),
        }
        for c in contenders
    ]
    report = {
        "suite": "bulk",
        "when": started,
        "bytes": args.size,
        "rounds_wanted": args.rounds,
        "machine": measure.machine(),
        "congestion_control": measure.congestion_control(),
        "versions": versions(contenders, framecall),
        "rows": rows,
        "targets": judge(results),
        "skipped": skipped,
    }
    show(report, results)
    if args.json:
        measure.write_json(args.json, report)


if __name__ == "__main__":
    measure.run_script(main)
