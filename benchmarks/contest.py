"""Not a benchmark itself but what rpc.py and python_rpc.py share: a server and a client for each contender, started anew for
each measurement, round after round; what a call took and cost; tables and JSON."""

import argparse
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import measure
from measure import Failed, Program
from processes import listening_port, program_path, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = os.path.join(measure.BUILD, "programs")


@dataclasses.dataclass(frozen=True)
class Contender:
    """Two commands; words in braces are filled in. `needs`: what has to be there, below PROGRAMS or as a Python module."""

    key: str
    title: str
    server: tuple
    client: tuple
    needs: tuple = ()


@dataclasses.dataclass(frozen=True)
class Case:
    """`server_on` and `client_on`: the CPU that they are pinned to; "": any. `row`: what it is a point of, if not alone."""

    key: str
    title: str
    contenders: tuple
    connections: int = 1
    in_flight: int = 1
    body: int = 32
    server_on: str = ""
    client_on: str = ""
    row: str = ""

    def flags(self, seconds, warm):
        values = {
            "connections": self.connections,
            "in-flight": self.in_flight,
            "body": self.body,
            "seconds": seconds,
            "warm": warm,
        }
        return [word for key, value in values.items() for word in ("--" + key, str(value))]


def pinned(cpu, command):
    return ["taskset", "-c", cpu, *command] if cpu else list(command)


def port_of(server):
    """Where it listens. gRPC listens for IPv6 too and says on which port, the others can be looked at."""

    def look():
        if server.process.poll() is not None:
            raise server.failure(f"ended with {server.process.returncode} before it listened")
        with open(server.log, errors="replace") as log:
            said = re.search(r"^port (\d+)$", log.read(), re.MULTILINE)
        return int(said[1]) if said else listening_port(server.process.pid)

    return wait_until(look, f"{server.command} listens")


def spoken(program):
    """What a client printed last, one line of JSON."""
    with open(program.log) as log:
        lines = log.read().split("\n")
    try:
        return json.loads(lines[-2])
    except (IndexError, ValueError):
        raise program.failure("printed no figures") from None


class Contest:
    """Runs cases; a contender that fails is out of that case, and the whole run ends with exit code 1."""

    def __init__(self, scratch, seconds, warm, values):
        self.scratch, self.seconds, self.warm, self.values = scratch, seconds, warm, values
        self.failures = []

    def command(self, words, **more):
        return [word.format(**self.values, **more) for word in words]

    def log(self, name):
        """A fresh one, as ports and figures are read from it."""
        path = os.path.join(self.scratch, name)
        open(path, "w").close()
        return path

    def server(self, contender, cpu="", before=()):
        command = [*before, *self.command(contender.server)]
        return Program(pinned(cpu, command), self.log(contender.key + ".server"))

    def client(self, contender, case, port, cpu="", seconds=None):
        flags = ["--port", str(port), *case.flags(seconds or self.seconds, self.warm)]
        command = [*self.command(contender.client), *flags]
        return Program(pinned(cpu, command), self.log(contender.key + ".client"))

    def one(self, case, contender):
        """One measurement, as a dict of figures."""
        with self.server(contender, case.server_on) as server:
            port = port_of(server)
            cpu, busy, began = server.cpu(), measure.busy_cpu(), time.monotonic()
            with self.client(contender, case, port, case.client_on) as client:
                client_cpu = client.finish(30 + 4 * self.seconds)
                wall, server_cpu = time.monotonic() - began, server.cpu() - cpu
                others = max(0.0, (measure.busy_cpu() - busy - client_cpu - server_cpu) / wall)
                said = spoken(client)
        return {
            "calls_per_second": said["calls_per_second"],
            "bytes_per_second": said["calls_per_second"] * case.body,
            "p50_us": said["p50_us"],
            "p99_us": said["p99_us"],
            "server_cpu_us": server_cpu / said["calls_total"] * 1e6,
            "client_cpu_us": said.get("client_cpu_us", client_cpu / said["calls_total"] * 1e6),
            "other_cpus": others,
        }

    def rounds(self, case, contenders, rounds, measurement=None):
        """{contender's key: its figures, round after round} of one case."""
        results = {contender.key: [] for contender in contenders}
        for number, contender in measure.interleaved(rounds, contenders):
            if contender.key not in results:
                continue
            try:
                figures = (measurement or self.one)(case, contender)
            except (Failed, AssertionError, OSError, subprocess.SubprocessError) as failure:
                del results[contender.key]
                self.failures.append(f"{case.key}, {contender.key}: {failure}")
                print("FAILED " + self.failures[-1], file=sys.stderr, flush=True)
                continue
            results[contender.key].append(figures)
            shown = next(iter(figures.items()))
            print(
                f"{number + 1}/{rounds}  {case.key:18} {contender.key:20} {shown[0]} {shown[1]:,.1f}", file=sys.stderr
            )
        return results


