"""`framecall call`, `framecall ping` and `framecall discover`, against the program's own server and against
servers of a few lines, which keep to PROTOCOL.md through reference.py."""
import base64
import contextlib
import hashlib
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import peers
import pytest
import reference
from processes import PATIENCE, clean_environment, end

BINARY = bytes(range(256)) + b"\r\n\0\n"
REPLY_LINE = r"%d bytes from %s: seq=%d time=\d+\.\d{3} ms"


def run(program, *arguments, expected=0, stdin=b"", environment=None, stdout=subprocess.PIPE):
    """A command of the program: its stdout as bytes, its stderr as text."""
    result = subprocess.run([program] + [a if isinstance(a, bytes) else str(a) for a in arguments], input=stdin,
                            env=dict(clean_environment(), **(environment or {})), stdout=stdout,
                            stderr=subprocess.PIPE, timeout=2 * PATIENCE)
    messages = result.stderr.decode()
    assert result.returncode == expected, (result.returncode, result.stdout, messages)
    return result.stdout, messages


def result_of(program, address, *arguments, **options):
    """The one line of stdout of a call that says nothing on stderr, as a value."""
    output, messages = run(program, "call", address, *arguments, **options)
    assert messages == "" and output.count(b"\n") == 1 and output.endswith(b"\n")
    return json.loads(output)


def refused(program, *arguments, expected=2):
    output, messages = run(program, *arguments, expected=expected)
    assert not output and messages.startswith("framecall: ") and messages.count("\n") == 1, messages
    return messages[len("framecall: "):-1]


class Peer:
    """A server: `serve(sock)` is called for every connection, each on a thread of its own."""

    def __init__(self, serve):
        self.serve = serve
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.address = "127.0.0.1:%d" % self.port
        self.over = threading.Event()
        self.connections, self.failures = 0, []

    def __enter__(self):
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()
        return self

    def __exit__(self, kind, *exc):
        self.over.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # ends the accept
        self.listener.close()
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a connection was not closed"
        if kind is None and self.failures:
            raise self.failures[0]

    def accept(self):
        with contextlib.suppress(OSError):
            while not self.over.is_set():
                sock = self.listener.accept()[0]
                self.connections += 1
                self.threads.append(threading.Thread(target=self.connection, args=(sock,), daemon=True))
                self.threads[-1].start()

    def connection(self, sock):
        try:
            with sock:
                sock.settimeout(PATIENCE)
                self.serve(sock)
        except ConnectionError:
            pass  # a client may go in the middle
        except Exception as failure:
            self.failures.append(failure)


class Answers(Peer):
    """Keeps all requests; answers each with `answer(header, body)`: a list of (reply without its id, body), or None for
    the end of the connection."""

    def __init__(self, answer):
        super().__init__(self.requests)
        self.answer = answer
        self.messages = []
        self.came = threading.Condition()

    def requests(self, sock):
        while True:
            message = reference.receive(sock)
            if not message:
                return
            with self.came:
                self.messages.append(message)
                self.came.notify_all()
            replies = self.answer(*message)
            if replies is None:
                return
            for reply, body in replies:
                sock.sendall(reference.encode(dict(reply, jsonrpc="2.0", id=message[0]["id"]), body))

    def wait(self, count):
        with self.came:
            assert self.came.wait_for(lambda: len(self.messages) >= count, PATIENCE), self.messages


def result(value, body=b"", **keys):
    return dict({"result": value}, **dict({"body_size": len(body)} if body else {}, **keys)), body


def error(code, message, **keys):
    return {"error": dict({"code": code, "message": message}, **keys)}, b""


def raw_reply(text, body=b""):
    """A peer that answers one request with exactly this header."""
    def serve(sock):
        reference.receive(sock)
        sock.sendall(struct.pack("<i", len(text)) + text + body)
        peers.read_to_end(sock)
    return Peer(serve)


def nobody():
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return "127.0.0.1:%d" % listener.getsockname()[1]


# --- call: params and results ------------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments, params", [
    ([], None),
    (["[2, 3]"], [2, 3]),
    (["[]"], []),
    (["[[1, 2], [], \"a,b\"]"], [[1, 2], [], "a,b"]),
    (["[[]]"], [[]]),
    ([" [1]\n"], [1]),
    (['{"a": {"b": [1, null, true, 1.5, "x"]}}'], {"a": {"b": [1, None, True, 1.5, "x"]}}),
    (["n=3", "name=Ada", "zip=\"123\"", "f=-1.5e3"], {"n": 3, "name": "Ada", "zip": "123", "f": -1500.0}),
    (["a=true", "b=null", "c=True", "d=", "e=007", "f= 7"],
     {"a": True, "b": None, "c": "True", "d": "", "e": "007", "f": 7}),
    (["list=[1, [2]]", "object={\"k\": 1}", "half=[1", "equals=a=b"],
     {"list": [1, [2]], "object": {"k": 1}, "half": "[1", "equals": "a=b"}),
    (["name=Ādā 你好 🎈", "ключ=1"], {"name": "Ādā 你好 🎈", "ключ": 1}),
    (["big=123456789012345678901234567890"], {"big": 123456789012345678901234567890}),
])
def test_params_arrive_as_they_were_meant(program, serve, arguments, params):
    assert result_of(program, serve().address, "echo", *arguments) == params


