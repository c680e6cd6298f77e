"""`framecall check`: it passes what keeps to PROTOCOL.md, and finds each mistake of check/broken_server.py and
check/broken_client.py."""
import collections
import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree

import pytest
from processes import INTEROP, PATIENCE, SCRIPTS, clean_environment, end, script, wait_for_port, wait_until

CHECK = os.path.join(INTEROP, "tests", "check")

# Mistake of a server -> the case that has to fail.
SERVER_FAULTS = {
    "prefix-one-recv": "framing/split-prefix",
    "header-one-recv": "framing/split-header",
    "body-one-recv": "framing/split-body",
    "over-read": "framing/no-over-read",
    "drops-coalesced": "framing/two-in-one-write",
    "waits-for-a-body": "framing/without-body",
    "big-endian": "framing/speaks-frames",
    "counts-characters": "rpc/id-unicode",
    "unsigned-length": "robust/length-negative",
    "unchecked-length": "robust/length-huge",
    "short-timeout": "framing/pause-in-body",
    "text-mode": "framing/all-byte-values",
    "uses-half-a-body": "robust/cut-in-body",
    "no-unknown-keys": "framing/unknown-keys",
    "first-key-wins": "framing/duplicate-size",
    "true-is-a-size": "robust/size-bool",
    "converts-sizes": "robust/size-real",
    "negative-is-none": "robust/size-negative",
    "null-is-none": "robust/size-null",
    "allocates": "robust/announced-body",
    "answers-notifications": "rpc/notification-silent",
    "answers-twice": "rpc/answered-once",
    "ids-as-strings": "rpc/id-kinds",
    "normalised-ids": "rpc/id-unicode",
    "true-is-an-id": "rpc/id-bad",
    "wrong-code": "rpc/method-not-found",
    "forgets-the-body": "rpc/method-not-found-body",
    "early-reply": "rpc/whole-before-reply",
    "unicode-upper": "rpc/upper",
    "takes-replies": "rpc/reply-to-server",
    "trailing-newline": "framing/one-write",
    "send-once": "rpc/unread-replies",
    "greeting": "framing/no-greeting",
    "closes-on-half-close": "framing/half-close",
    "never-closes": "framing/clean-end",
    "dies-of-a-reset": "robust/reset-inside",
    "one-at-a-time": "robust/idle-connections",
    "goes-on-after-refusal": "robust/not-json",
    "name-unchecked": "upload/name-up",
    "absolute-name": "upload/name-absolute",
    "nul-in-name": "upload/name-with-nul",
    "no-empty-files": "upload/empty-file",
    "does-not-truncate": "upload/replaced",
    "answers-uploads": "upload/silent",
    "keeps-parts": "upload/cut-off",
    "any-spelling-wins": "upload/spellings-differ",
}

# Mistake of a client -> the case that has to fail.
CLIENT_FAULTS = {
    "newline-behind": "client/ends-well",
    "counts-characters": "client/sends-frame",
    "body-counts-characters": "client/ends-well",
    "big-endian": "client/sends-frame",
    "float-id": "client/sends-id",
    "one-recv": "client/reply-split-header",
    "prefix-one-recv": "client/reply-split-prefix",
    "spins-at-the-end": "client/end-without-reply",
    "trusts-length": "client/length-huge",
    "takes-half-a-body": "client/end-in-body",
    "ignores-error": "client/error-reply",
    "ignores-id": "client/other-id",
    "true-is-a-size": "client/size-bool",
    "short-timeout": "client/reply-delayed",
    "no-unknown-keys": "client/reply-unknown-keys",
    "ignores-the-end": "client/reset-without-reply",
    "upload-newline-behind": "client/ends-well",
    "path-in-name": "client/sends-name",
    "short-body": "client/sends-frame",
    "send-once": "client/sends-frame",
    "reset-at-the-end": "client/sends-frame",
}


