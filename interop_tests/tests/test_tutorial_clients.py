"""`framecall chat` and `framecall udp` against the tutorial's servers (T1, T5, T7, T9), by every CPython."""
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import termios
import threading
import time

import peers
import pytest
from processes import PATIENCE, clean_environment, end, script, wait_for_port, wait_until

ECHO_SERVERS = ["t01_tcp_echo_server.py", "t07_threading_tcp_server.py"]
LATE = 10  # seconds beyond a timeout of ours; a busy machine has its time


def run(program, *arguments, expected=0, stdin=b"", timeout=2 * PATIENCE):
    """A command of the program, its stdout and stderr as text."""
    result = subprocess.run([program] + [str(a) for a in arguments], input=stdin, env=clean_environment(),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
    output = result.stdout.decode(), result.stderr.decode()
    assert result.returncode == expected, (result.returncode,) + output
    return output


def chat(program, port, text, *flags, **options):
    return run(program, "chat", "127.0.0.1:%d" % port, *flags, stdin=text.encode(), **options)


def udp(program, port, *arguments, **options):
    return run(program, "udp", "127.0.0.1:%d" % port, *arguments, **options)


def take_terminal():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """A program on a terminal of its own; what it shows is collected."""

    def __init__(self, *command, **environment):
        self.master, slave = pty.openpty()
        self.settings = termios.tcgetattr(self.master)
        self.text, self.seen = b"", 0
        env = dict(clean_environment(), TERM="xterm", **environment)
        try:
            self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env,
                                            start_new_session=True, preexec_fn=take_terminal)  # Ctrl-C is a signal
        finally:
            os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        end(self.process)
        os.close(self.master)

    def type(self, keys):
        os.write(self.master, keys.encode() if isinstance(keys, str) else keys)

    def read(self, seconds):
        """False at the end."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            piece = os.read(self.master, 4096)
        except OSError:  # EIO: the program has gone
            return False
        self.text += piece
        return bool(piece)

    def expect(self, text):
        """Waits until `text` is shown behind what was expected before."""
        wanted, deadline = text.encode(), time.monotonic() + PATIENCE
        while wanted not in self.text[self.seen:]:
            going = self.read(0.1)
            assert going and time.monotonic() < deadline, "%r is not in %r" % (text, self.text[self.seen:])
        self.seen = self.text.index(wanted, self.seen) + len(wanted)

    def wait(self):
        deadline = time.monotonic() + PATIENCE
        while self.read(0.1):  # until all is read
            assert time.monotonic() < deadline, "still there: %r" % self.text
        return self.process.wait(PATIENCE)


def chat_on_terminal(program, port, *flags, **environment):
    return Terminal(program, "chat", "127.0.0.1:%d" % port, *flags, **environment)


def has_editing(program):
    with open(program, "rb") as f:
        return b"el_gets" in f.read()


# ---- chat, from a pipe


@pytest.mark.parametrize("server", ECHO_SERVERS)
def test_chat_piped(program, python, server, tmp_path):
    log_path = tmp_path / "server.txt"
    with open(log_path, "wb") as log, script(server, 0, python=python, output=log) as process:
        port = wait_for_port(process)
        for _ in range(2):  # T1 serves the second only when the first has closed
            output, errors = chat(program, port, "hello\n\n   \t\n  你好 x \r\nlast without a line feed")
            assert output == "HELLO\n你好 X\nLAST WITHOUT A LINE FEED\n"
            assert errors == ""
        assert chat(program, port, "") == ("", "")
        assert process.poll() is None
    assert peers.read(log_path).count(b"hello") == 2


@pytest.mark.parametrize("server", ECHO_SERVERS)
def test_chat_through_relay(program, relay, python, server):
    """What arrives in pieces is answered in pieces: nothing is lost and nothing is out of order."""
    with script(server, 0, python=python) as process:
        port = relay(wait_for_port(process), seed=python, both=True)
        lines = ["hello", "a longer line than ten bytes", "你好 x"]
        result = subprocess.run([program, "chat", "127.0.0.1:%d" % port], input="\n".join(lines).encode(),
                                env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                timeout=2 * PATIENCE)
    assert (result.returncode, result.stderr) == (0, b"")
    # A line feed stands behind each piece, in the middle of a character too.
    assert result.stdout.replace(b"\n", b"").decode() == "".join(lines).upper()


def test_chat_sends_nothing_of_its_own(program):
    with peers.Recorder() as recorder:
        process = subprocess.Popen([program, "chat", "127.0.0.1:%d" % recorder.port, "--timeout", "0.2"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=clean_environment())
        output, errors = process.communicate("  你好\xa0 \n".encode(), PATIENCE)
        assert recorder.result() == "你好\xa0".encode()
    assert process.returncode == 4
    assert output == b""
    assert b"127.0.0.1:%d: nothing came for 200 ms" % recorder.port in errors


def test_chat_without_a_server(program):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        output, errors = chat(program, port, "hello\n", expected=3)
    assert output == ""
    assert "127.0.0.1:%d" % port in errors and "refused" in errors
    assert "address" in run(program, "chat", "localhost", expected=2)[1]
    assert "soon" in run(program, "chat", "127.0.0.1:%d" % port, "--timeout", "soon", expected=2)[1]


@pytest.mark.parametrize("how", ["close", "reset"])
def test_chat_server_dies_while_it_is_asked(program, how):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        port = listener.getsockname()[1]

        def serve():
            connection = listener.accept()[0]
            connection.sendall(connection.recv(1024).upper())
            connection.recv(1024)
            peers.reset(connection) if how == "reset" else connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        output, errors = chat(program, port, "one\ntwo\nthree\n", expected=3)
        thread.join(PATIENCE)
    assert output == "ONE\n"
    assert "127.0.0.1:%d" % port in errors
    assert ("reset" if how == "reset" else "closed the connection") in errors


def test_chat_script_killed_in_the_middle(program, python):
    with script("t01_tcp_echo_server.py", 0, python=python) as server:
        port = wait_for_port(server)
        with chat_on_terminal(program, port) as terminal:
            terminal.expect("> ")
            terminal.type("one\r")
            terminal.expect("ONE")
            terminal.expect("> ")
            end(server)
            terminal.type("two\r")
            terminal.expect("127.0.0.1:%d" % port)
            assert terminal.wait() == 3


# ---- chat, on a terminal


@pytest.mark.parametrize("server", ECHO_SERVERS)
def test_chat_on_a_terminal(program, python, server):
    if not has_editing(program):
        pytest.skip("this program was built without libedit")
    with script(server, 0, python=python) as process:
        with chat_on_terminal(program, wait_for_port(process), "--prompt", "请输入你:") as terminal:
            terminal.expect("请输入你:")
            terminal.type("first\r")
            terminal.expect("FIRST")
            terminal.expect("请输入你:")  # before it, keys are not edited yet
            terminal.type("   \r")  # nothing is sent, and nothing comes
            terminal.expect("请输入你:")
            terminal.type("你好吗\x7f x\r")  # one whole character is taken back
            terminal.expect("你好 X")
            terminal.expect("请输入你:")
            terminal.type("\x1b[A\x1b[A\x01<\x05>\r")  # up, up: first; then at its start and at its end
            terminal.expect("<FIRST>")
            terminal.expect("请输入你:")
            terminal.type("\x04")
            assert terminal.wait() == 0
        assert process.poll() is None


def test_chat_prompt_in_a_plain_locale(program, python):
    """Chinese goes out as UTF-8 whatever the locale says."""
    if not has_editing(program):
        pytest.skip("this program was built without libedit")
    with script("t07_threading_tcp_server.py", 0, python=python) as process:
        with chat_on_terminal(program, wait_for_port(process), LC_ALL="C", LANG="C") as terminal:
            terminal.expect("> ")
            terminal.type("你好 x\r")
            terminal.expect("你好 X")
            terminal.expect("> ")
            terminal.type("\x04")
            assert terminal.wait() == 0


def test_chat_interrupted(program):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        port = listener.getsockname()[1]
        with chat_on_terminal(program, port) as terminal:
            terminal.expect("> ")
            terminal.type("half a line")
            terminal.expect("half a line")
            terminal.type("\x03")
            assert terminal.wait() == 130
            assert termios.tcgetattr(terminal.master) == terminal.settings
        with chat_on_terminal(program, port) as terminal:  # and while a reply is waited for
            terminal.expect("> ")
            with listener.accept()[0], listener.accept()[0] as connection:
                terminal.type("hello\r")
                assert connection.recv(5) == b"hello"
                terminal.type("\x03")
                assert terminal.wait() == 130


def test_chat_escapes_on_a_terminal_only(program):
    words = b"\x1b[31mred\x07\ttab\nline \xff" + "你好\x9b".encode()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(2)
        port = listener.getsockname()[1]

        def serve():
            for _ in range(2):
                with listener.accept()[0] as connection:
                    connection.recv(100)
                    connection.sendall(words)
                    connection.recv(100)

        thread = threading.Thread(target=serve)
        thread.start()
        result = subprocess.run([program, "chat", "127.0.0.1:%d" % port], input=b"x\n", env=clean_environment(),
                                stdout=subprocess.PIPE, timeout=PATIENCE)
        assert (result.returncode, result.stdout) == (0, words + b"\n")
        with chat_on_terminal(program, port) as terminal:
            terminal.expect("> ")
            terminal.type("x\r")
            terminal.expect("\\x1b[31mred\\x07\ttab\r\nline \\xff你好\\xc2\\x9b\r\n> ")
            terminal.type("\x04")
            assert terminal.wait() == 0
        thread.join(PATIENCE)


# ---- udp


def test_udp_and_t5(program, python, tmp_path):
    with open(tmp_path / "t5.txt", "wb") as log, script("t05_udp_server.py", 0, python=python, output=log) as server:
        output, errors = udp(program, wait_for_port(server, "udp"), "你好 server baby!")
        assert (output, errors) == ("hello\n", "")
        assert server.wait(PATIENCE) == 0
    assert (tmp_path / "t5.txt").read_text() == "你好 server baby!\n"


def test_udp_and_the_flood_of_t9(program, python, long):
    with script("t09_threading_udp_server.py", 0, python=python) as server:
        port = wait_for_port(server, "udp")
        for n in range(50 if long else 5):
            began = time.monotonic()
            assert udp(program, port, "request %d" % n, "--timeout", 20) == ("REQUEST %d\n" % n, "")
            assert time.monotonic() - began < 20
        assert server.poll() is None


def test_udp_counts_in_the_flood_of_t9(program, python):
    with script("t09_threading_udp_server.py", 0, python=python) as server:
        port = wait_for_port(server, "udp")
        output, errors = udp(program, port, "hello", "--count", 20, "--interval", "0.01", "--timeout", 20)
    assert output == "HELLO\n" * 20
    assert re.fullmatch(r"20 sent, 20 received, 0 lost, rtt min/avg/max [\d.]+/[\d.]+/[\d.]+ ms\n", errors)


@contextlib.contextmanager
def udp_server(*answers):
    """Answers each datagram with the next of `answers`: bytes, a function of the datagram, or None for nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(PATIENCE)
        got = []

        def serve():
            for answer in answers:
                data, address = server.recvfrom(70000)
                got.append(data)
                reply = answer(data) if callable(answer) else answer
                if reply is not None:
                    server.sendto(reply, address)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], got
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_udp_counts_what_is_lost(program):
    with udp_server(b"one", None, bytes.upper) as (port, got):
        output, errors = udp(program, port, "three", "--count", 3, "--interval", 0, "--timeout", 0.5, expected=4)
    assert got == [b"three"] * 3
    assert output == "one\nTHREE\n"
    lost, summary = errors.splitlines()
    assert lost == "framecall: 127.0.0.1:%d: no reply within 0.5 s" % port
    assert summary.startswith("3 sent, 2 received, 1 lost, rtt min/avg/max ")