def test_keys_keep_their_order(program):
    with Answers(lambda header, body: [result(list(header["params"]))]) as peer:
        assert result_of(program, peer.address, "f", "z=1", "a=2", "m=3") == ["z", "a", "m"]


def test_a_call_without_params_sends_none(program):
    with Answers(lambda header, body: [result(1)]) as peer:
        assert result_of(program, peer.address, "f") == 1
    (header, body), = peer.messages
    assert header == {"jsonrpc": "2.0", "id": header["id"], "method": "f"} and body == b""


@pytest.mark.parametrize("text", [
    b'{"big": 123456789012345678901234567890, "f": 1e400, "z": -0.0, "n": 1.10}',
    '"Ādā 你 🎈"'.encode(),
    b'"\\ud800 \\u4f60 \\/ \\n"',
    b'[ 1,2 ,\t{"a" :NaN} ]',
    b"[" * 900 + b"]" * 900,
    b"null", b"false", b'""',
])
def test_results_are_printed_as_the_server_wrote_them(program, text):
    with raw_reply(b'{"id": 1, "result": ' + text + b', "jsonrpc": "2.0"}') as peer:
        assert run(program, "call", peer.address, "f") == (text + b"\n", "")


def test_names_of_commands_and_odd_names_are_methods_too(program, serve):
    address = serve().address
    for method in ["send", "call", "no such", "你好", "[x]", "a\x1bb"]:
        messages = refused(program, "call", address, method, expected=5)
        shown = method.replace("\x1b", "\\x1b")
        assert messages.startswith("%s: refused by the server: " % shown) and messages.endswith("(-32601)")


# --- call: mistakes of usage -------------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments, words", [
    (["3"], ["3: ", "KEY=VALUE"]),
    (["=3"], ["=3: ", "KEY=VALUE"]),
    (["a=1", "word"], ["word: ", "KEY=VALUE"]),
    (["a=1", "[2]"], ["[2]: ", "KEY=VALUE"]),
    (["a=1", "a=2"], ["a=2: ", "already"]),
    (["[1]", "[2]"], ["[2]: ", "one JSON text"]),
    (["[1, 2"], ["[1, 2: ", "JSON"]),
    (["{a: 1}"], ["{a: 1}: ", "JSON"]),
    (["[1] 2"], ["[1] 2: ", "JSON"]),
    (["--nothing"], ["--nothing: ", "flag"]),
    (["-x"], ["-x: ", "flag"]),
    (["--metadata", "x"], ["--metadata x: ", "KEY=VALUE"]),
    (["--metadata", "=x"], ["--metadata =x: ", "KEY=VALUE"]),
    (["--timeout", "soon"], ["soon"]),
    (["--timeout", "0"], ["--timeout", "0"]),
    (["--notify", "--stream"], ["--notify and --stream"]),
    (["--notify", "--output", "x"], ["--notify and --output"]),
    (["--notify", "--idempotent"], ["--notify and --idempotent"]),
    (["--stream", "--idempotent"], ["--stream and --idempotent"]),
    (["--items", "x"], ["--items", "--stream"]),
    (["--stream", "--items", "-", "--body", "-"], ["--items", "--body", "stdin"]),
    ([b"a=\xff"], ["PARAMS", "UTF-8"]),
])
def test_mistakes_of_usage_are_named(program, arguments, words):
    message = refused(program, "call", nobody(), "f", *arguments)
    assert all(word in message for word in words), message


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:x", "127.0.0.1:1,", ",127.0.0.1:1", ""])
def test_bad_addresses_are_mistakes_of_usage(program, address):
    refused(program, "call", address, "f")


def test_empty_methods_and_missing_arguments(program):
    assert "empty" in refused(program, "call", nobody(), "")
    for arguments in (["call"], ["call", nobody()], ["ping"], ["discover"], ["discover", nobody(), "x"],
                      ["ping", nobody(), "x"], ["call", nobody(), "f", "--body"]):
        _, messages = run(program, *arguments, expected=2)
        assert "--help" in messages


def test_other_commands_still_refuse_brackets(program):
    for arguments in (["send", nobody(), "[a].txt", "[call]"], ["[call]"]):
        message = refused(program, *arguments)
        assert message.startswith("an argument in brackets: ") and message.endswith(arguments[-1])


# --- call: bodies ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("body", [b"", b"x", BINARY, peers.content("5 MiB", 5 << 20)], ids=len)
def test_bodies_from_stdin_to_stdout(program, serve, body):
    output, messages = run(program, "call", serve().address, "echo", "[1]", "--body", "-", "--output", "-", stdin=body)
    assert output == body
    assert messages == "[1]\n"