def column(results, key, figure="calls_per_second"):
    return [figures[figure] for figures in results.get(key, [])]


def ratios(results, key, reference, figure="calls_per_second"):
    """Within each round; [] when one of the two is not there."""
    return [a / b for a, b in zip(column(results, key, figure), column(results, reference, figure))]


def rows(case, contenders, results):
    """One dict for each contender that was measured, the fastest first."""
    made = []
    for contender in contenders:
        figures = results.get(contender.key)
        if figures:
            made.append({"case": case.row or case.key, "contender": contender.key, "title": contender.title})
            made[-1].update(connections=case.connections, in_flight=case.in_flight, body=case.body, rounds=figures)
            if case.row:
                made[-1]["title"] = f"{case.title}, {contender.title}"
            made[-1].update({key: measure.summary(column(results, contender.key, key)) for key in figures[0]})
    return sorted(made, key=lambda row: -row.get("calls_per_second", {"median": 0})["median"])


def show(made):
    """A table of one case."""
    large = made[0]["body"] > 4096
    rate, unit = ("bytes_per_second", 1e9) if large else ("calls_per_second", 1)
    heading = (
        "",
        "GB/s" if large else "calls/s",
        "min-max",
        "p50 µs",
        "p99 µs",
        "server µs",
        "client µs",
        "other CPUs",
    )
    lines = [heading]
    for row in made:
        form = "{:.2f}" if large else "{:,.0f}"
        low, middle, high = (form.format(row[rate][key] / unit) for key in ("min", "median", "max"))
        figures = ("p50_us", "p99_us", "server_cpu_us", "client_cpu_us")
        cells = ["{:.{}f}".format(row[key]["median"], 1 if row[key]["median"] >= 10 else 2) for key in figures]
        others = "{:.2f}".format(row["other_cpus"]["median"])
        lines.append((row["title"], middle, f"{low}-{high}", *cells, others))
    measure.print_table(lines)


def available(contenders, has):
    """The contenders that can run here, and what each of the others lacks."""
    lacking = {c.key: [need for need in c.needs if not has(need)] for c in contenders}
    skipped = {key: "not installed: " + ", ".join(needs) for key, needs in lacking.items() if needs}
    return [c for c in contenders if c.key not in skipped], skipped