def check(program, *arguments, expected=0, **options):
    """`framecall check` to its end: stdout."""
    result = subprocess.run([program, "check"] + [str(a) for a in arguments], env=clean_environment(), timeout=4 * PATIENCE,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    output = result.stdout.decode()
    assert result.returncode == expected, "exit code %d\n%s\n%s" % (result.returncode, output, result.stderr.decode())
    return output


def results(program, *arguments, expected=0):
    """The same as {name: case}, in order, and the whole object."""
    summary = json.loads(check(program, *arguments, "--json", expected=expected))
    cases = {case["name"]: case for case in summary["cases"]}
    assert len(cases) == len(summary["cases"])
    counts = collections.Counter(case["verdict"] for case in summary["cases"])
    assert counts == +collections.Counter({"pass": summary["passed"], "fail": summary["failed"],
                                           "warning": summary["warnings"], "skipped": summary["skipped"]})
    return cases, summary


def bad_ones(cases):
    return {name: case["message"] for name, case in cases.items() if case["verdict"] in ("fail", "warning")}


@contextlib.contextmanager
def python_server(script, *arguments):
    """A program of check/ that prints `listening tcp ADDRESS`: that address."""
    with subprocess.Popen([sys.executable, os.path.join(CHECK, script)] + [str(a) for a in arguments], cwd=CHECK,
                          env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        try:
            assert select.select([process.stdout], [], [], PATIENCE)[0], "it does not listen"
            line = process.stdout.readline().decode()
            assert line.startswith("listening tcp "), (line, process.stderr.read())
            yield line.split()[-1]
        finally:
            end(process)


def client_command(fault):
    return "exec %s %s --fault %s {host} {port}" % (sys.executable, os.path.join(CHECK, "broken_client.py"), fault)


def test_our_server_passes_everything(program, serve):
    server = serve("--quiet")
    cases, summary = results(program, server.address, "--root", server.root)
    assert bad_ones(cases) == {} and summary["skipped"] == summary["not_run"] == 0
    assert len(cases) > 100 and len(cases) == len([n for n in names(program) if not n.startswith("client/")])
    assert server.names() == [] and not server.parts(), "it cleans up"


@pytest.mark.parametrize("dialect", ["big-endian", "eight-bytes", "ascii-length"])
def test_our_server_passes_everything_in_another_dialect(program, serve, dialect):
    server = serve("--quiet", "--dialect", dialect)
    cases, _ = results(program, server.address, "--root", server.root, "--dialect", dialect)
    assert bad_ones(cases) == {}
    skipped = {name for name, case in cases.items() if case["verdict"] == "skipped" and not name.startswith("upload/")}
    skipped -= {"framing/mixed-in-one-write", "framing/upload-and-close"}  # the uploads of some are not the taught ones
    too_large = {"framing/big-header", "framing/largest-header", "robust/too-deep"} if dialect == "ascii-length" else set()
    assert skipped == too_large | {"robust/length-negative", "robust/length-huge", "robust/length-big-endian",
                                   "robust/length-zero", "robust/byte-order-mark"}
    assert sum(case["verdict"] == "pass" for case in cases.values()) > 85
    assert server.names() == [] and not server.parts(), "it cleans up"


def test_big_endian_lengths_are_named(program, serve, tmp_path):
    server = serve("--quiet", "--dialect", "big-endian")
    case = results(program, server.address, "--only", "framing/*", expected=1)[0]["framing/speaks-frames"]
    assert "'>i' (big-endian" in case["message"] and case["hint"].endswith("--dialect big-endian"), case
    server = serve("--quiet")
    cases, _ = results(program, server.address, "--only", "framing/*", "--dialect", "big-endian", expected=1)
    assert "'<i' (4 bytes, little-endian)" in cases["framing/speaks-frames"]["message"], cases
    cases, _ = results(program, "--listen", "127.0.0.1:0", "--exec", client_command("big-endian"), "--only",
                       "client/sends-frame", expected=1)
    case = cases["client/sends-frame"]
    assert "with its bytes swapped it is" in case["message"] and "struct.pack('<i', len(header))" in case["hint"], case


@pytest.mark.parametrize("kind", ["def", "async"])
def test_the_server_of_the_package_passes_everything(program, tmp_path, kind):
    pytest.importorskip("framecall")
    with python_server("package_server.py", tmp_path, kind) as address:
        cases, summary = results(program, address, "--root", tmp_path)
    assert bad_ones(cases) == {} and summary["skipped"] == summary["not_run"] == 0


def test_the_reference_server_passes_everything(program, tmp_path):
    with python_server("reference_server.py", tmp_path) as address:
        cases, _ = results(program, address, "--root", tmp_path)
    assert bad_ones(cases) == {}
    assert [name for name, case in cases.items() if case["verdict"] == "skipped"] == ["rpc/discover"]
    assert os.listdir(tmp_path) == [".framecall"] and not os.listdir(tmp_path / ".framecall")


def test_the_broken_server_is_fine_without_a_fault(program, tmp_path):
    wanted = sorted(set(SERVER_FAULTS.values()))
    with python_server("broken_server.py", "--fault", "none", tmp_path) as address:
        cases, _ = results(program, address, "--root", tmp_path, *("--only=" + name for name in wanted))
    assert {name: case["verdict"] for name, case in cases.items()} == dict.fromkeys(cases, "pass")
    assert sorted(cases) == wanted


@pytest.mark.parametrize("fault", SERVER_FAULTS)
def test_mistakes_of_servers_are_found(program, tmp_path, fault):
    name = SERVER_FAULTS[fault]
    root = tmp_path / "root"
    root.mkdir()
    with python_server("broken_server.py", "--fault", fault, root) as address:
        cases, _ = results(program, address, "--root", root, "--only", name, "--timeout", "1.5", expected=1)
    case = cases[name]
    assert case["verdict"] == "fail", case
    assert case["message"] and case["hint"] and case["protocol"]
    assert case["transcript"] or name == "framing/no-greeting", case
    assert os.listdir(tmp_path) == ["root"], "what was written outside is removed"


def test_every_fault_is_in_the_table():
    for name, table, more in [("broken_server.py", SERVER_FAULTS, set()),
                                ("broken_client.py", CLIENT_FAULTS, {"none", "none-upload"})]:
        listed = subprocess.run([sys.executable, os.path.join(CHECK, name), "--list"], stdout=subprocess.PIPE,
                                env=clean_environment(), timeout=PATIENCE, check=True).stdout.decode().split()
        assert set(listed) == set(table) | more


def test_the_readme_has_the_tables():
    with open(os.path.join(INTEROP, "README.md"), encoding="utf-8") as f:
        rows = re.findall(r"^\| `([a-z-]+)` \| `([a-z]+/[a-z-]+)` \|$", f.read(), re.MULTILINE)
    assert rows == list(SERVER_FAULTS.items()) + list(CLIENT_FAULTS.items())


@pytest.mark.parametrize("fault", ["none", "none-upload"])
def test_the_broken_client_is_fine_without_a_fault(program, fault):
    cases, _ = results(program, "--listen", "127.0.0.1:0", "--exec", client_command(fault))
    assert bad_ones(cases) == {}
    passed = {name for name, case in cases.items() if case["verdict"] == "pass"}
    assert passed >= {CLIENT_FAULTS[f] for f in CLIENT_FAULTS if cases[CLIENT_FAULTS[f]]["verdict"] != "skipped"}
    assert len(passed) >= (30 if fault == "none" else 6)


@pytest.mark.parametrize("fault", CLIENT_FAULTS)
def test_mistakes_of_clients_are_found(program, fault):
    name = CLIENT_FAULTS[fault]
    cases, _ = results(program, "--listen", "127.0.0.1:0", "--exec", client_command(fault), "--only", name,
                       "--timeout", "2", expected=1)
    assert cases[name]["verdict"] == "fail", cases
    assert cases[name]["message"] and cases[name]["hint"] and cases[name]["transcript"]


def test_our_clients_pass_everything(program, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(os.urandom(3 << 20))
    for command in ["call {host}:{port} echo '[1]' --body " + str(body), "call {host}:{port} add '[1, 2]'",
                    "send {host}:{port} " + str(body)]:
        cases, _ = results(program, "--listen", "127.0.0.1:0", "--exec", "exec %s %s" % (program, command))
        assert bad_ones(cases) == {}, command


def test_a_client_that_somebody_else_starts(program):
    """Without --exec: the tester waits, and judges what it sees."""
    with subprocess.Popen([program, "check", "--listen", "127.0.0.1:0", "--only", "client/reply-*", "--wait", "20"],
                          env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tester:
        try:
            address = re.fullmatch(r"listening tcp 127\.0\.0\.1:(\d+)\n", tester.stdout.readline().decode())
            port = int(address.group(1))
            while tester.poll() is None:
                with contextlib.suppress(OSError):
                    subprocess.run([sys.executable, os.path.join(CHECK, "broken_client.py"), "--fault", "none", "127.0.0.1",
                                    str(port)], env=clean_environment(), stderr=subprocess.DEVNULL, timeout=PATIENCE)
            output = tester.stdout.read().decode()
        finally:
            end(tester)
    assert tester.returncode == 0, output
    assert re.search(r"^pass +client/reply-split-every-byte$", output, re.MULTILINE), output


def names(program):
    return [line.split()[0] for line in check(program, "--list").splitlines()]


def test_list(program):
    lines = check(program, "--list").splitlines()
    assert all(re.fullmatch(r"(framing|upload|rpc|robust|client)/[a-z0-9-]+ +(framing|upload|rpc|robust) +\S.*", line)
               for line in lines)
    found = [line.split()[0] for line in lines]
    assert len(set(found)) == len(found)
    assert set(SERVER_FAULTS.values()) | set(CLIENT_FAULTS.values()) <= set(found)
    assert len([n for n in found if n.startswith("client/")]) >= 15 and len(found) >= 100


def test_lines_for_people_and_the_selection(program, serve, tmp_path):
    server = serve("--quiet")
    output = check(program, server.address, "--level", "rpc,upload", "--only", "rpc/id-*", "--only", "framing/*")
    assert output.splitlines()[:3] == ["pass    framing/speaks-frames", "pass    rpc/id-integer", "pass    rpc/id-string"]
    assert output.endswith("\n6 passed, 0 failed, 0 warnings, 0 skipped\n")
    output = check(program, "--only", "rpc/ping", server.address, "--verbose")
    assert re.search(r'^ +sent +\d+ bytes: .+"rpc.ping"', output, re.MULTILINE), output
    with python_server("broken_server.py", "--fault", "wrong-code", tmp_path) as address:
        output = check(program, address, "--only", "rpc/method-not-found", expected=1)
    block = output[output.index("fail    rpc/method-not-found"):]
    for label in ["tried", "sent", "came", "failed", "protocol", "to mend"]:
        assert re.search("^        %s +\\S" % label, block, re.MULTILINE), (label, block)


def test_junit(program, tmp_path):
    path = tmp_path / "report.xml"
    with python_server("broken_server.py", "--fault", "normalised-ids", tmp_path) as address:
        check(program, address, "--only", "rpc/id-*", "--only", "rpc/discover", "--junit", path, expected=1)
    suite = ElementTree.parse(path).getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("7", "1", "1")
    cases = {case.get("name"): case for case in suite}
    assert "id" in cases["rpc/id-unicode"].find("failure").get("message")
    assert "to mend" in cases["rpc/id-unicode"].find("failure").text
    assert cases["rpc/discover"].find("skipped") is not None and len(cases["rpc/id-string"]) == 0


def test_usage(program, tmp_path):
    for arguments in [[], ["127.0.0.1:1", "--listen", "127.0.0.1:0"], ["127.0.0.1:1", "--only", "no/such"],
                      ["127.0.0.1:1", "--level", "high"], ["127.0.0.1:1", "--root", tmp_path / "none"], ["127.0.0.1:0"],
                      ["127.0.0.1:1", "--timeout", "soon"], ["127.0.0.1:1", "--dialect", "nosuch"],
                      ["127.0.0.1:1", "--dialect", "login"], ["--listen", "127.0.0.1:0", "--dialect", "big-endian"], ["--listen", "127.0.0.1:0", "--result", "{"]]:
        check(program, *arguments, expected=2)


def test_nobody_there(program):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    check(program, "127.0.0.1:%d" % port, expected=3)
    check(program, "--listen", "127.0.0.1:0", "--exec", "exit 7", expected=3)
    check(program, "--listen", "127.0.0.1:0", "--wait", "0.1", expected=3)
    check(program, "127.0.0.1:0", "--exec", "echo no; exit 1", expected=3)


class Raw:
    """A server that says `answer(bytes)` to each piece that comes."""

    def __init__(self, answer):
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()

    def serve(self, sock):
        with contextlib.suppress(OSError), sock:
            sock.settimeout(PATIENCE)
            for piece in iter(lambda: sock.recv(65536), b""):
                sock.sendall(self.answer(piece))


@pytest.mark.parametrize("answer, words", [
    (lambda piece: piece.upper(), "a raw echo server"),
    (lambda piece: b"HTTP/1.1 400 Bad Request\r\n\r\n", "an HTTP server"),
    (lambda piece: b"what?\n", "no frame: what?"),
], ids=["echo", "http", "text"])
def test_what_speaks_no_frames(program, answer, words):
    with Raw(answer) as server:
        cases, summary = results(program, server.address, "--timeout", "1", expected=1)
    assert list(cases) == ["framing/speaks-frames"] and words in cases["framing/speaks-frames"]["message"]
    assert summary["not_run"] > 100 and summary["stopped"]


def test_what_says_nothing_at_all(program, tmp_path):
    """Silence is what a receiver of uploads says; with its folder in sight it is none. Nothing is waited for twice."""
    with Raw(lambda piece: b"") as server:
        start = time.monotonic()
        cases, _ = results(program, server.address, "--timeout", "0.5", "--root", tmp_path, expected=1)
        assert "nothing here speaks frames" in cases["framing/speaks-frames"]["message"]
        assert time.monotonic() - start < PATIENCE
        cases, _ = results(program, server.address, "--timeout", "0.5", "--only", "framing/speaks-frames")
        assert cases["framing/speaks-frames"]["verdict"] == "warning" and "--root" in cases["framing/speaks-frames"]["hint"]


def test_stdout_that_takes_nothing(program, serve):
    server = serve("--quiet")
    with open("/dev/full", "w") as full:
        for flag, why in [("--json", b""), ("--verbose", b": No space left on device")]:
            result = subprocess.run([program, "check", server.address, "--only", "framing/one-write", flag], stdout=full,
                                    env=clean_environment(), stderr=subprocess.PIPE, timeout=PATIENCE)
            assert (result.returncode, result.stderr) == (1, b"framecall: cannot write to stdout%s\n" % why)


def test_a_server_that_dies_ends_the_run_or_is_started_again(program, tmp_path):
    chosen = ["--root", tmp_path, "--only", "robust/reset-*", "--only", "robust/many*", "--timeout", "2"]
    with python_server("broken_server.py", "--fault", "dies-of-a-reset", tmp_path) as address:
        cases, summary = results(program, address, *chosen, expected=1)
    assert cases["robust/reset-inside"]["verdict"] == "fail" and "robust/many-connections" not in cases
    assert "robust/reset-inside" in summary["stopped"] and summary["not_run"] == 2
    with script("t04_file_receiver.py", "0", cwd=tmp_path) as receiver:
        cases, summary = results(program, "127.0.0.1:%d" % wait_for_port(receiver), "--root", tmp_path, expected=1)
        assert list(cases) == ["framing/speaks-frames"] and "--speaks" in cases["framing/speaks-frames"]["hint"]
    t04 = "cd {root}; exec %s %s {port}" % (sys.executable, os.path.join(SCRIPTS, "t04_file_receiver.py"))
    cases, summary = results(program, "127.0.0.1:0", "--exec", t04, "--root", tmp_path, "--timeout", "1", "--only",
                             "framing/split-*", "--only", "upload/silent", expected=1)
    assert cases["framing/split-prefix"]["verdict"] == cases["framing/split-header"]["verdict"] == "fail"
    assert "unpack requires a buffer of 4 bytes" in cases["framing/split-prefix"]["message"]
    assert cases["upload/silent"]["verdict"] == cases["framing/split-body"]["verdict"] == "pass"
    assert summary["not_run"] == 0


def test_interrupted(program, tmp_path):
    """SIGINT ends it at once, and what it started."""
    note = tmp_path / "id"
    command = "echo $$ > %s; mv %s %s.whole; exec sleep 60" % (note, note, note)
    with subprocess.Popen([program, "check", "--listen", "127.0.0.1:0", "--exec", command, "--timeout", "60"],
                          env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as tester:
        try:
            whole = wait_until(lambda: os.path.exists("%s.whole" % note) and open("%s.whole" % note).read(), "it runs")
            tester.send_signal(signal.SIGINT)
            assert tester.wait(PATIENCE) == 130
            wait_until(lambda: not os.path.exists("/proc/" + whole.strip()), "the client is gone")
        finally:
            end(tester)