@pytest.mark.parametrize("body", [b"", BINARY, peers.content("5 MiB", 5 << 20)], ids=len)
def test_bodies_from_a_file_to_a_file(program, serve, tmp_path, body):
    folder = tmp_path / "out"
    folder.mkdir()
    (tmp_path / "in").write_bytes(body)
    (folder / "reply").write_bytes(b"what was there before")
    arguments = ["call", serve().address, "upper", "--body", tmp_path / "in", "--output", folder / "reply"]
    assert run(program, *arguments) == (b"null\n", "")
    assert (folder / "reply").read_bytes() == body.upper()
    assert os.listdir(folder) == ["reply"]


def test_a_body_without_an_output_is_mentioned(program, serve):
    address = serve().address
    output, messages = run(program, "call", address, "upper", "--body", "-", stdin=BINARY)
    assert output == b"null\n"
    assert messages.count("\n") == 1 and " %d bytes " % len(BINARY) in messages and "--output" in messages
    assert run(program, "call", address, "upper", "--body", "-", "--quiet", stdin=BINARY) == (b"null\n", "")


def test_quiet_keeps_the_result_off_stderr(program, serve):
    arguments = ["call", serve().address, "echo", "[1]", "--body", "-", "--output", "-", "-q"]
    assert run(program, *arguments, stdin=b"abc") == (b"abc", "")


def test_outputs_that_cannot_be_made_prevent_the_call(program, tmp_path):
    with Answers(lambda header, body: [result(1)]) as peer:
        for path, words in [(tmp_path / "none" / "x", "No such file"), (tmp_path, "directory")]:
            message = refused(program, "call", peer.address, "f", "--output", path, expected=1)
            assert str(path) in message and words in message
        message = refused(program, "call", peer.address, "f", "--body", tmp_path / "none", expected=1)
        assert "--body %s" % (tmp_path / "none") in message and "No such file" in message
        message = refused(program, "call", peer.address, "f", "--body", tmp_path, expected=1)
        assert "directory" in message
    assert peer.messages == [] and os.listdir(tmp_path) == []


def test_failures_leave_no_half_file(program, tmp_path):
    path = tmp_path / "reply"
    path.write_bytes(b"old")
    cut = reference.encode({"id": 1, "result": 1, "body_size": 1000000}, b"x" * 500000)

    def serve(sock):
        reference.receive(sock)
        sock.sendall(cut)

    with Peer(serve) as peer:
        refused(program, "call", peer.address, "f", "--output", path, expected=1)
        refused(program, "call", peer.address, "f", "--stream", "--output", path, expected=1)
    with Answers(lambda header, body: [error(7, "no")]) as peer:
        refused(program, "call", peer.address, "f", "--output", path, expected=5)
    assert os.listdir(tmp_path) == ["reply"] and path.read_bytes() == b"old"


