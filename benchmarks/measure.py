"""Not a benchmark itself but what all of them share: programs with a CPU account, rounds, the machine, tables, JSON."""

import contextlib
import ctypes
import datetime
import json
import os
import platform
import re
import select
import shutil
import socket
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build", "benchmarks")
sys.path.insert(0, os.path.join(ROOT, "testing"))

from processes import clean_environment, end, wait_for_port  # noqa: E402


class Failed(Exception):
    """The run is worth nothing: a program failed, or what arrived was wrong."""


class Program:
    """A process of ours: ended by its pid at the end of a `with` block, its output in the file `log`."""

    def __init__(self, command, log, folder=None):
        self.command, self.log = list(command), log
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=folder,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.pidfd = os.pidfd_open(self.process.pid)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.returncode is None:
            self.process.terminate()
            self.ended(10)
        end(self.process)
        os.close(self.pidfd)

    def cpu(self):
        """CPU seconds so far, all threads, to the nanosecond; valid until finish() or the end of the block."""
        return time.clock_gettime(~self.process.pid << 3 | 2)  # what clock_getcpuclockid(3) makes of a pid

    def port(self):
        """The port it listens on, as soon as it does. Nothing connects to find out."""
        try:
            return wait_for_port(self.process)
        except AssertionError as error:
            raise self.failure(str(error)) from None

    def ended(self, seconds):
        """Waits for its end, and leaves it to be collected, so that cpu() still works; False when time is up."""
        return bool(select.select([self.pidfd], [], [], seconds)[0])

    def finish(self, seconds):
        """Its end within `seconds`, with exit code 0; returns the CPU seconds that it took."""
        if not self.ended(seconds):
            raise self.failure(f"still running after {seconds:g} s")
        taken = self.cpu()
        if self.process.wait():
            raise self.failure(f"exit code {self.process.returncode}")
        return taken

    def failure(self, what):
        with open(self.log, errors="replace") as f:
            said = f.read()[-2000:].strip()
        return Failed("{}: {}\n{}".format(" ".join(self.command), what, said))


def interleaved(rounds, contenders):
    """(round, contender): every contender once a round, odd rounds backwards, so that drift favours none."""
    for number in range(rounds):
        for contender in contenders if number % 2 == 0 else contenders[::-1]:
            yield number, contender


def summary(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratio(values, reference):
    """The median of the ratios within each round."""
    return statistics.median(a / b for a, b in zip(values, reference))


def target(row, what, values, wanted, higher=True):
    """A promise and what came of it: `values` has one figure a round, mostly a ratio within that round."""
    figures = summary(values)
    met = figures["median"] >= wanted if higher else figures["median"] <= wanted
    return {"row": row, "what": what, "wanted": wanted, "higher": higher, "met": met, **figures}


def print_targets(targets):
    rows = [["target", "wanted", "median", "min", "max", "met"]]
    for line in targets:
        figures = [f"{line[key]:.3g}" for key in ("median", "min", "max")]
        wanted = "{} {:g}".format("≥" if line["higher"] else "≤", line["wanted"])
        rows.append([f"{line['row']}: {line['what']}", wanted, *figures, "yes" if line["met"] else "NO"])
    print_table(rows)


def busy_cpu():
    """CPU seconds that the whole machine has worked since it started."""
    with open("/proc/stat") as f:
        user, nice, system, _, _, irq, softirq = (int(field) for field in f.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def version(*command):
    """The version number that a program prints; "" if there is none."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        printed = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=10
        ).stdout.decode(errors="replace")
        return next(iter(re.findall(r"\d+(?:\.\d+)+", printed)), "")
    return ""


def machine():
    with open("/proc/cpuinfo") as f:
        model = next(
            (line.partition(":")[2].strip() for line in f if line.startswith("model name")), platform.machine()
        )
    return {
        "cpu": model,
        "cpus": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def congestion_control():
    """The algorithm that a connection over loopback really gets."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode()


def enter_own_network(algorithm):
    """Moves this process, and what it starts from now on, into a network of its own with that congestion
    control, so that nothing else on the machine changes. Needs root."""
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):  # CLONE_NEWNET
        raise Failed("--cc needs root: " + os.strerror(ctypes.get_errno()))
    # A route takes any algorithm that is there, the sysctl only those that are "allowed".
    route = "local 127.0.0.1 dev lo table local proto kernel scope host src 127.0.0.1 congctl " + algorithm
    for command in ("ip link set lo up", "ip route replace " + route):
        subprocess.run(command.split(), check=True)
    if congestion_control() != algorithm:
        raise Failed(f"asked for {algorithm}, got {congestion_control()}")


def free_port():
    """For programs that cannot pick one themselves; free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def missing(programs):
    os.environ["PATH"] += os.pathsep + "/usr/sbin"  # where Debian keeps nginx
    return sorted(program for program in programs if not shutil.which(program))


def install(packages):
    """With apt, as root."""
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
        print("apt-get " + " ".join(command), file=sys.stderr, flush=True)
        subprocess.run(["apt-get", *command], env=environment, stdout=sys.stderr, check=True)


def compile_c(source):
    """Into build/benchmarks, under the name of the source."""
    os.makedirs(BUILD, exist_ok=True)
    target = os.path.join(BUILD, os.path.splitext(os.path.basename(source))[0])
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-o", target, source], check=True)


def size_text(number):
    """1024 as 1 KiB."""
    units = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B"))
    factor, unit = next(one for one in units if number >= one[0])
    return f"{number / factor:.3g} {unit}"


def run_script(main):
    """What a suite does when it is run: what made it worthless is its last word."""
    try:
        main()
    except (Failed, AssertionError, RuntimeError, subprocess.CalledProcessError) as error:
        sys.exit(f"{os.path.basename(sys.argv[0])}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def print_table(rows):
    """Rows of texts, the first one is the heading; the first column to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        print(
            "| "
            + " | ".join(
                cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths))
            )
            + " |"
        )
        if number == 0:
            print("|" + "|".join("-" * (width + 1) + (":" if i else "-") for i, width in enumerate(widths)) + "|")


def write_json(path, report):
    with open(path, "w") as f:
        json.dump(report, f, indent=1, ensure_ascii=False)
        f.write("\n")