def test_udp_keeps_its_interval(program):
    with udp_server(b"a", b"b", b"c") as (port, _):
        began = time.monotonic()
        assert udp(program, port, "x", "--count", 3, "--interval", "150ms")[0] == "a\nb\nc\n"
        assert time.monotonic() - began >= 0.3


def test_udp_as_json(program):
    with udp_server("你好\n".encode(), None, b"\xff\x00") as (port, _):
        output, errors = udp(program, port, "x", "--json", "--count", 3, "--interval", 0, "--timeout", 0.5, expected=4)
    summary = json.loads(output)
    assert (summary["sent"], summary["received"], summary["lost"]) == (3, 2, 1)
    first, second, third = summary["replies"]
    assert (first["text"], second, third["hex"]) == ("你好\n", None, "ff00")
    assert summary["rtt_ms"]["min"] <= summary["rtt_ms"]["avg"] <= summary["rtt_ms"]["max"]
    assert "no reply" in errors


def test_udp_takes_stdin_and_nothing(program):
    with udp_server(*[lambda data: b"%d bytes\n" % len(data)] * 4) as (port, got):
        assert udp(program, port, "-", stdin=b"a\nb\xff")[0] == "4 bytes\\x0a\n"
        assert udp(program, port, "")[0] == "0 bytes\\x0a\n"
        assert udp(program, port, "-", stdin=b"")[0] == "0 bytes\\x0a\n"
        assert udp(program, port, "-", stdin=b"x" * 65507)[0] == "65507 bytes\\x0a\n"
        assert "65507" in udp(program, port, "-", stdin=b"x" * 65508, expected=2)[1]
    assert got == [b"a\nb\xff", b"", b"", b"x" * 65507]


