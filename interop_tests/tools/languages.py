"""The peers of peers/languages/: finding each language's tools, compiling what needs it, starting servers, running clients.

Every client takes `HOST PORT CASE...`, and prints a line for each case; every server takes its folder from $ROOT, and
prints `listening tcp 127.0.0.1:PORT`. CLIENTS and SERVERS below are the lists of them: a new peer is one entry.
"""
import contextlib
import fcntl
import functools
import hashlib
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time

from processes import INTEROP, PATIENCE, clean_environment, end, find_pythons, program_path

SOURCES = os.path.join(INTEROP, "peers", "languages")
CASES = ["upper", "add", "unicode", "big", "error", "stream", "upload", "get"]
COMPILE_PATIENCE = 10 * PATIENCE  # Go compiles its library first


class Missing(Exception):
    """A peer cannot run here; the text says what is not there."""


def pattern(size):
    """The bytes that every client sends in the cases big and upload, except for those that say otherwise."""
    return bytes((i ^ i >> 8 ^ i >> 16) & 255 for i in range(size))


UPLOADED = pattern(100000)
SHARED = hashlib.shake_128(b"shared.bin").digest(300001)


@functools.lru_cache(maxsize=None)
def client_environment():
    """What the clients compare shared.bin with: SHA-256, or size and FNV-1a where a library has no SHA-256."""
    fnv = 0xcbf29ce484222325
    for byte in SHARED:
        fnv = (fnv ^ byte) * 0x100000001b3 % (1 << 64)
    return dict(clean_environment(), SHARED_SHA256=hashlib.sha256(SHARED).hexdigest(), SHARED_SIZE=str(len(SHARED)),
                SHARED_FNV1A="%016x" % fnv, FRAMECALL_PROGRAM=program_path())


# ---- tools

