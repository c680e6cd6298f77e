"""Torture, as curl does it: of a small conversation every call of the system and every allocation of the server fails once.

    python3 interop_tests/tests/hostile/torture.py [--python] [--call NAME]... [--error NAME]... [--first N] [--last N] [--trace]

prints a line for each failure that the server did not survive as it should, and a table. Whatever fails, the server lives and
answers a new connection, nothing that it acknowledged is lost, nothing hangs, nothing spins, no connection stays behind, and
on SIGTERM it ends with 0. --trace also prints what the server wrote to stderr, with the stack of the call that failed; build
it with -g1 to have lines in there.
"""
import argparse
import collections
import contextlib
import errno
import hashlib
import json
import mmap
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "testing"))

import attacks  # noqa: E402
import processes  # noqa: E402
import victims  # noqa: E402

SOURCE = os.path.join(HERE, "fail_once.c")
ERRORS = ["EIO", "ENOSPC", "EMFILE", "ENOMEM", "EINTR"]
PATIENCE = 2.5  # seconds for any one step; more is a hang
ROUNDS = 50  # after so many the server is stopped, which has to succeed, and another is started


def calls():
    """The names of fail_once.c, in the order of their numbers from 1 on."""
    with open(SOURCE) as file:
        text = file.read()
    text = text[text.index("#define CALLS(CALL)"):text.index("#define NUMBER")]
    return re.findall(r"CALL\((\w+)\)", text)