def test_udp_without_a_server(program):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    began = time.monotonic()
    output, errors = udp(program, port, "hello", "--timeout", 1, expected=4)
    assert 1 <= time.monotonic() - began < 1 + LATE
    assert output == ""
    assert errors == "framecall: 127.0.0.1:%d: no reply within 1 s\n" % port


def test_udp_misuse(program):
    for arguments in (["localhost", "x"], ["unix:/tmp/x", "x"], ["127.0.0.1:70000", "x"], ["127.0.0.1:1"],
                      ["127.0.0.1:1", "x", "--count", "0"], ["127.0.0.1:1", "x", "--count", "-1"],
                      ["127.0.0.1:1", "x", "--timeout", "soon"], ["127.0.0.1:1", "x", "--interval", "-1"]):
        output, errors = run(program, "udp", *arguments, expected=2)
        assert output == "" and errors, arguments
    assert "no-such-host.invalid:80" in run(program, "udp", "no-such-host.invalid:80", "x", expected=3)[1]


@pytest.mark.parametrize("waits_for", ["a reply", "the next"])
def test_udp_interrupted(program, waits_for):
    with udp_server(None if waits_for == "a reply" else b"reply") as (port, got):
        process = subprocess.Popen([program, "udp", "127.0.0.1:%d" % port, "x", "--count", "2", "--interval", "60",
                                    "--timeout", "60"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=clean_environment())
        try:
            wait_until(lambda: got, "a request")
            if waits_for == "the next":
                assert process.stdout.readline() == b"reply\n"
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=PATIENCE)
        finally:
            end(process)
    assert process.returncode == 130
    counts = b"1 sent, 0 received, 1 lost\n" if waits_for == "a reply" else b"1 sent, 1 received, 0 lost, rtt"
    assert errors.startswith(counts)