class Tool:
    """A program on PATH, new enough."""

    def __init__(self, name, arguments, pattern, oldest):
        self.name, self.arguments, self.pattern, self.oldest = name, arguments, pattern, oldest
        self.found = None

    def find(self):
        """(path, version); Missing if it is not there, or too old."""
        if self.found is None:
            self.found = self.look()
        return self.found

    def look(self):
        path = shutil.which(self.name)
        if path is None:
            raise Missing("no %s on PATH" % self.name)
        result = subprocess.run([path, *self.arguments], env=clean_environment(), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
        output = result.stdout.decode(errors="replace")
        match = re.search(self.pattern, output)
        if not match:  # a stub that tells how to install it, perhaps
            raise Missing("%s %s says no version but %.100r" % (path, " ".join(self.arguments), output))
        numbers = [int(number) for number in match.group(1).split(".")]
        if numbers < self.oldest:
            raise Missing("%s is %s, and %s is needed" % (path, match.group(1), ".".join(map(str, self.oldest))))
        return path, match.group(1)


NODE = Tool("node", ["--version"], r"v(\d+\.\d+\.\d+)", [18])
GO = Tool("go", ["version"], r"go(\d+\.\d+(?:\.\d+)?)", [1, 19])
JAVA = Tool("java", ["--version"], r"(?m)^\S+ (\d+[.\d]*)", [17])
JAVAC = Tool("javac", ["--version"], r"javac (\d+[.\d]*)", [17])
RUSTC = Tool("rustc", ["--version"], r"rustc (\d+\.\d+\.\d+)", [1, 58])
GCC = Tool("gcc", ["-dumpfullversion"], r"(\d+\.\d+\.\d+)", [7])
PERL = Tool("perl", ["-e", "printf 'v%vd', $^V"], r"v(\d+\.\d+\.\d+)", [5, 14])
BASENC = Tool("basenc", ["--version"], r"(\d+\.\d+)", [8, 31])
BASH = Tool("bash", ["--version"], r"version (\d+\.\d+\.\d+)", [4, 4])


def source(name):
    return os.path.join(SOURCES, name)


def edge_python(which):
    """(path, version) of the newest CPython found, or of 2.7."""
    found = find_pythons()
    if which == "newest":
        return found[-1][1], found[-1][0][2:]
    if not found[0][0].startswith("py2.7"):
        raise Missing("no CPython 2.7 found")
    return found[0][1], found[0][0][2:]


def cpp_program(name):
    """A program that is built beside the one under test. In a build tree it has to be there."""
    program = os.path.realpath(program_path())
    path = os.path.join(os.path.dirname(program), name)
    if os.access(path, os.X_OK):
        return path
    build = os.path.dirname(os.path.dirname(program))
    if not os.path.exists(os.path.join(build, "CMakeCache.txt")):
        raise Missing("%s is not in a build tree, and there is no %s beside it" % (program, name))
    raise AssertionError("no %s: cmake --build %s --target %s (with -DFRAMECALL_BUILD_TESTS=ON)" % (path, build, name))


@functools.lru_cache(maxsize=None)
@functools.lru_cache(maxsize=None)
def framecall_version():
    result = subprocess.run([program_path(), "--version"], env=clean_environment(), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, check=True, timeout=PATIENCE)
    return result.stdout.decode().split()[-1]


class Builder:
    """Compiles into a folder, each program once, also when several processes share the folder."""

    def __init__(self, folder):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)

    def once(self, name, *command, **environment):
        """The path of what the command makes there; `{out}` in it is that path."""
        path = os.path.join(self.folder, name)
        with open(path + ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.exists(path):
                making = path + ".making"
                command = [argument.replace("{out}", making) for argument in command]
                result = subprocess.run(command, env=dict(clean_environment(), **environment), cwd=SOURCES,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        timeout=COMPILE_PATIENCE)
                assert result.returncode == 0, "%s\n%s" % (" ".join(command), result.stdout.decode(errors="replace"))
                os.rename(making, path)
        return path

    def go(self, *sides):
        # No module, no network, no cache but here.
        return [self.once("go-" + sides[-1], GO.find()[0], "build", "-o", "{out}", *[side + ".go" for side in sides],
                          GO111MODULE="off", GOTOOLCHAIN="local", GOPROXY="off", GOFLAGS="", CGO_ENABLED="0", GOTELEMETRY="off",
                          GOCACHE=os.path.join(self.folder, "go-cache"), GOPATH=os.path.join(self.folder, "go-path"))]

    def java(self, main):
        classes = self.once("java", JAVAC.find()[0], "-Xlint:all,-serial", "-Werror", "-d", "{out}", "Client.java",
                            "Server.java", "Vectors.java", "Wire.java")
        return [JAVA.find()[0], "-cp", classes, main]

    def rust(self, name="client"):
        return [self.once("rust-" + name, RUSTC.find()[0], "--edition", "2021", "-O", "-o", "{out}", name + ".rs")]

    def c(self, name="client"):
        return [self.once("c-" + name, GCC.find()[0], "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", "{out}",
                          name + ".c")]


# ---- the peers

class Peer:
    """`command(builder)` begins the command line, or raises Missing; `version()` is for people. `upload`: the name that a
    client gives to the file that it sends."""

    def __init__(self, key, title, command, version, upload=None):
        self.key, self.title, self.command, self.version = key, title, command, version
        self.upload = "upload-%s.bin" % (upload or key)


def script(tool, name):
    return lambda builder: [tool.find()[0], source(name)]


def version_of(tool):
    return lambda: "%s %s" % (tool.name, tool.find()[1])


def python_script(which, name):
    return lambda builder: [edge_python(which)[0], source(name)]


def python_version(which):
    return lambda: "CPython " + edge_python(which)[1]


def package_script(name, *arguments):
    return lambda builder: [sys.executable, source(name), *arguments]


def package_version():
    return "framecall %s, CPython %s" % (framecall_version(), sys.version.split()[0])


def library_version():
    return "framecall " + framecall_version()


CLIENTS = [
    Peer("cpp_blocking", "C++, blocking", lambda builder: [cpp_program("cases_client"), "blocking"], library_version),
    Peer("cpp_async", "C++, async", lambda builder: [cpp_program("cases_client"), "async"], library_version),
    Peer("package_blocking", "Python, blocking", package_script("framecall_client.py"),
         package_version),
    Peer("package_asyncio", "Python, asyncio",
         package_script("framecall_client.py", "--asyncio"),
         package_version),
    Peer("command_line", "command line", script(BASH, "command_line.sh"), library_version),
    Peer("python27", "plain Python 2.7", python_script("2.7", "client.py"), python_version("2.7"), "python"),
    Peer("python", "plain Python", python_script("newest", "client.py"), python_version("newest")),
    Peer("javascript", "JavaScript", script(NODE, "client.js"), version_of(NODE)),
    Peer("go", "Go", lambda builder: builder.go("client"), version_of(GO)),
    Peer("java", "Java", lambda builder: builder.java("Client"), version_of(JAVA)),
    Peer("rust", "Rust", lambda builder: builder.rust(), version_of(RUSTC)),
    Peer("c", "C", lambda builder: builder.c(), version_of(GCC)),
    Peer("perl", "Perl", script(PERL, "client.pl"), version_of(PERL)),
    Peer("bash", "bash", script(BASH, "client.sh"), version_of(BASH)),
]
SERVERS = [
    Peer("cpp", "C++", lambda builder: [cpp_program("rpc_server")], library_version),
    Peer("package", "Python", package_script("framecall_server.py"),
         package_version),
    Peer("python", "plain Python", python_script("newest", "server.py"), python_version("newest")),
    Peer("javascript", "JavaScript", script(NODE, "server.js"), version_of(NODE)),
    Peer("go", "Go", lambda builder: builder.go("server"), version_of(GO)),
    Peer("java", "Java", lambda builder: builder.java("Server"), version_of(JAVA)),
]
# What reads vectors.json with the framing of the client of that key, and takes the path of the file.
VECTORS = {
    "python27": python_script("2.7", "vectors.py"),
    "python": python_script("newest", "vectors.py"),
    "javascript": script(NODE, "vectors.js"),
    "go": lambda builder: builder.go("client", "vectors"),
    "java": lambda builder: builder.java("Vectors"),
    "rust": lambda builder: builder.rust("vectors"),
    "c": lambda builder: builder.c("vectors"),
    "perl": script(PERL, "vectors.pl"),
    "bash": lambda builder: [BASENC.find() and BASH.find()[0], source("vectors.sh")],
}


def by_key(peers, key):
    return next(peer for peer in peers if peer.key == key)


class Server:
    """A running server with a folder of its own, which has shared.bin."""

    def __init__(self, key, command, root):
        self.key, self.command, self.root = key, command, str(root)
        os.makedirs(self.root, exist_ok=True)
        with open(os.path.join(self.root, "shared.bin"), "wb") as shared:
            shared.write(SHARED)
        self.log_path = self.root + ".log"
        if key == "cpp":
            command = [*command, "--root", self.root]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, env=dict(clean_environment(), ROOT=self.root), stderr=log,
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            self.port = self.read_port()
        except BaseException:
            end(self.process)
            raise

    def read_port(self):
        text, deadline = b"", time.monotonic() + PATIENCE
        while not text.endswith(b"\n"):
            ready = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))[0]
            piece = os.read(self.process.stdout.fileno(), 4096) if ready else b""
            assert piece, "%s: no line on stdout but %r; stderr:\n%s" % (self.command, text, self.log())
            text += piece
        match = re.fullmatch(r"listening tcp 127\.0\.0\.1:(\d+)\n", text.decode())
        assert match, "stdout of %s: %r" % (self.command, text)
        return int(match.group(1))

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def path(self, name):
        return os.path.join(self.root, name)

    def stop(self):
        """SIGTERM: it has to end with 0, and to have had nothing to say."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(PATIENCE)
        finally:
            end(self.process)
        assert (code, self.log()) == (0, ""), "the %s server ended with %d; stderr:\n%s" % (self.key, code, self.log())


class Peers:
    """All of them, for a while: servers start when they are asked for, and end with the block."""

    def __init__(self, builder, folder):
        self.builder, self.folder, self.servers = builder, str(folder), {}

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        failures = []
        for server in self.servers.values():
            try:
                server.stop()
            except (AssertionError, subprocess.TimeoutExpired) as failure:
                failures.append(str(failure))
        assert not failures, "\n".join(failures)

    def client(self, key):
        """The command line of a client; Missing if it cannot run here."""
        return by_key(CLIENTS, key).command(self.builder)

    def server(self, key):
        """The running server; Missing if it cannot run here."""
        if key not in self.servers:
            command = by_key(SERVERS, key).command(self.builder)
            self.servers[key] = Server(key, command, os.path.join(self.folder, key))
        return self.servers[key]

    def start(self, key, command):
        """One more server, under a name of its own."""
        self.servers[key] = Server(key, command, os.path.join(self.folder, key))
        return self.servers[key]


# ---- running cases

def run_client(command, port, cases, patience=4 * PATIENCE):
    """{case: "" or what was wrong}, one line of output for each; whatever else happens is an AssertionError."""
    command = [*command, "127.0.0.1", str(port), *cases]
    result = subprocess.run(command, env=client_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, timeout=patience)
    output, messages = result.stdout.decode(errors="replace"), result.stderr.decode(errors="replace")
    shown = "%s\nexit code %d\n%s%s" % (" ".join(command), result.returncode, output, messages)
    matches = [re.fullmatch(r"(\S+) (?:ok|failed: (.+))", line) for line in output.splitlines()]
    assert all(matches) and [match.group(1) for match in matches] == list(cases), shown
    outcomes = {match.group(1): match.group(2) or "" for match in matches}
    assert (result.returncode, messages) == (1 if any(outcomes.values()) else 0, ""), shown
    return outcomes


def run_cases(command, upload, server, cases, port=None):
    """The same against a Server, directly or through another port; `upload`, the name of the file that comes with that
    case, has to be there as soon as the client is content."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(server.path(upload))
    outcomes = run_client(command, port or server.port, cases)
    assert server.process.poll() is None, "the %s server ended; stderr:\n%s" % (server.key, server.log())
    if outcomes.get("upload") == "":
        try:
            with open(server.path(upload), "rb") as stored:
                if stored.read() != UPLOADED:
                    outcomes["upload"] = "%s is there with other bytes" % upload
        except FileNotFoundError:
            outcomes["upload"] = "no %s in %s" % (upload, sorted(os.listdir(server.root)))
    return outcomes
