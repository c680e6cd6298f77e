"""Servers under attack: starting them with limits on what a runaway could take, the attackers beside them, what the server
holds, and how long its other callers wait. Figures are printed, and appended to $FRAMECALL_FIGURES if that is set."""
import contextlib
import json
import os
import re
import resource
import select
import socket
import subprocess
import sys
import threading
import time

from peers import connect
from processes import PATIENCE, Server, clean_environment, end, wait_until
import attacks

HERE = os.path.dirname(os.path.abspath(__file__))
MIB = 1 << 20
ADDRESS_SPACE = 4 << 30  # of a server under attack
RUNAWAY = 1536 * MIB  # resident; then it is killed, and the test fails


def figure(text, *values):
    """Notes what was measured."""
    line = "%s: %s" % (os.environ.get("PYTEST_CURRENT_TEST", "").split(" ")[0].rpartition("::")[2], text % values)
    print(line)
    if "FRAMECALL_FIGURES" in os.environ:
        with open(os.environ["FRAMECALL_FIGURES"], "a") as file:
            file.write(line + "\n")


def limited():
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class PythonServer(Server):
    """python_server.py as a process; `program` is the interpreter, and keywords take the place of flags."""

    def command(self, program, flags, listen):
        return [program, "-u", os.path.join(HERE, "python_server.py"), self.root, json.dumps(dict(flags))]


def status(pid, key):
    """VmRSS, VmHWM, Threads ... of /proc, in bytes or as a number; None once the process has ended."""
    with contextlib.suppress(OSError):
        with open("/proc/%d/status" % pid) as file:
            match = re.search(r"^%s:\s+(\d+)( kB)?" % key, file.read(), re.MULTILINE)
        if match:
            return int(match.group(1)) * (1024 if match.group(2) else 1)
    return None


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


@contextlib.contextmanager
def guarded(server):
    """Kills the server when it holds more than RUNAWAY."""
    over = threading.Event()

    def look():
        while not over.wait(0.02):
            if (status(server.process.pid, "VmRSS") or 0) > RUNAWAY:
                server.process.kill()
                return

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(PATIENCE)


@contextlib.contextmanager
def attack(name, port, **parameters):
    """attacks.py as a process, under way inside the block. Its CPU time is not the server's: it gives way."""
    command = [sys.executable, os.path.join(HERE, "attacks.py"), name, str(port)]
    command += ["%s=%s" % item for item in parameters.items()]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment(),
                               preexec_fn=lambda: os.nice(5))
    try:
        ready = select.select([process.stdout], [], [], 60)[0]
        assert ready and process.stdout.readline() == b"under way\n", "the attack %s did not begin" % name
        yield process
    finally:
        end(process)


def steady_memory(pid, seconds=0.5):
    """Waits until the process has not grown for `seconds`, and returns the most that it held, VmHWM."""
    seen, since = 0, time.monotonic()

    def look():
        nonlocal seen, since
        now = status(pid, "VmHWM") or 0
        if now > seen + 256 * 1024:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > seconds

    wait_until(look, "the server does not grow any more")
    return status(pid, "VmHWM")


class Neighbour:
    """A caller who does no harm, with one connection: how long does he wait?"""

    def __init__(self, port, patience=20):
        self.port = port
        self.sock = connect(port)
        self.sock.settimeout(patience)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.sock.makefile("rb")
        self.number = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.sock.close()

    def request(self, method, params=None, body=b"", **keys):
        """The reply's header and body."""
        self.number += 1
        if body:
            keys["body_size"] = len(body)
        self.sock.sendall(attacks.call(self.number, method, params, **keys) + body)
        while True:
            header, body = self.read()
            if header.get("id") == self.number:
                return header, body

    def read(self):
        prefix = self.stream.read(4)
        assert len(prefix) == 4, "the connection ended"
        size = int.from_bytes(prefix, "little")
        text = self.stream.read(size)
        assert len(text) == size, "the connection ended"
        header = json.loads(text.decode())
        body = self.stream.read(header.get("body_size", 0))
        assert len(body) == header.get("body_size", 0), "the connection ended"
        return header, body

    def wait(self, method, params=None):
        """Seconds until the answer, which must be a result; the patience, if it does not come."""
        began = time.monotonic()
        try:
            header, _ = self.request(method, params)
        except OSError as error:
            assert "timed out" in str(error), error
            return time.monotonic() - began
        assert "error" not in header, header
        return time.monotonic() - began


CALLS = {"rpc.ping": None, "file.stat": {"name": "small"}, "add": [1, 2]}


def percentile(values, share=0.99):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def waits(neighbours, seconds=1.5):
    """p99 of each call in milliseconds; `neighbours`: method -> Neighbour."""
    found = {method: [] for method in neighbours}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for method, neighbour in neighbours.items():
            found[method].append(neighbour.wait(method, CALLS[method]))
            if found[method][-1] > 5:  # bad enough, and the connection may have given up
                return {name: percentile(values or [20]) * 1000 for name, values in found.items()}
        time.sleep(0.002)  # the pace of the calls
    return {method: percentile(values) * 1000 for method, values in found.items()}


def still_serves(server):
    """A new connection gets its answer."""
    assert server.process.poll() is None, "the server has ended with %s; its log:\n%s" % (
        server.process.returncode, server.log()[-3000:])
    with Neighbour(server.port) as neighbour:
        assert neighbour.request("rpc.ping")[0]["result"] == "pong"