def test_outputs_to_links_and_devices(program, serve, tmp_path):
    address = serve().address
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    run(program, "call", address, "upper", "--body", "-", "--output", tmp_path / "link", stdin=b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"NEW"
    run(program, "call", address, "upper", "--body", "-", "--output", "/dev/null", stdin=b"new")
    assert not os.path.isfile("/dev/null")
    message = refused(program, "call", address, "upper", "--body", tmp_path / "real", "--output", "/dev/full", expected=1)
    assert "/dev/full" in message and "No space left" in message


def test_a_full_stdout_is_noticed(program, serve):
    address = serve().address
    with open("/dev/full", "wb") as full:
        for command in (["call", address, "echo"], ["discover", address], ["ping", address, "-c", "1"]):
            _, messages = run(program, *command, expected=1, stdout=full)
            assert "stdout" in messages


def test_new_files_get_the_mode_that_the_umask_says(program, serve, tmp_path):
    path = tmp_path / "reply"
    run(program, "call", serve().address, "echo", "--output", path)
    mask = os.umask(0)
    os.umask(mask)
    assert path.read_bytes() == b"" and path.stat().st_mode & 0o777 == 0o666 & ~mask


# --- call: what goes along ---------------------------------------------------------------------------------------

def test_metadata_timeout_and_digest_go_along(program):
    with Answers(lambda header, body: [result(1)]) as peer:
        arguments = ["call", peer.address, "f", "--metadata", "authorization=Bearer x=y", "a=1", "--metadata", "n=7",
                     "--metadata", "u=你", "--timeout", "9.5", "--digest", "--body", "-"]
        assert run(program, *arguments, stdin=BINARY) == (b"1\n", "")
        run(program, "call", peer.address, "f", environment={"FRAMECALL_TIMEOUT": "20"})
    (header, body), (later, _) = peer.messages
    assert body == BINARY
    assert header["params"] == {"a": 1}
    assert header["metadata"] == {"authorization": "Bearer x=y", "n": "7", "u": "你"}
    assert header["digest"] == {"sha-256": base64.b64encode(hashlib.sha256(BINARY).digest()).decode()}
    assert 0 < header["timeout_ms"] <= 9500 and 9500 < later["timeout_ms"] <= 20000


def test_digests_are_checked_by_both_sides(program, serve):
    assert run(program, "call", serve().address, "upper", "--body", "-", "--digest", "-q", stdin=b"a")[0] == b"null\n"
    wrong = {"sha-256": base64.b64encode(hashlib.sha256(b"another").digest()).decode()}
    with Answers(lambda header, body: [result(1, b"body", digest=wrong)]) as peer:
        message = refused(program, "call", peer.address, "f", "--output", "-", expected=1)
        assert "sha-256" in message.lower() or "digest" in message


def test_notifications_wait_for_nothing(program):
    came, arrived = [], threading.Event()

    def serve(sock):
        came.append(reference.receive(sock))
        arrived.set()
        assert peers.read_to_end(sock) == b""

    with Peer(serve) as peer:
        arguments = ["call", peer.address, "log", "text=hello", "--body", "-", "--notify"]
        assert run(program, *arguments, stdin=BINARY) == (b"", "")
        assert arrived.wait(PATIENCE)  # the command may be gone before it is even accepted
    (header, body), = came
    assert header == {"jsonrpc": "2.0", "method": "log", "params": {"text": "hello"}, "body_size": len(BINARY)}
    assert body == BINARY


def test_a_notification_to_nobody_is_noticed(program):
    assert "Connection refused" in refused(program, "call", nobody(), "f", "--notify", expected=3)


# --- call: errors ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("code, exit_code", [(7, 5), (-32602, 5), (-32041, 5), (-32045, 5), (-32044, 4)])
def test_errors_of_the_server(program, code, exit_code):
    with Answers(lambda header, body: [error(code, "no such\nluck", data={"why": [1, "é"]})]) as peer:
        for flags in ([], ["--stream"]):
            message = refused(program, "call", peer.address, "f", *flags, expected=exit_code)
            assert message == ('f: refused by the server: no such\\x0aluck (%d), data: {"why": [1, "\\u00e9"]}' % code)
    with Answers(lambda header, body: [error(code, "plain")]) as peer:
        message = refused(program, "call", peer.address, "f", expected=exit_code)
        assert message == "f: refused by the server: plain (%d)" % code


def test_nobody_there(program):
    address = nobody()
    message = refused(program, "call", address, "f", expected=3)
    assert message.startswith("f: cannot connect to %s (" % address) and message.endswith(": Connection refused")


def test_one_of_several_servers_is_enough(program, serve):
    address = serve().address
    for addresses in ("%s,%s,%s" % (nobody(), nobody(), address), "%s,%s" % (address, nobody())):
        assert result_of(program, addresses, "rpc.ping") == "pong"
    assert "cannot connect" in refused(program, "call", nobody() + "," + nobody(), "f", expected=3)


@pytest.mark.parametrize("flags", [[], ["--stream"]])
def test_answers_that_do_not_come_in_time(program, flags):
    with Answers(lambda header, body: []) as peer:
        message = refused(program, "call", peer.address, "f", "--timeout", "200ms", *flags, expected=4)
    assert 'no reply to "f"' in message and peer.messages[0][0]["timeout_ms"] <= 200


@pytest.mark.parametrize("flags", [[], ["--stream"]])
def test_lost_connections(program, flags):
    with Answers(lambda header, body: None) as peer:
        message = refused(program, "call", peer.address, "f", *flags, expected=1)
        assert message.startswith("f: UNAVAILABLE: ") and peer.address in message
    assert peer.connections == 1


def test_idempotent_calls_are_made_again(program):
    with Answers(lambda header, body: [result(2)] if len(peer.messages) == 2 else None) as peer:
        assert result_of(program, peer.address, "f", "--idempotent") == 2
    assert peer.connections == 2


@pytest.mark.parametrize("data, words", [
    (b"HTTP/1.1 200 OK\r\n\r\n", "HTTP"),
    (reference.encode({"id": 99, "result": 1}), "a reply to id 99"),
    (reference.encode({"file_name": "x", "file_size": 1}, b"y"), "where a reply was due"),
])
def test_answers_that_are_no_reply(program, data, words):
    def serve(sock):
        reference.receive(sock)
        sock.sendall(data)
        peers.read_to_end(sock)

    with Peer(serve) as peer:
        assert words in refused(program, "call", peer.address, "f", expected=1)


def test_an_interrupt_ends_a_call_and_leaves_nothing(program, tmp_path):
    with Answers(lambda header, body: []) as peer:
        process = subprocess.Popen([program, "call", peer.address, "f", "--output", str(tmp_path / "x")],
                                   env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            peer.wait(1)
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=PATIENCE) == (b"", b"") and process.returncode == 130
        finally:
            end(process)
    assert os.listdir(tmp_path) == []


# --- call: streams -----------------------------------------------------------------------------------------------

def read_lines(process, count):
    """The next lines of a process' stdout, as they come."""
    data = b""
    while data.count(b"\n") < count:
        assert select.select([process.stdout], [], [], PATIENCE)[0], "only %r" % data
        piece = os.read(process.stdout.fileno(), 4096)
        assert piece, "only %r" % data
        data += piece
    return data.splitlines()


def test_parts_are_printed_as_they_come(program):
    first_seen = threading.Event()

    def serve(sock):
        header, _ = reference.receive(sock)
        assert header["stream"] is True and "more" not in header
        text = b'{"id": 1, "result": {"n":\n 1}, "more": true}'
        sock.sendall(struct.pack("<i", len(text)) + text)
        assert first_seen.wait(PATIENCE)
        sock.sendall(reference.encode({"id": 1, "result": 2, "more": True}))
        sock.sendall(reference.encode({"id": 1, "result": None}))
        peers.read_to_end(sock)

    with Peer(serve) as peer:
        process = subprocess.Popen([program, "call", peer.address, "count", "--stream"], env=clean_environment(),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            assert read_lines(process, 1) == [b'{"n":  1}']
            first_seen.set()
            assert process.communicate(timeout=PATIENCE) == (b"2\n", b"") and process.returncode == 0
        finally:
            first_seen.set()
            end(process)


def test_bodies_of_parts_are_put_together(program, tmp_path):
    parts = [result(1, BINARY, more=True), result(None, b"-" * 300000, more=True), result("last", b"end")]
    whole = BINARY + b"-" * 300000 + b"end"
    lines = b'1\nnull\n"last"\n'
    with Answers(lambda header, body: parts) as peer:
        arguments = ["call", peer.address, "f", "--stream"]
        assert run(program, *arguments, "--output", tmp_path / "x") == (lines, "")
        assert (tmp_path / "x").read_bytes() == whole and os.listdir(tmp_path) == ["x"]
        assert run(program, *arguments, "--output", "-") == (whole, lines.decode())
        output, messages = run(program, *arguments)
        assert output == lines and " %d bytes " % len(whole) in messages
        assert run(program, *arguments, "--quiet") == (lines, "")


def test_a_stream_that_fails_shows_what_came_and_stores_nothing(program, tmp_path):
    with Answers(lambda header, body: [result(1, b"body", more=True), error(7, "broke")]) as peer:
        arguments = ["call", peer.address, "f", "--stream", "--output", tmp_path / "x"]
        assert run(program, *arguments, expected=5) == (b"1\n", "framecall: f: refused by the server: broke (7)\n")
    assert os.listdir(tmp_path) == []


def test_a_stream_without_the_flag_is_a_mistake_of_the_server(program):
    with Answers(lambda header, body: [result(1, more=True), result(2)]) as peer:
        assert "streamed reply" in refused(program, "call", peer.address, "f", expected=1)


def test_a_method_of_one_reply_may_be_streamed(program, serve):
    assert run(program, "call", serve().address, "echo", "[1]", "--stream") == (b"[1]\n", "")


class Collector(Peer):
    """Takes one streamed request, then answers with its items, each as a part, and with their count."""

    def __init__(self):
        super().__init__(self.requests)
        self.headers, self.bodies = [], []

    def requests(self, sock):
        while not self.headers or self.headers[-1].get("more"):
            message = reference.receive(sock)
            if not message or message[0].get("method") == "rpc.cancel":
                return
            self.headers.append(message[0])
            self.bodies.append(message[1])
        items = [header["item"] for header in self.headers[1:]]
        if items[-1] is None and not self.bodies[-1]:
            items.pop()  # the end alone, and no part
        for item in items:
            sock.sendall(reference.encode({"id": self.headers[0]["id"], "result": item, "more": True}))
        sock.sendall(reference.encode({"id": self.headers[0]["id"], "result": {"count": len(items)}}))
        peers.read_to_end(sock)


@pytest.mark.parametrize("way", ["stdin", "file"])
def test_items_are_parts_of_the_request(program, tmp_path, way):
    text = '1\n{"a": [2]}\r\n\n"é"\n 123456789012345678901234567890'.encode()
    (tmp_path / "items").write_bytes(text)
    with Collector() as peer:
        arguments = ["call", peer.address, "list", "start=5", "--stream", "--items"]
        if way == "stdin":
            output, _ = run(program, *arguments, "-", stdin=text)
        else:
            output, _ = run(program, *arguments, tmp_path / "items", "--body", "-", stdin=BINARY)
    values = [json.loads(line) for line in output.decode().splitlines()]
    assert values == [1, {"a": [2]}, "é", 123456789012345678901234567890, {"count": 4}]
    assert peer.headers[0]["stream"] is True and peer.headers[0]["more"] is True
    assert peer.headers[0]["params"] == {"start": 5} and "more" not in peer.headers[-1]
    assert peer.bodies[0] == (BINARY if way == "file" else b"") and not any(peer.bodies[1:])


@pytest.mark.parametrize("count", [0, 1, 20000])
def test_many_items_and_none(program, count):
    text = b"".join(b"%d\n" % n for n in range(count))
    with Collector() as peer:
        output, _ = run(program, "call", peer.address, "list", "--stream", "--items", "-", stdin=text)
    assert output == text + b'{"count": %d}\n' % count


def test_items_that_are_no_json_are_named(program, tmp_path):
    path = tmp_path / "items"
    path.write_text("1\n\nnot json\n")
    with Collector() as peer:
        message = refused(program, "call", peer.address, "list", "--stream", "--items", path, expected=1)
    assert "--items %s, line 3: " % path in message
    with Peer(lambda sock: None) as peer:
        missing = tmp_path / "none"
        message = refused(program, "call", peer.address, "list", "--stream", "--items", missing, expected=1)
        assert "--items %s: No such file" % missing in message
    assert peer.connections == 0


# --- ping --------------------------------------------------------------------------------------------------------

def check_statistics(lines, address, calls, replies, lost):
    assert lines[0] == "" and lines[1] == "--- %s ping statistics ---" % address
    match = re.fullmatch(r"(\d+) calls, (\d+) replies, (\S+)% lost, time (\d+) ms", lines[2])
    assert match and (int(match.group(1)), int(match.group(2)), match.group(3)) == (calls, replies, lost), lines
    if replies == 0:
        assert len(lines) == 3
        return
    number = r"(\d+\.\d{3})"
    pattern = r"rtt min/avg/max/mdev = %s/%s/%s/%s ms" % ((number,) * 4)
    if replies > 1:
        pattern += r", p50/p99 = %s/%s ms" % (number, number)
    figures = [float(figure) for figure in re.fullmatch(pattern, lines[3]).groups()]
    assert figures[0] <= figures[1] <= figures[2] and len(lines) == 4
    if replies > 1:
        assert figures[0] <= figures[4] <= figures[5] <= figures[2]
    else:
        assert figures[0] == figures[1] == figures[2] and figures[3] == 0


@pytest.mark.parametrize("count, size", [(1, 0), (3, 64), (3, 100000)])
def test_pings(program, serve, count, size):
    address = serve().address
    began = time.monotonic()
    output, messages = run(program, "ping", address, "-c", count, "-i", "50ms", "--size", size)
    assert time.monotonic() - began >= 0.05 * (count - 1)
    lines = output.decode().splitlines()
    assert messages == ""
    for n in range(count):
        assert re.fullmatch(REPLY_LINE % (size, address, n + 1), lines[n])
    check_statistics(lines[count:], address, count, count, "0")


def test_pings_use_one_connection_and_rpc_ping(program):
    with Answers(lambda header, body: [result("pong", body)]) as peer:
        run(program, "ping", peer.address, "-c", "5", "-i", "0", "--size", "300")
    assert peer.connections == 1 and len(peer.messages) == 5
    for header, body in peer.messages:
        assert header["method"] == "rpc.ping" and "params" not in header and body == bytes(n % 256 for n in range(300))


def test_quiet_pings_print_the_statistics_alone(program, serve):
    address = serve().address
    output, messages = run(program, "ping", address, "--count", "1000", "--interval", "0", "--quiet")
    assert messages == ""
    check_statistics(output.decode().splitlines(), address, 1000, 1000, "0")


def test_the_figures_are_those_of_the_lines(program, serve):
    lines = run(program, "ping", serve().address, "-c", "20", "-i", "0", "--json")[0].decode().splitlines()
    pings, summary = [json.loads(line) for line in lines[:-1]], json.loads(lines[-1])
    assert [ping["seq"] for ping in pings] == list(range(1, 21)) and all(ping["bytes"] == 0 for ping in pings)
    times = sorted(ping["time_ms"] for ping in pings)
    average = sum(times) / 20
    deviation = (sum((one - average) ** 2 for one in times) / 20) ** 0.5
    expected = {"min": times[0], "avg": average, "max": times[-1], "mdev": deviation, "p50": times[9], "p99": times[19]}
    assert summary["rtt_ms"] == pytest.approx(expected, abs=0.0025)  # each time is rounded
    assert (summary["calls"], summary["replies"], summary["lost"]) == (20, 20, 0)


@pytest.mark.parametrize("arguments", [[], ["-i", "0", "-q"], ["-i", "1h"]])
def test_an_interrupt_ends_pings_with_the_statistics(program, arguments):
    with Answers(lambda header, body: [result("pong", body)]) as peer:
        command = [program, "ping", peer.address] + arguments
        process = subprocess.Popen(command, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            if "-q" in arguments:
                peer.wait(100)
            else:
                assert re.fullmatch(REPLY_LINE % (0, peer.address, 1), read_lines(process, 1)[0].decode())
            process.send_signal(signal.SIGINT)
            output, messages = process.communicate(timeout=PATIENCE)
            assert (process.returncode, messages) == (0, b"")
        finally:
            end(process)
    text = output.decode()
    assert "\n--- %s ping statistics ---\n" % peer.address in text
    calls, replies = re.search(r"(\d+) calls, (\d+) replies, ", text).groups()
    assert int(calls) - int(replies) in (0, 1)  # it may come in the middle of one


def test_an_interrupt_before_any_reply(program):
    with Answers(lambda header, body: []) as peer:
        process = subprocess.Popen([program, "ping", peer.address], env=clean_environment(), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        try:
            peer.wait(1)
            process.send_signal(signal.SIGINT)
            output, messages = process.communicate(timeout=PATIENCE)
            assert (process.returncode, messages) == (130, b"")
        finally:
            end(process)
    check_statistics(output.decode().splitlines(), peer.address, 1, 0, "100")


def test_pings_to_nobody(program):
    address = nobody()
    output, messages = run(program, "ping", address, "-c", "3", "-i", "10ms", expected=3)
    check_statistics(output.decode().splitlines(), address, 3, 0, "100")
    lines = messages.splitlines()
    assert len(lines) == 3
    for n, line in enumerate(lines):
        assert line.startswith("framecall: seq=%d: cannot connect to %s" % (n + 1, address)) and "refused" in line


def test_pings_without_a_reply_time_out(program):
    with Answers(lambda header, body: []) as peer:
        arguments = ["ping", peer.address, "-c", "2", "-i", "0", "--timeout", "50ms"]
        output, messages = run(program, *arguments, expected=4)
    check_statistics(output.decode().splitlines(), peer.address, 2, 0, "100")
    assert [line.partition(": ")[2][:6] for line in messages.splitlines()] == ["seq=1:", "seq=2:"]


@pytest.mark.parametrize("answer, exit_code, words", [
    (None, 1, "UNAVAILABLE"),
    ([error(-32601, "no pings here")], 5, "refused by the server: no pings here (-32601)"),
    ([error(-32044, "late")], 4, "late (-32044)"),
    ([result("pong", b"xyz")], 1, "changed"),
    ([result("pong")], 1, "changed: 3 bytes sent, 0 received"),
])
def test_what_else_is_a_lost_ping(program, answer, exit_code, words):
    with Answers(lambda header, body: answer) as peer:
        arguments = ["ping", peer.address, "-c", "1", "--size", "3"]
        output, messages = run(program, *arguments, expected=exit_code)
    assert messages.startswith("framecall: seq=1: ") and words in messages
    check_statistics(output.decode().splitlines(), peer.address, 1, 0, "100")


def test_pings_go_on_after_a_loss(program):
    with Answers(lambda header, body: None if len(peer.messages) == 2 else [result("pong", body)]) as peer:
        output, messages = run(program, "ping", peer.address, "-c", "3", "-i", "0")
        assert peer.connections == 2
    lines = output.decode().splitlines()
    assert [re.search(r"seq=(\d)", line).group(1) for line in lines[:2]] == ["1", "3"]
    assert messages.count("\n") == 1 and messages.startswith("framecall: seq=2: UNAVAILABLE: ")
    check_statistics(lines[2:], peer.address, 3, 2, "33.3333")


def test_lost_pings_as_json(program):
    address = nobody()
    output, messages = run(program, "ping", address, "-c", "1", "--json", expected=3)
    ping, summary = [json.loads(line) for line in output.decode().splitlines()]
    assert messages == "" and ping["seq"] == 1 and "refused" in ping["error"]
    assert summary["lost"] == summary["calls"] == 1 and "rtt_ms" not in summary and summary["address"] == address
    output, messages = run(program, "ping", address, "-c", "1", "--json", "-q", expected=3)
    assert output.count(b"\n") == 1 and "refused" in messages


def test_pings_end_when_nobody_reads_them(program, serve):
    process = subprocess.Popen([program, "ping", serve().address, "-i", "0"], env=clean_environment(),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        read_lines(process, 1)
        process.stdout.close()
        assert process.wait(PATIENCE) == 1
        assert b"stdout" in process.stderr.read()
    finally:
        end(process)


@pytest.mark.parametrize("arguments", [["-c", "0"], ["-c", "-1"], ["-i", "x"], ["-i", "-1"], ["--size", "x"],
                                       ["--size", "2G"], ["--timeout", "x"]])
def test_mistakes_of_usage_in_ping(program, arguments):
    refused(program, "ping", nobody(), *arguments)


# --- discover ----------------------------------------------------------------------------------------------------

def test_the_methods_of_the_program(program, serve):
    address = serve().address
    output, messages = run(program, "discover", address)
    lines = output.decode().splitlines()
    assert messages == "" and [line.split("(")[0] for line in lines] == [
        "echo", "file.get", "file.list", "file.put", "file.remove", "file.stat", "rpc.cancel", "rpc.discover", "rpc.health", "rpc.ping", "rpc.stats", "upper"]
    output, messages = run(program, "discover", address, "--json")
    document = json.loads(output)
    assert messages == "" and document == result_of(program, address, "rpc.discover")
    columns = set()
    for method, line in zip(document["methods"], lines):
        assert line.startswith(method["name"] + "(") and line.endswith("  " + method["summary"]), line
        columns.add(len(line) - len(method["summary"]))
    assert len(columns) < 5, "one below the other, but where the names are too long for it"


def parameter(name, schema, required=True):
    return {"name": name, "required": required, "schema": schema}


INTEGER = {"type": "integer"}


@pytest.mark.parametrize("method, line", [
    ({"params": [parameter("a", INTEGER), parameter("b", INTEGER)], "result": {"schema": INTEGER}},
     "f(a: integer, b: integer) -> integer"),
    ({"params": [parameter("a", {}), parameter("b", {"type": "string"}, False)]}, "f(a, b?: string)"),
    ({"params": [parameter("a", {"type": "array", "items": INTEGER})],
      "result": {"schema": {"type": "array", "items": {}}}}, "f(a: array of integer) -> array"),
    ({"params": [], "result": {"schema": {"type": "object", "additionalProperties": {"type": "number"}}}},
     "f() -> object of number"),
    ({"params": [parameter("a", {"type": ["integer", "null"]})]}, "f(a: integer | null)"),
    ({"params": [parameter("a", {"anyOf": [INTEGER, {"type": "array", "items": INTEGER}]})]},
     "f(a: integer | array of integer)"),
    ({"params": [parameter("a", {"oneOf": [INTEGER, {}]})]}, "f(a)"),
    ({"params": [parameter("a", {"$ref": "#/components/schemas/Point"})]}, "f(a: Point)"),
    ({"params": [parameter("a", {"type": "object", "additionalProperties": False})], "summary": "does\nit\x1b"},
     "f(a: object)  does\\x0ait\\x1b"),
    ({"params": "x", "result": 1, "summary": 3}, "f(?)"),
    ({}, "f()"),
])
def test_methods_are_lines(program, method, line):
    document = {"openrpc": "1.3.2", "methods": [dict(method, name="f")]}
    with Answers(lambda header, body: [result(document)]) as peer:
        assert run(program, "discover", peer.address) == (line.encode() + b"\n", "")
    assert peer.messages[0][0]["method"] == "rpc.discover"


def test_columns_line_up_and_long_ones_do_not_push(program):
    names = ["f", "größer", "x" * 90]
    methods = [{"name": name, "params": [], "summary": "what it does"} for name in names]
    with Answers(lambda header, body: [result({"methods": methods})]) as peer:
        lines = run(program, "discover", peer.address)[0].decode().splitlines()
    assert lines == [(name + "()").ljust(len("größer()")) + "  what it does" for name in names]


def test_documents_are_printed_as_they_came(program):
    text = b'{"methods":[ ],"x":  123456789012345678901234567890}'
    with raw_reply(b'{"id": 1, "result": ' + text + b"}") as peer:
        assert run(program, "discover", peer.address, "--json") == (text + b"\n", "")
    with raw_reply(b'{"id": 1, "result": ' + text + b"}") as peer:
        assert run(program, "discover", peer.address) == (b"", "")


def test_servers_that_discover_nothing(program):
    for value in ("x", None, [], {}, {"methods": {}}):
        with Answers(lambda header, body: [result(value)]) as peer:
            assert "OpenRPC" in refused(program, "discover", peer.address, expected=1)
    with Answers(lambda header, body: [error(-32601, "no")]) as peer:
        message = refused(program, "discover", peer.address, expected=5)
        assert message == "rpc.discover: refused by the server: no (-32601)"
    with Answers(lambda header, body: []) as peer:
        refused(program, "discover", peer.address, "--timeout", "50ms", expected=4)
    refused(program, "discover", nobody(), expected=3)
    refused(program, "discover", "nowhere", expected=2)
    refused(program, "discover", nobody(), "--timeout", "x", expected=2)


@pytest.fixture(scope="module")
def two_addresses(tmp_path_factory):
    """A command in front of a program for which the name two.test has the addresses 127.0.0.1 and 127.0.0.2, in this order."""
    hosts = tmp_path_factory.mktemp("hosts") / "hosts"
    hosts.write_text("127.0.0.1 two.test\n127.0.0.2 two.test\n")
    command = ["unshare", "-r", "-m", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts)]
    try:
        probe = subprocess.run(command + ["getent", "ahosts", "two.test"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    if b"127.0.0.2" not in probe.stdout:
        pytest.skip("no mount namespace of our own: %r" % probe.stdout)
    return command


CALL_OF_PYTHON = """
import asyncio, sys, framecall, framecall.aio

async def call(address):
    async with framecall.aio.Client(address, timeout=0.5) as client:
        await client.call("x")

try:
    if sys.argv[1] == "aio":
        asyncio.run(call(sys.argv[2]))
    else:
        framecall.Client(sys.argv[2], timeout=0.5).call("x")
except TimeoutError:
    print("late")
"""


@pytest.mark.parametrize("kind", ["program", "blocking", "aio"])
def test_nothing_is_sent_once_it_is_late(program, two_addresses, kind):
    """The first address of the name lets its caller wait for the whole of the time; the second one would answer at once."""
    if kind != "program":
        pytest.importorskip("framecall")
    with socket.socket() as full, socket.socket() as filling, socket.socket() as other:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        filling.connect(full.getsockname())
        other.bind(("127.0.0.2", full.getsockname()[1]))
        other.listen(16)
        address = "two.test:%d" % full.getsockname()[1]
        command = [program, "call", address, "x", "--timeout", "0.5"] if kind == "program" else [
            sys.executable, "-c", CALL_OF_PYTHON, kind, address]
        result = subprocess.run(two_addresses + command, env=clean_environment(), timeout=PATIENCE, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert (result.returncode == 4) if kind == "program" else (result.stdout == b"late\n"), result.stderr.decode()
        other.setblocking(False)
        try:
            sock, _ = other.accept()
        except BlockingIOError:
            return
        with sock:
            sock.settimeout(PATIENCE)
            assert sock.recv(1000) == b"", "the connection has ended without a call"
