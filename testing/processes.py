"""Programs as processes: finding Pythons, starting, waiting for real conditions, ending by pid."""
import contextlib
import functools
import glob
import os
import re
import select
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INTEROP = os.path.join(ROOT, "interop_tests")
SCRIPTS = os.path.join(INTEROP, "peers", "scripts")
PATIENCE = float(os.environ.get("FRAMECALL_TEST_PATIENCE", "30"))  # seconds; only a failing test waits so long


def wait_until(condition, what, seconds=PATIENCE):
    """Polls until `condition()` is true and returns its value; fails loudly after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("not within %g s: %s" % (seconds, what))
        time.sleep(0.003)


def clean_environment():
    """The environment for programs under test: UTF-8 everywhere, no leftovers of a virtual environment."""
    drop = ("PYTHON", "FRAMECALL_", "VIRTUAL_ENV", "PYENV_VERSION", "LC_", "LANG")
    env = {key: value for key, value in os.environ.items() if not key.startswith(drop)}
    env.update(LC_ALL="C.UTF-8", PYTHONIOENCODING="utf-8", PYTHONDONTWRITEBYTECODE="1")
    return env


@functools.lru_cache(maxsize=None)
def find_pythons():
    """[(id, executable)] of every CPython on PATH and among pyenv's versions, oldest first."""
    candidates = []
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        with contextlib.suppress(OSError):
            for name in sorted(os.listdir(folder)):
                if re.fullmatch(r"python(\d(\.\d+)?)?", name):
                    candidates.append(os.path.join(folder, name))
    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    candidates += glob.glob(os.path.join(pyenv, "versions", "*", "bin", "python"))
    ask = ("import platform, sys; sys.stdout.write('%s %d.%d.%d %s' % ((platform.python_implementation(),)"
           " + tuple(sys.version_info[:3]) + (sys.executable,)))")
    found, seen = {}, set()
    for candidate in candidates:
        if os.path.realpath(candidate) in seen:
            continue
        seen.add(os.path.realpath(candidate))
        try:
            answer = subprocess.run([candidate, "-c", ask], env=clean_environment(), timeout=PATIENCE,
                                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
        except (OSError, subprocess.TimeoutExpired):
            continue
        match = re.fullmatch(r"CPython (\d+)\.(\d+)\.(\d+) (.+)", answer)
        if match:  # a name that pyenv does not map to a version answers nothing
            version = tuple(int(n) for n in match.groups()[:3])
            found.setdefault(version, os.path.realpath(match.group(4)))
    versions = sorted(version for version in found if version[:2] == (2, 7) or version >= (3, 6))
    minors = [version[:2] for version in versions]
    return [("py" + ".".join(map(str, v if minors.count(v[:2]) > 1 else v[:2])), found[v]) for v in versions]


def program_path():
    """The framecall executable: $FRAMECALL_PROGRAM, the release build, or the one beside this Python."""
    named = os.environ.get("FRAMECALL_PROGRAM")
    choices = [named] if named else [
        os.path.join(ROOT, "build", "release", "bin", "framecall"),
        os.path.join(os.path.dirname(sys.executable), "framecall")]
    for choice in choices:
        if os.access(choice, os.X_OK):
            return os.path.abspath(choice)
    raise RuntimeError("no framecall program; looked for " + ", ".join(choices))


def is_sanitized(program):
    """True for a build with AddressSanitizer or ThreadSanitizer: its memory figures mean nothing."""
    with open(program, "rb") as f:
        content = f.read()
    return b"__asan_init" in content or b"__tsan_init" in content


def start_script(name, *arguments, python=sys.executable, cwd=None, stdin=subprocess.DEVNULL, output=None):
    """Starts SCRIPTS/NAME. `output`: a file object for stdout and stderr together; None discards them."""
    command = [python, "-u", os.path.join(SCRIPTS, name)] + [str(a) for a in arguments]
    return subprocess.Popen(command, cwd=cwd, env=clean_environment(), stdin=stdin,
                            stdout=output or subprocess.DEVNULL, stderr=subprocess.STDOUT)


@contextlib.contextmanager
def script(name, *arguments, **options):
    """start_script() whose process is gone at the end of the block, however it ends."""
    process = start_script(name, *arguments, **options)
    try:
        yield process
    finally:
        end(process)


def end(process):
    """Kills a process of ours, if it still runs, and collects it."""
    if process.poll() is None:
        process.kill()
    process.wait(PATIENCE)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()


def listening_port(pid, kind="tcp"):
    """The port a process listens on (tcp) or is bound to (udp), without touching it; None if none yet."""
    inodes = set()
    with contextlib.suppress(OSError):
        for fd in os.listdir("/proc/%d/fd" % pid):
            with contextlib.suppress(OSError):
                match = re.match(r"socket:\[(\d+)\]", os.readlink("/proc/%d/fd/%s" % (pid, fd)))
                if match:
                    inodes.add(match.group(1))
    with open("/proc/net/" + kind) as table:
        for line in list(table)[1:]:
            fields = line.split()
            if fields[9] in inodes and fields[3] == {"tcp": "0A", "udp": "07"}[kind]:
                return int(fields[1].rpartition(":")[2], 16)
    return None


def wait_for_port(process, kind="tcp"):
    def look():
        assert process.poll() is None, "ended with %s before it listened" % process.returncode
        return listening_port(process.pid, kind)
    return wait_until(look, "process %d listens" % process.pid)


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(pid):
    """VmHWM in bytes, None once the process has ended."""
    with contextlib.suppress(OSError):
        with open("/proc/%d/status" % pid) as f:
            match = re.search(r"^VmHWM:\s+(\d+) kB", f.read(), re.MULTILINE)
        if match:
            return int(match.group(1)) * 1024
    return None


class Server:
    """`framecall serve` on a free port of 127.0.0.1, with a root folder; `listen` None: as the flags say."""

    def __init__(self, program, root, log_path, *flags, listen="127.0.0.1:0", **popen_options):
        self.root = str(root)
        self.log_path = str(log_path)
        os.makedirs(self.root, exist_ok=True)
        command = self.command(program, flags, listen)
        with open(self.log_path, "ab") as log:
            popen_options.setdefault("env", clean_environment())
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                            **popen_options)
        try:
            self.services = self.read_services()
            self.port = self.services[0][1]
        except BaseException:
            end(self.process)
            raise

    def command(self, program, flags, listen):
        command = [program, "serve", "--root", self.root] + [str(f) for f in flags]
        return command + (["--listen", listen] if listen else [])

    def read_services(self):
        """[(tcp or udp, port, what)] of the lines on stdout, which come all at once."""
        text, deadline = b"", time.monotonic() + PATIENCE
        while not text.endswith(b"\n"):
            ready = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))[0]
            piece = os.read(self.process.stdout.fileno(), 4096) if ready else b""
            assert piece, "no line on stdout but %r; its log:\n%s" % (text, self.log())
            text += piece
        lines = [line for line in text.decode().splitlines() if line.startswith("listening ")]
        matches = [re.fullmatch(r"listening (tcp|udp) 127\.0\.0\.1:(\d+) (.+)", line) for line in lines]
        assert matches and all(matches), "stdout: %r" % text
        return [(kind, int(port), what) for kind, port, what in (match.groups() for match in matches)]

    @property
    def address(self):
        return "127.0.0.1:%d" % self.port

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def stop(self, patience=PATIENCE):
        """SIGTERM, and exit code 0 within `patience`."""
        if self.process.returncode is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            end(self.process)
            raise AssertionError("still there %g s after SIGTERM; its log:\n%s" % (patience, self.log()))
        end(self.process)
        assert code == 0, "exit code %d after SIGTERM; its log:\n%s" % (code, self.log())

    def kill(self):
        end(self.process)

    def names(self):
        """What the root folder shows, the private folder left out."""
        return sorted(name for name in os.listdir(self.root) if name != ".framecall")

    def parts(self):
        """Paths below the private folder of files that hold data of uploads."""
        found = []
        for folder, _, files in os.walk(os.path.join(self.root, ".framecall")):
            for name in files:
                path = os.path.join(folder, name)
                with contextlib.suppress(FileNotFoundError):
                    if name != "usage" and os.lstat(path).st_size:
                        found.append(path)
        return found