def build(folder):
    """The library; None without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang-19")
    if compiler is None:
        return None
    path = os.path.join(folder, "fail_once.so")
    subprocess.run([compiler, "-std=c11", "-O2", "-shared", "-fPIC", "-o", path, SOURCE,
                    "-ldl"], check=True)
    return path


class Control:
    """What both sides have mapped; see struct control."""

    def __init__(self, path):
        with open(path, "wb") as file:
            file.write(bytes(20))
        self.file = open(path, "r+b")
        self.memory = mmap.mmap(self.file.fileno(), 20)
        self.names = calls()

    def arm(self, call, at, error):
        self.memory[4:20] = struct.pack("<IiII", at, error, 0, 0)
        self.memory[0:4] = struct.pack("<I", self.names.index(call) + 1)

    def disarm(self):
        """How often it was called, and whether it failed."""
        self.memory[0:4] = bytes(4)
        return struct.unpack("<II", self.memory[12:20])

    def close(self):
        self.memory.close()
        self.file.close()


class Hang(Exception):
    pass


class Wrong(Exception):
    """An answer that is neither an error nor the right one."""


class Refused(Exception):
    """An error, or the end of the connection: what failed was reported."""


class Caller(victims.Neighbour):
    """One connection; every call is answered, refused, or hangs."""

    def __init__(self, port):
        try:
            super().__init__(port, PATIENCE)
        except OSError as error:
            raise Refused(str(error))

    def result(self, method, params=None, body=b"", **keys):
        header, body = self.guarded(lambda: self.request(method, params, body, **keys))
        if "error" in header:
            raise Refused(header["error"]["message"])
        return header["result"], body

    def guarded(self, step):
        try:
            return step()
        except socket.timeout:
            raise Hang("no answer")
        except (AssertionError, OSError) as error:
            if "timed out" in str(error):
                raise Hang("no answer")
            raise Refused(str(error))
        except ValueError as error:
            raise Wrong("no frame: %s" % error)

    def to_end(self):
        def read():
            data = b""
            while True:
                piece = self.sock.recv(65536)
                if not piece:
                    return data
                data += piece
        return self.guarded(read)


class Conversation:
    """The small conversation; each step on a connection of its own."""

    def __init__(self, server, udp_port, python):
        self.server, self.udp_port, self.python = server, udp_port, python
        self.kept = {}  # name -> content that was acknowledged
        self.round = 0

    def content(self, name, size=70000):
        return hashlib.shake_128(name.encode()).digest(size)

    def steps(self):
        steps = [self.upload, self.put, self.get, self.list, self.talk, self.datagram, self.refusal, self.cut_off,
                 self.remove]
        return steps + [self.stream, self.cancel] if self.python else steps

    def run(self):
        """Every step, whatever becomes of the others; what went wrong."""
        self.round += 1
        wrong = []
        for step in self.steps():
            try:
                step()
            except Refused:
                pass
            except Hang as problem:
                wrong.append("hang: %s: %s" % (step.__name__, problem))
            except Wrong as problem:
                wrong.append("wrong: %s: %s" % (step.__name__, problem))
        return wrong

    def name(self, kind):
        return "%s %d" % (kind, self.round % 3)

    def upload(self):
        name = self.name("upload")
        body = self.content("%s of round %d" % (name, self.round))
        self.kept.pop(name, None)
        with Caller(self.server.port) as caller:
            caller.guarded(lambda: caller.sock.sendall(attacks.frame({"file_name": name, "file_size": len(body)}, body)))
            caller.guarded(lambda: caller.sock.shutdown(socket.SHUT_WR))
            answer = caller.to_end()
        if not answer:
            self.kept[name] = body  # an end without an error is the confirmation; a reset is none

    def put(self):
        name = self.name("put")
        body = self.content("%s of round %d" % (name, self.round))
        self.kept.pop(name, None)
        with Caller(self.server.port) as caller:
            params = {"name": name, "size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
            try:
                caller.result("file.put", params, body)
                self.kept[name] = body
            except Refused:  # is there a part? then go on with it
                with Caller(self.server.port) as again:
                    offset = again.result("file.stat", {"name": name, "partial": True})[0]["offset"]
                    again.result("file.put", dict(params, offset=offset), body[offset:])
                    self.kept[name] = body

    def get(self):
        name = self.name("put")
        with Caller(self.server.port) as caller:
            body = caller.result("file.get", {"name": name})[1]
        if name in self.kept and body != self.kept[name]:
            raise Wrong("another content than was acknowledged")

    def list(self):
        with Caller(self.server.port) as caller:
            result = caller.result("file.list")[0]
        names = {file["name"] for file in result["files"]}
        if not set(self.kept) <= names:
            raise Wrong("%s are missing" % (set(self.kept) - names))

    def talk(self):
        with Caller(self.server.port) as caller:
            for method in ("rpc.ping", "rpc.discover", "rpc.stats", "none"):
                with contextlib.suppress(Refused):
                    caller.result(method)
            if caller.result("echo", {"a": [1, 2]}, b"x" * 100000) != ({"a": [1, 2]}, b"x" * 100000):
                raise Wrong("echo")
            caller.guarded(lambda: caller.sock.sendall(b"".join(attacks.call(n, "echo", [n]) for n in range(100, 130))))
            for _ in range(30):
                header, _ = caller.guarded(caller.read)
                if "result" in header and header["result"] != [header["id"]]:
                    raise Wrong("another's answer")
            if self.python and caller.result("add", [1, 2])[0] != 3:
                raise Wrong("add")

    def datagram(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", self.udp_port))
            sock.settimeout(0.3)
            for _ in range(3):  # they may be lost
                with contextlib.suppress(OSError):
                    sock.send(attacks.call(7, "rpc.ping"))
                    answer = json.loads(sock.recv(65536)[4:])
                    if answer["id"] != 7 or not ("result" in answer or "error" in answer):
                        raise Wrong("datagram %r" % answer)
                    return
            raise Hang("no datagram comes back")

    def refusal(self):
        with Caller(self.server.port) as caller:
            caller.guarded(lambda: caller.sock.sendall(b"\5\0\0\0hello"))
            caller.to_end()

    def cut_off(self):
        with Caller(self.server.port) as caller:
            caller.guarded(lambda: caller.sock.sendall(
                attacks.call(1, "file.put", {"name": "cut", "size": 100000}, body_size=100000) + bytes(5000)))

    def remove(self):
        name = "put %d" % ((self.round + 1) % 3)
        before = self.kept.pop(name, None)
        with Caller(self.server.port) as caller:
            caller.result("file.remove", {"name": name})
        if os.path.exists(os.path.join(self.server.root, name)):
            raise Wrong("removed, and there; it was kept: %s" % (before is not None))

    def stream(self):
        with Caller(self.server.port) as caller:
            caller.guarded(lambda: caller.sock.sendall(attacks.call(1, "parts", stream=True)))
            header, body = caller.guarded(caller.read)
            if "error" not in header and len(body) != 1 << 20:
                raise Wrong("a part of %d bytes" % len(body))

    def cancel(self):
        with Caller(self.server.port) as caller:
            caller.guarded(lambda: caller.sock.sendall(
                attacks.call(1, "half") + attacks.frame({"method": "rpc.cancel", "params": {"id": 1}})))
            caller.guarded(caller.read)


def start(program, folder, library, python, trace=False):
    control = Control(os.path.join(folder, "control"))
    environment = dict(processes.clean_environment(),
                       LD_PRELOAD=library, FAIL_ONCE=os.path.join(folder, "control"))
    if trace:
        environment["FAIL_ONCE_TRACE"] = "1"
    root, log = os.path.join(folder, "root"), os.path.join(folder, "log")
    if python:
        server = victims.PythonServer(os.environ.get("FRAMECALL_PYTHON", sys.executable), root, log, ("udp", True),
                                      env=environment)
    else:
        server = processes.Server(program, root, log, "--udp", "127.0.0.1:0", "--threads", "1", "--drain-timeout", "3",
                                  env=environment)
    udp_port = [port for kind, port, _ in server.services if kind == "udp"][0]
    conversation = Conversation(server, udp_port, python)
    return server, control, conversation


def with_lines(text):
    """A log with function and line for each frame of a stack, which reads PROGRAM(+0xOFFSET) [ADDRESS]."""
    def named(match):
        found = subprocess.run(["addr2line", "-Cfpi", "-e", match.group(1), match.group(2)], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
        lines = [line for line in found.stdout.decode().splitlines() if "/usr/include/" not in line]
        return "\n".join("    %s" % line[-200:] for line in lines)
    return re.sub(r"^(\S+)\(\+(0x[0-9a-f]+)\)\[0x[0-9a-f]+\]$", named, text, flags=re.MULTILINE)


class Torture:
    """One server after the other, as long as each lives. Its list `problems` has (call, error, number, what)."""

    def __init__(self, program, folder, python=False, trace=False):
        self.program, self.folder, self.python, self.trace = program, folder, python, trace
        self.library = build(folder)
        self.server = None
        self.problems = []
        self.tried = collections.Counter()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.server is not None:
            processes.end(self.server.process)

    def begin(self):
        shutil.rmtree(os.path.join(self.folder, "root"), ignore_errors=True)
        self.server, self.control, self.conversation = start(self.program, self.folder, self.library, self.python,
                                                             self.trace)
        wrong = self.conversation.run() + self.conversation.run() + self.conversation.run()  # the ways are trodden
        assert not wrong, "without any failure: %s" % wrong
        self.used = 0

    def stop(self):
        """With what was wrong about the end."""
        server, self.server = self.server, None
        self.control.close()
        try:
            server.stop(15)
        except AssertionError as failure:
            return [str(failure).splitlines()[0]]
        return []

    def fail(self, call, error, at):
        """Lets the call fail for the `at`-th time; whether it was reached."""
        if self.server is None:
            self.begin()
        begin = len(self.server.log()) if self.trace else 0
        self.control.arm(call, at, getattr(errno, error))
        wrong = self.conversation.run()
        count, failed = self.control.disarm()
        if not failed:
            return False
        self.tried[call, error] += 1
        wrong += self.look()
        self.used += 1
        if any(one.startswith("ended") for one in wrong):  # what hung, hung for that
            wrong = [one for one in wrong if not one.startswith("hang")]
        if wrong and self.trace:
            print(with_lines(self.server.log()[begin:]), flush=True)
        if wrong:
            processes.end(self.server.process)
            self.control.close()
            self.server = None
        elif self.used >= ROUNDS:
            wrong += self.stop()
        for one in wrong:
            self.problems.append((call, error, at, one))
            print("%s %s %d: %s" % self.problems[-1], flush=True)
        return True

    def look(self):
        """The server afterwards."""
        process = self.server.process
        if process.poll() is not None:
            return ["ended"]
        wrong = []
        for name, content in self.conversation.kept.items():
            path = os.path.join(self.server.root, name)
            if not os.path.exists(path) or open(path, "rb").read() != content:
                wrong.append("lost: %s" % name)
        try:
            with Caller(self.server.port) as caller:
                if caller.result("rpc.ping")[0] != "pong":
                    wrong.append("wrong: ping")
                until = time.monotonic() + 3
                while caller.result("rpc.stats")[0]["connections_open"] > 1:
                    if time.monotonic() > until:
                        wrong.append("left: connections of nobody")
                        break
                    time.sleep(0.002)
                before, began = processes.cpu_seconds(process.pid), time.monotonic()
                time.sleep(0.06)  # the time that is measured
                spent = processes.cpu_seconds(process.pid) - before
                if spent > 0.8 * (time.monotonic() - began) and self.spins():
                    wrong.append("spins")
        except (Hang, Refused) as problem:
            refused = "refused" in str(problem)
            wrong.append("ended" if process.poll() is not None or refused else "hang: a new caller: %s" % problem)
        return wrong

    def spins(self):
        """A longer look."""
        before = processes.cpu_seconds(self.server.process.pid)
        time.sleep(0.5)  # the time that is measured
        return processes.cpu_seconds(self.server.process.pid) - before > 0.25

    def all_of(self, call, error, first=1, last=100000):
        for at in range(first, last + 1):
            if not self.fail(call, error, at):
                return at - 1
        return last


def errors_of(call):
    """What a system may answer; for most calls of files and sockets anything."""
    return {"allocation": ["ENOMEM"], "pthread_create": ["EAGAIN"], "epoll_wait": ["EINTR"]}.get(call, ERRORS)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="store_true", help="a server of the package instead of `framecall serve`")
    parser.add_argument("--call", action="append", help="of fail_once.c; all of them")
    parser.add_argument("--error", action="append", help="ENOSPC, ...; %s" % ", ".join(ERRORS))
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--last", type=int, default=100000)
    parser.add_argument("--trace", action="store_true", help="print the stack of each failure that was not survived")
    options = parser.parse_args()
    totals = {}
    with tempfile.TemporaryDirectory() as folder, \
            Torture(processes.program_path(), folder, options.python, options.trace) as torture:
        for call in options.call or calls():
            for error in options.error or errors_of(call):
                before = len(torture.problems)
                torture.all_of(call, error, options.first, options.last)
                found = torture.problems[before:]
                if torture.tried[call, error]:
                    totals[call, error] = (torture.tried[call, error], len({at for _, _, at, _ in found}))
                    print("%-18s %-8s failed %5d times, %4d of them not survived" % ((call, error) + totals[call, error]),
                          flush=True)
        if torture.server is not None:
            print("the end: %s" % (torture.stop() or "0"))
    print("%d failures, %d not survived" % tuple(map(sum, zip(*totals.values()))))
    sys.exit(bool(torture.problems))


if __name__ == "__main__":
    main()
