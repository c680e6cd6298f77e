"""What a peer can use up or block besides memory and time: descriptors, connections, disk, processes, the server's life."""
import concurrent.futures
import contextlib
import os
import resource
import select
import signal
import socket
import threading
import time

import attacks
import pytest
import victims
from processes import PATIENCE, cpu_seconds, wait_until
from victims import MIB, Neighbour


def sparse(server, name, size):
    with open(os.path.join(server.root, name), "wb") as file:
        file.truncate(size)


# ---- descriptors and connections

def test_downloads_that_nobody_reads_hold_one_file_each(victim, attack):
    server = victim()
    sparse(server, "big", 64 * MIB)
    before = victims.descriptors(server.process.pid)
    with attack("unread_files", server.port, connections=10):
        held = victims.descriptors(server.process.pid) - before
        victims.figure("10 connections hold %d descriptors", held)
        assert held <= 10 * 2 + 8
        victims.still_serves(server)


def no_more_descriptors(pid):
    """Returns the limit as it was."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir("/proc/%d/fd" % pid)) + 1
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, before[1]))
    return before


def test_a_list_is_never_short_for_lack_of_descriptors(victim):
    server = victim()
    for n in range(20):
        sparse(server, "file%d" % n, 1)
    with Neighbour(server.port) as neighbour:
        assert len(neighbour.request("file.list")[0]["result"]["files"]) == 20
        before = no_more_descriptors(server.process.pid)
        for _ in range(5):
            header = neighbour.request("file.list")[0]
            assert "error" in header or len(header["result"]["files"]) == 20, header
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, before)
        assert len(neighbour.request("file.list")[0]["result"]["files"]) == 20


def test_out_of_descriptors_the_server_goes_on(victim):
    server = victim("--quiet")
    sparse(server, "small", 1)
    with Neighbour(server.port) as neighbour:
        neighbour.request("rpc.ping")
        before = no_more_descriptors(server.process.pid)
        waiting = [victims.connect(server.port) for _ in range(5)]  # the system takes them, the server cannot
        for _ in range(20):
            assert neighbour.request("rpc.ping")[0]["result"] == "pong"
        spent = cpu_share(server, 1.0)
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, before)
        for sock in waiting:
            sock.close()
        victims.figure("out of descriptors: %.0f %% of a CPU", spent * 100)
        assert spent < 0.5
    victims.still_serves(server)


def cpu_share(server, seconds):
    """The share of a CPU that an idle server uses."""
    before, began = cpu_seconds(server.process.pid), time.monotonic()
    time.sleep(seconds)  # the time that is measured
    return (cpu_seconds(server.process.pid) - before) / (time.monotonic() - began)


def test_silent_connections_give_way(victim, attack):
    """The limit is reached by connections that say nothing; a new caller gets in."""
    server = victim("--max-connections", "50", "--quiet")

    def gets_in():
        try:
            victims.still_serves(server)
            return True
        except (AssertionError, OSError, KeyError):
            return False

    with attack("silent", server.port, connections=100):
        for _ in range(3):
            wait_until(gets_in, "a caller gets in", 10)


def test_connections_that_work_do_not_give_way(victim, attack):
    server = victim("--max-connections", "20", "--quiet")
    over, answers = threading.Event(), []

    def work():
        with Neighbour(server.port) as neighbour:
            while not over.is_set():
                answers.append(neighbour.request("rpc.ping")[0]["result"])

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        try:
            with attack("silent", server.port, connections=100):
                before = len(answers)
                wait_until(lambda: len(answers) > before + 20 or working.done(), "answers beside the attack")
        finally:
            over.set()
        working.result(PATIENCE)
    assert set(answers) == {"pong"}


@pytest.mark.parametrize("protocols", ["frames", "echo"])
def test_accepted_connections_have_keepalive(victim, protocols):
    """A peer whose machine is gone is noticed: the system asks it, of itself."""
    server = victim("--protocols", protocols)
    with victims.connect(server.port) as sock:
        sock.sendall(b"hello\n" if protocols == "echo" else attacks.call(1, "rpc.ping"))
        assert sock.recv(100)
        local = "%04X" % sock.getsockname()[1]

        def keepalive():
            with open("/proc/net/tcp") as table:
                rows = [line.split() for line in list(table)[1:]]
            return any(row[2].endswith(":" + local) and row[5].startswith("02:") for row in rows)

        wait_until(keepalive, "the server's side has a keepalive timer", 3)


def test_header_timeout_does_not_run_while_the_server_does_not_read(victim):
    """A client pipelines, and takes its time with a long download."""
    server = victim("--header-timeout", "0.5")
    sparse(server, "big", 32 * MIB)
    calls = 3000
    with victims.connect(server.port) as sock:
        sock.setblocking(False)
        text = memoryview(attacks.call(0, "file.get", {"name": "big"}) + b"".join(
            attacks.call(n, "rpc.ping") for n in range(1, calls)))
        until = time.monotonic() + 2.5  # several header_timeouts, without a byte read
        while time.monotonic() < until:
            with contextlib.suppress(BlockingIOError):
                text = text[sock.send(text):]
            time.sleep(0.05)
        sock.setblocking(True)
        sock.settimeout(PATIENCE)
        received = b""
        answers = 0
        stream = sock.makefile("rb")
        while answers < calls:
            if text and select.select([], [sock], [], 0)[1]:
                text = text[sock.send(text[:1000]):]
            prefix = stream.read(4)
            assert len(prefix) == 4, "closed after %d of %d answers, %r" % (answers, calls, received)
            header = stream.read(int.from_bytes(prefix, "little"))
            size = int(header.rpartition(b'"body_size": ')[2].rstrip(b"}")) if b"body_size" in header else 0
            assert len(stream.read(size)) == size
            answers += 1
        stream.close()


# ---- the disk

def disk_use(root):
    total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total


def test_unfinished_uploads_count_for_the_quota(victim, attack):
    server = victim("--quota", "10M", "--quiet")
    with attack("unfinished_puts", server.port, connections=20, size=6 * MIB):
        used = disk_use(server.root)
        victims.figure("20 uploads under way: %.0f MiB on disk, quota 10", used / MIB)
        assert used <= 10 * MIB
    wait_until(lambda: disk_use(server.root) <= 10 * MIB, "what was cut off stays within the quota")
    with attack("unfinished_puts", server.port, connections=20, size=6 * MIB, prefix="other"):
        used = disk_use(server.root)
        victims.figure("parts left and 20 more under way: %.0f MiB on disk, quota 10", used / MIB)
        assert used <= 10 * MIB
    victims.still_serves(server)


def test_a_name_that_is_not_utf8_does_not_hide_the_others(victim):
    server = victim()
    sparse(server, "a", 1)
    sparse(server, "z", 1)
    with open(os.path.join(os.fsencode(server.root), b"m\xff\xfe"), "w"):
        pass
    with Neighbour(server.port) as neighbour:
        header, _ = neighbour.request("file.list")
    assert "error" not in header, header
    names = [file["name"] for file in header["result"]["files"]]
    assert names[0] == "a" and names[-1] == "z", names


def test_read_access_alone(serve, tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a").write_text("old")
    server = serve("--access", "read")
    with Neighbour(server.port) as neighbour:
        assert neighbour.request("file.get", {"name": "a"})[1] == b"old"
        for method, params, body in [("file.put", {"name": "numpy.py", "size": 3}, b"new"),
                                     ("file.put", {"name": "a", "size": 3}, b"new"), ("file.remove", {"name": "a"}, b"")]:
            assert "error" in neighbour.request(method, params, body)[0]
    with victims.connect(server.port) as sock:
        sock.sendall(attacks.frame({"file_name": "numpy.py", "file_size": 3}, b"new"))
        while sock.recv(4096):
            pass
    assert server.names() == ["a"] and (tmp_path / "root" / "a").read_text() == "old"


# ---- processes

def command_server(victim, tmp_path, text, *flags):
    (tmp_path / "commands.toml").write_text(text)
    return victim("--dialect", "lesson-command", "--commands", str(tmp_path / "commands.toml"), "--drain-timeout", "2",
                  *flags)


def children(pid):
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open("/proc/%s/stat" % name) as file:
                fields = file.read().rpartition(")")[2].split()
                if int(fields[1]) == pid and fields[0] != "Z":
                    found.append(int(name))
    return found


def test_a_command_without_an_end_is_cut_off(victim, tmp_path):
    server = command_server(victim, tmp_path, '[endless]\nrun = ["yes"]\n')
    with Neighbour(server.port) as neighbour:
        neighbour.sock.sendall(b"endless\n")
        header, _ = neighbour.read()
        assert header["total_size"] < 20 * MIB
        held = victims.status(server.process.pid, "VmHWM")
        victims.figure("output %.0f MiB, server %.0f MiB", header["total_size"] / MIB, held / MIB)
        assert held < 128 * MIB
        assert not children(server.process.pid)
        assert len(neighbour.stream.read(header["total_size"])) == header["total_size"]


def test_commands_die_with_the_server(victim, tmp_path):
    server = command_server(victim, tmp_path, '[slow]\nrun = ["sleep", "1000"]\n')
    with victims.connect(server.port) as sock:
        sock.sendall(b"slow\n")
        child = wait_until(lambda: children(server.process.pid), "the command runs")[0]
        server.kill()
        wait_until(lambda: not running(child), "the command has ended with its server", 10)


def running(pid):
    with contextlib.suppress(OSError), open("/proc/%d/stat" % pid) as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.parametrize("name", ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGPIPE"])
def test_signals_that_must_not_end_the_server(victim, name):
    server = victim()
    victims.still_serves(server)
    for _ in range(3):
        server.process.send_signal(getattr(signal, name))
        victims.still_serves(server)


# ---- datagrams

@pytest.fixture
def datagram_server(victim):
    server = victim("--udp", "127.0.0.1:0")
    return server, [port for kind, port, _ in server.services if kind == "udp"][0]


@pytest.mark.parametrize("first", [b"hello", b"HELLO", b"", b"\2\0\0\0{}", b"12345\0", attacks.call(1, "none"),
                                   attacks.call(1, "rpc.ping")],
                         ids=["lower", "upper", "empty", "frame", "bytes", "unknown method", "ping"])
def test_two_servers_do_not_answer_each_other_for_ever(victim, first):
    """What either answers is handed to the other, as after one datagram with a forged sender."""
    ports = []
    for _ in range(2):
        server = victim("--udp", "127.0.0.1:0")
        ports.append([port for kind, port, _ in server.services if kind == "udp"][0])
    hands = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in ports]
    with hands[0], hands[1]:
        for hand, port in zip(hands, ports):
            hand.bind((attacks.ATTACKER, 0))
            hand.connect(("127.0.0.1", port))
        hands[0].send(first)
        answers = 0
        while answers < 100:
            ready = select.select(hands, [], [], 0.3)[0]
            if not ready:
                break
            hands[1 - hands.index(ready[0])].send(ready[0].recv(65536))
            answers += 1
    victims.figure("%r: %d answers", first[:8], answers)
    assert answers < 10


@pytest.mark.parametrize("text", [attacks.call(1, "rpc.discover"), attacks.call(1, "rpc.stats"),
                                  attacks.call(1, "rpc.health"), attacks.call("x" * 40, "none" * 10)],
                         ids=["rpc.discover", "rpc.stats", "rpc.health", "unknown method"])
def test_an_answer_is_not_much_larger_than_its_question(datagram_server, text):
    server, port = datagram_server
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((attacks.ATTACKER, 0))
        sock.connect(("127.0.0.1", port))
        sock.settimeout(0.5)
        sock.send(text)
        with contextlib.suppress(socket.timeout):
            answer = sock.recv(65536)
            victims.figure("%d bytes asked, %d answered", len(text), len(answer))
            assert len(answer) <= 3 * len(text)
    victims.still_serves(server)


def test_a_flood_from_one_source_is_answered_at_a_rate(datagram_server):
    """A forged sender gets no more than that."""
    server, port = datagram_server
    text = attacks.call(1, "rpc.ping")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((attacks.ATTACKER, 0))
        sock.connect(("127.0.0.1", port))
        sock.setblocking(False)
        began, sent, answers = time.monotonic(), 0, 0
        while time.monotonic() - began < 1.0:
            for _ in range(50):
                with contextlib.suppress(BlockingIOError):
                    sock.send(text)
                    sent += 1
            with contextlib.suppress(BlockingIOError):
                while sock.recv(4096):
                    answers += 1
        victims.figure("%d sent in a second, %d answered", sent, answers)
        assert answers < 10000
    victims.still_serves(server)