# ---- on the tutorial's own ports


def test_every_server_of_the_tutorial_on_its_own_port(own_ports, program, python, tmp_path):
    """Our side has always closed before a script is ended: T1, T4 and T7 set no SO_REUSEADDR, and a connection that
    they closed first would keep their port from the next one."""
    body = peers.content("own port", 100000)
    (tmp_path / "a.bin").write_bytes(body)
    (tmp_path / "received").mkdir()
    with script("t01_tcp_echo_server.py", python=python) as server:
        assert wait_for_port(server) == 8080
        assert chat(program, 8080, "hello t1\n") == ("HELLO T1\n", "")
    with script("t04_file_receiver.py", python=python, cwd=tmp_path / "received") as server:
        assert wait_for_port(server) == 8080
        run(program, "send", "127.0.0.1:8080", tmp_path / "a.bin", "--quiet")
        assert peers.read(tmp_path / "received" / "a.bin") == body
    with script("t05_udp_server.py", python=python) as server:
        assert wait_for_port(server, "udp") == 8080
        assert udp(program, 8080, "hello server baby!") == ("hello\n", "")
        assert server.wait(PATIENCE) == 0
    with script("t07_threading_tcp_server.py", python=python) as server:
        assert wait_for_port(server) == 8081
        assert chat(program, 8081, "hello t7\n") == ("HELLO T7\n", "")
    with script("t09_threading_udp_server.py", python=python) as server:
        assert wait_for_port(server, "udp") == 8080
        assert udp(program, 8080, "hello t9", "--timeout", 20) == ("HELLO T9\n", "")