def build_programs():
    """With CMake, into build/benchmarks/programs. A contender whose library is missing is left out."""
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    for step in (
        ["cmake", *generator, "-S", os.path.join(HERE, "programs"), "-B", PROGRAMS],
        ["cmake", "--build", PROGRAMS, "--parallel", str(os.cpu_count())],
    ):
        done = subprocess.run(step, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in done.stdout.splitlines():
            if "not installed" in line:
                print(line.lstrip("- "), file=sys.stderr)
        if done.returncode:
            raise Failed("{}\n{}".format(" ".join(step), done.stdout[-4000:]))


def load_program():
    """framecall's own clients as a program, which ./dev builds."""
    return os.environ.get("FRAMECALL_LOAD") or os.path.join(measure.ROOT, "build", "release", "bin", "framecall_load")


def arguments(description, cases, contenders, rounds=10):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, help=f"default: {rounds}")
    parser.add_argument("--seconds", type=float, help="of each measurement (default: 1)")
    parser.add_argument("--quick", action="store_true", help="one short round: does everything work?")
    parser.add_argument("--cases", default="", help="comma-separated: " + " ".join(cases))
    parser.add_argument("--only", default="", help="contenders, comma-separated: " + " ".join(contenders))
    parser.add_argument("--cc", default="", help="congestion control, in a network namespace of its own (root)")
    parser.add_argument("--json", default="", help="write everything that was measured to this file")
    parser.add_argument("--build", action="store_true", help="build the programs, and stop")
    args = parser.parse_args()
    args.rounds = args.rounds or (1 if args.quick else rounds)
    args.seconds = args.seconds or (0.2 if args.quick else 1.0)
    args.warm = 0.05 if args.quick else 0.3
    for name, known in (("cases", cases), ("only", contenders)):
        wanted = set(getattr(args, name).split(",")) - {""}
        if wanted - set(known):
            parser.error("there is no " + ", ".join(sorted(wanted - set(known))))
        setattr(args, name, wanted or set(known))
    return args


def run(suite, args, has, cases, contenders, measured, judge, versions):
    """A whole suite: builds, measures, prints, writes. `measured(contest, case, contenders)` gives the figures of a case,
    `judge(results)` the targets of {case's key: figures}."""
    started = measure.now()
    build_programs()
    if args.build:
        return
    if args.cc:
        measure.enter_own_network(args.cc)
    asked = {key for case in cases if case.key in args.cases for key in case.contenders} & args.only
    chosen, skipped = available([c for c in contenders if c.key in asked], has)
    report = {
        "suite": suite,
        "when": started,
        "rounds_wanted": args.rounds,
        "seconds": args.seconds,
        "machine": measure.machine(),
        "versions": versions,
        "congestion_control": measure.congestion_control(),
        "skipped": skipped,
        "rows": [],
    }
    values = {"programs": PROGRAMS, "here": HERE, "python": sys.executable, "load": load_program()}
    values["framecall"] = program_path()
    results = {}
    with tempfile.TemporaryDirectory(prefix="framecall-bench-") as scratch:
        contest = Contest(scratch, args.seconds, args.warm, values)
        for case in (case for case in cases if case.key in args.cases):
            taking_part = [c for c in chosen if c.key in case.contenders]
            results[case.key] = measured(contest, case, taking_part)
            report["rows"] += rows(case, taking_part, results[case.key])
    report["targets"] = judge(results)
    report["failures"] = contest.failures
    present(report, cases)
    if args.json:
        measure.write_json(args.json, report)
    if contest.failures:
        raise Failed(f"failed: {len(contest.failures)}, see above")


def present(report, cases):
    print(
        "Loopback TCP, {congestion_control}, {rounds_wanted} rounds; medians; µs are CPU time for a call".format(
            **report
        )
    )
    named = ", ".join(f"{name} {number}" for name, number in report["versions"].items() if number)
    print("{cpu}, {cpus} CPUs, Linux {kernel}, load {load}; Python {python}, {0}".format(named, **report["machine"]))
    titles = {case.row or case.key: case.row.replace("-", " ") or case.title for case in cases}
    for key, title in titles.items():
        made = [row for row in report["rows"] if row["case"] == key]
        if made:
            print(f"\n{title}")
            (show if "server_cpu_us" in made[0] else show_others)(made)
    for key, reason in report["skipped"].items():
        print(f"{key}: {reason}")
    if report["targets"]:
        print("\nTargets: ratios within a round")
        measure.print_targets(report["targets"])


def show_others(made):
    """A case with figures of its own."""
    keys = list(made[0]["rounds"][0])
    lines = [("", *(key.replace("_", " ").replace("kib", "KiB").replace("mib", "MiB") for key in keys))]
    for row in made:
        medians = [row[key]["median"] for key in keys]
        lines.append((row["title"], *("{:,.{}f}".format(x, 2 if x < 1000 else 0) for x in medians)))
    measure.print_table(lines)
