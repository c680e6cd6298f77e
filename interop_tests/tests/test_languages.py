"""The peers of peers/languages/, which are the wire in the standard libraries of many languages: their clients against the C++
server, the C++ clients against their servers, and what each of them does when the other side is wrong."""
import json
import os
import re
import socket
import struct
import subprocess
import threading

import languages
import make_vectors
import peers
import pytest
import reference
from languages import CASES, CLIENTS, SERVERS, SOURCES
from processes import INTEROP, PATIENCE, wait_until
from test_vectors import VECTORS, expand

PLAIN_CLIENTS = [peer.key for peer in CLIENTS if not peer.key.startswith(("cpp_", "package_", "command_"))]
PLAIN_SERVERS = [peer.key for peer in SERVERS if peer.key not in ("cpp", "package")]
CPP_CLIENTS = ["cpp_blocking", "cpp_async"]


def or_skip(make):
    """make(key), or a skip that says what is missing."""
    def get(key):
        try:
            return make(key)
        except languages.Missing as missing:
            pytest.skip(str(missing))
    return get


@pytest.fixture
def client(language_peers):
    """client(key) -> its command line."""
    return or_skip(language_peers.client)


@pytest.fixture
def server(language_peers):
    """server(key) -> the running server."""
    return or_skip(language_peers.server)


@pytest.fixture
def vectors_reader(language_builder):
    """vectors_reader(key) -> its command line."""
    return or_skip(lambda key: languages.VECTORS[key](language_builder))


def check(command, key, server, cases, **options):
    outcomes = languages.run_cases(command, languages.by_key(CLIENTS, key).upload, server, cases, **options)
    assert outcomes == dict.fromkeys(cases, ""), "stderr of the server:\n" + server.log()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("key", PLAIN_CLIENTS)
def test_client_and_cpp_server(client, server, key, case):
    check(client(key), key, server("cpp"), [case])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("key", PLAIN_SERVERS)
@pytest.mark.parametrize("cpp", CPP_CLIENTS)
def test_cpp_client_and_server(client, server, cpp, key, case):
    check(client(cpp), cpp, server(key), [case])


# How many cases to decode and to encode each of them agrees to, at least; the others are named by it.
VECTOR_COUNTS = {"python27": (222, 17), "python": (223, 17), "javascript": (201, 14), "go": (211, 17), "java": (218, 15),
                 "rust": (178, 11), "c": (167, 11), "perl": (202, 16), "bash": (170, 11)}


def read_vectors(command, path):
    """The exit code, and what is printed."""
    result = subprocess.run([*command, path], env=languages.clean_environment(), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=4 * PATIENCE)
    assert result.stderr == b"", result
    return result.returncode, result.stdout.decode()


def check_vectors(command, decode, encode):
    code, output = read_vectors(command, make_vectors.path())
    match = re.fullmatch(r"vectors: (\d+) decode, (\d+) encode agree; (\d+) outside: (.+)\n", output)
    assert code == 0 and match, output
    agreed = int(match.group(1)), int(match.group(2))
    assert agreed[0] >= decode > 0 and agreed[1] >= encode > 0, output
    named = re.findall(r'"([^"]*)"', match.group(4))
    assert len(named) == int(match.group(3)), output
    assert sum(agreed) + len(named) == len(VECTORS["decode"]) + len(VECTORS["encode"]), output


@pytest.mark.parametrize("key", PLAIN_CLIENTS)
def test_vectors(vectors_reader, key):
    """Each language's client reads and writes what vectors.json says, but for cases that are named."""
    check_vectors(vectors_reader(key), *VECTOR_COUNTS[key])


def test_readme_says_what_agrees():
    with open(os.path.join(INTEROP, "README.md"), encoding="utf-8") as f:
        text = f.read()
    assert "| `decode`, of %d: agree | `encode`, of %d: agree |" % tuple(len(VECTORS[k]) for k in ("decode", "encode")) in text
    rows = re.findall(r"\n\| `[vV]ectors\.(\w+)` \|.+?\| (\d+): .+?\| (\d+): ", text)
    keys = {"py": "python", "js": "javascript", "java": "java", "go": "go", "pl": "perl", "rs": "rust", "c": "c", "sh": "bash"}
    assert {keys[ending]: (int(decode), int(encode)) for ending, decode, encode in rows} == {
        key: counts for key, counts in VECTOR_COUNTS.items() if key != "python27"}


def test_vectors_by_every_python(python):
    check_vectors([python, os.path.join(SOURCES, "vectors.py")], *VECTOR_COUNTS["python27"])


@pytest.mark.parametrize("key", PLAIN_CLIENTS)
def test_a_reader_of_vectors_notices(vectors_reader, key, tmp_path):
    """One nibble of a body, another end, a message that is not there, and a length that is written otherwise."""
    def case(kind, name):
        return dict(next(case for case in VECTORS[kind] if case["name"] == name))
    body, end = case("decode", "request with a body"), case("decode", "cut inside the second prefix")
    body["messages"] = [dict(body["messages"][0], body="68656c6c6e")]
    end["end"] = "closed"
    more, size = case("decode", "two frames at once"), case("decode", "file_size -1")
    more["messages"] = more["messages"][:1]
    size["end"] = "closed"
    written = case("encode", "upload")
    written["hex"] = "27" + written["hex"][2:]
    file = dict(VECTORS, decode=[body, end, more, size], encode=[written])
    path = tmp_path / "vectors.json"
    lines = {kind: ",\n  ".join(json.dumps(case) for case in file[kind]) for kind in ("decode", "encode")}
    path.write_text('{\n "about": [],\n "decode": [\n  %(decode)s\n ],\n "encode": [\n  %(encode)s\n ]\n}\n' % lines)
    code, output = read_vectors(vectors_reader(key), path)
    assert code == 1, output
    for kind in ("decode", "encode"):
        for changed in file[kind]:
            assert "%s %s: " % (kind, changed["name"]) in output, output
    assert "\nvectors: 0 decode, 0 encode agree; 0 outside: \n" in output, output


def test_every_python(client, server, language_peers, python):
    """The plain client and the plain server under each CPython that was found."""
    check([python, os.path.join(SOURCES, "client.py")], "python", server("cpp"), CASES)
    plain = language_peers.start("python of " + python.replace("/", "_"), [python, os.path.join(SOURCES, "server.py")])
    check(client("cpp_blocking"), "cpp_blocking", plain, CASES)


# Five MiB in pieces of 1 to 10 bytes take long, and show nothing that the upload does not.
RELAY_CASES = [case for case in CASES if case != "big"]


@pytest.mark.parametrize("key", ["javascript", "c", "bash"])
def test_client_through_the_relay(client, server, relay, key):
    peer = server("cpp")
    check(client(key), key, peer, RELAY_CASES, port=relay(peer.port, seed=key, both=True))


@pytest.mark.parametrize("key", ["go", "javascript"])
def test_server_through_the_relay(client, server, relay, key):
    peer = server(key)
    check(client("cpp_async"), "cpp_async", peer, RELAY_CASES, port=relay(peer.port, seed=key, both=True))


# ---- clients whose server is wrong

def wrong_answers(header, body):
    """Frames that are no proper answer to the request."""
    answer = {"jsonrpc": "2.0", "id": header.get("id"), "result": None}
    method = header.get("method")
    if method is None:
        return [({"jsonrpc": "2.0", "id": None, "error": {"code": -32048, "message": "too large"}}, b"")]
    if method == "count":  # one part is not there
        return [(dict(answer, result=n, more=True), b"") for n in (0, 1, 2, 4)] + [(answer, b"")]
    if method == "file.get":
        other = languages.SHARED[:-1] + bytes([languages.SHARED[-1] ^ 1])
        result = {"name": "shared.bin", "size": len(other), "offset": 0, "length": len(other), "mtime": 0}
        return [(dict(answer, result=result, body_size=len(other)), other)]
    if body:  # the last byte is another one, or not in upper case
        body = (body.upper() if method == "upper" else body)[:-1] + bytes([body[-1] ^ 1])
        return [(dict(answer, body_size=len(body)), body)]
    return [(dict(answer, result={"add": 6, "say": "naïve 你好"}.get(method)), b"")]


def answer_wrongly(sock):
    while True:
        frame = reference.receive(sock)
        if len(frame) < 2:
            return
        sock.sendall(b"".join(reference.encode(*answer) for answer in wrong_answers(*frame)))
        if "method" not in frame[0]:
            return


def raw_answer(data):
    def answer(sock):
        if len(reference.receive(sock)) == 2:
            sock.sendall(data)
    return answer


BAD_SERVERS = {
    "wrong": answer_wrongly,
    "negative length": raw_answer(struct.pack("<i", -5) + b"x" * 100),
    "large length": raw_answer(struct.pack("<i", 0x7fffffff) + b"x" * 100),
    "not JSON": raw_answer(struct.pack("<i", 5) + b"hello"),
    "cut header": raw_answer(struct.pack("<i", 50) + b'{"jsonrpc": "2.0"'),
    "cut body": raw_answer(reference.encode({"jsonrpc": "2.0", "id": 1, "result": 5, "body_size": 9}, b"HELLO")),
    "large body": raw_answer(reference.encode({"jsonrpc": "2.0", "id": 1, "result": 5, "body_size": 1 << 50}, b"HELLO")),
    "negative body": raw_answer(reference.encode({"jsonrpc": "2.0", "id": 1, "result": 5, "body_size": -1}, b"HELLO")),
    "another id": raw_answer(reference.encode({"jsonrpc": "2.0", "id": 77, "result": 5})),
}


class BadServer:
    """Serves one connection after the other."""

    def __init__(self, answer):
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(PATIENCE)

    def run(self):
        while True:
            try:
                sock = self.listener.accept()[0]
            except OSError:
                return
            with sock:
                sock.settimeout(PATIENCE)
                try:
                    self.answer(sock)
                    sock.shutdown(socket.SHUT_WR)
                    peers.read_to_end(sock)  # so that no reset hides what was sent
                except (OSError, reference.ProtocolError):
                    pass


@pytest.mark.parametrize("what", BAD_SERVERS)
@pytest.mark.parametrize("key", [*PLAIN_CLIENTS, *CPP_CLIENTS, "command_line"])
def test_a_client_notices(client, key, what):
    """Every case fails, with a reason, and soon."""
    command = client(key)
    # Of what an upload's receiver says, framecall's own senders mind a refusal alone: scripts say all sorts of things.
    cases = CASES if key in PLAIN_CLIENTS or what == "wrong" else [case for case in CASES if case != "upload"]
    with BadServer(BAD_SERVERS[what]) as bad:
        outcomes = languages.run_client(command, bad.port, cases)
    content = [case for case, problem in outcomes.items() if not problem]
    assert content == [], outcomes


@pytest.mark.parametrize("key", [*PLAIN_CLIENTS, *CPP_CLIENTS, "command_line"])
def test_usage_and_no_server(client, key):
    command = client(key)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    outcomes = languages.run_client(command, port, ["upper", "upload"])
    assert all(outcomes.values()), outcomes
    for arguments in ([], ["127.0.0.1", str(port)], ["127.0.0.1", str(port), "upper", "no-such-case"]):
        result = subprocess.run([*command, *arguments], env=languages.client_environment(), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
        assert (result.returncode, result.stdout) == (2, b""), (arguments, result)
        assert result.stderr.startswith(b"usage: "), result.stderr


# ---- servers whose client is wrong

def call(sock, header, body=b""):
    sock.sendall(reference.encode(header, body))
    return reference.receive(sock)


REFUSED = [
    ("negative length", struct.pack("<i", -1), -32600),
    ("large length", struct.pack("<i", 1 << 30), -32600),
    ("length 0", struct.pack("<i", 0), -32600),
    ("not JSON", struct.pack("<i", 5) + b"hello", -32700),
    ("not UTF-8", struct.pack("<i", 9) + b'{"a":"\xff"}', -32700),
    ("an array", struct.pack("<i", 2) + b"[]", -32600),
    ("no kind of frame", struct.pack("<i", 2) + b"{}", (-32600, -32602)),
    ("a reply", reference.encode({"id": 1, "result": 1}), -32600),
    ("negative body", struct.pack("<i", 44) + b'{"id":1,"method":"upper","body_size":    -1}', -32600),
    ("bad name", reference.encode({"file_name": "../x", "file_size": 0}), -32602),
    ("name of a drive", reference.encode({"file_name": "C:x", "file_size": 0}), -32602),
    ("name with a line end", reference.encode({"file_name": "x\n", "file_size": 0}), -32602),
    ("negative file", struct.pack("<i", 36) + b'{"file_name": "x", "file_size":  -1}', -32600),
    ("size is text", struct.pack("<i", 36) + b'{"file_name": "x", "file_size": "1"}', -32600),
]


@pytest.mark.parametrize("key", PLAIN_SERVERS)
def test_bad_frames_end_their_connection_only(server, key):
    peer = server(key)
    before = sorted(os.listdir(peer.root))
    with peers.connect(peer.port) as bystander:
        for number, (what, data, code) in enumerate(REFUSED):
            error = reference.decode(refused(peer.port, data))[0]
            assert len(error) == 1 and error[0][0]["id"] is None, (what, error)
            codes = code if isinstance(code, tuple) else (code,)
            assert error[0][0]["error"]["code"] in codes and error[0][0]["error"]["message"], (what, error)
            assert call(bystander, {"id": number, "method": "upper", "body_size": 2}, b"ok")[1] == b"OK"
    assert sorted(os.listdir(peer.root)) == before


def refused(port, data):
    with peers.connect(port) as sock:
        sock.sendall(data)
        return peers.read_to_end(sock)


@pytest.mark.parametrize("key", PLAIN_SERVERS)
def test_servers_survive_the_vectors(server, key):
    """All streams of vectors.json, as far as they are of a usual size: whatever the answer is, it ends, and the server
    serves others. Which unusual JSON is taken depends on the language; lengths do not."""
    peer = server(key)
    before = sorted(os.listdir(peer.root))
    for case in VECTORS["decode"]:
        data = bytes.fromhex(expand(case["hex"]))
        if len(data) > 100000:
            continue
        with peers.connect(peer.port) as sock:
            peers.send_all(sock, data)
            answers, cut, end = reference.decode(peers.finish(sock))
        assert (cut, end) == ([], "closed"), case["name"]
        length = struct.unpack("<i", data[:4])[0] if len(data) >= 4 else 2
        if not 2 <= length <= 1 << 20:
            assert answers[0][0]["error"]["code"] == -32600, (case["name"], answers)
        with peers.connect(peer.port) as sock:
            assert call(sock, {"id": 1, "method": "upper", "body_size": 2}, b"ok")[1] == b"OK", case["name"]
    stored = [name for name in os.listdir(peer.root) if name not in before]
    assert not [name for name in stored if name.startswith(".part-")], stored
    for name in stored:  # some of the vectors are uploads
        os.unlink(peer.path(name))


@pytest.mark.parametrize("key", PLAIN_SERVERS)
def test_bad_calls_are_answered(server, key):
    """Their connection goes on."""
    with peers.connect(server(key).port) as sock:
        for number, (method, params, codes) in enumerate([
                ("no.such.method", {}, (-32601,)), ("add", {"a": 1}, (-32602,)), ("add", [1, 2, 3], (-32602,)),
                ("add", {"a": "x", "b": 1}, (-32602,)), ("say", {"text": 5}, (-32602,)), ("say", [], (-32602,)),
                ("count", {"n": 3}, (-32600,)), ("file.get", {"name": "missing"}, (-32045,)),
                ("file.get", {"name": "../passwd"}, (-32602,)), ("file.get", {"name": 5}, (-32602,)),
                ("file.get", {"name": "shared.bin", "offset": 1 << 40}, (-32051,)),
                ("file.get", {"name": "shared.bin", "offset": 5, "length": -1}, (-32051,))]):
            header, body = call(sock, {"id": number, "method": method, "params": params})
            assert header["id"] == number and header["error"]["code"] in codes and body == b"", header
        header, body = call(sock, {"id": "x", "method": "file.get",
                                   "params": {"name": "shared.bin", "offset": 300000, "length": 1}})
        assert header["result"]["length"] == 1 and body == languages.SHARED[300000:]
        sock.sendall(reference.encode({"method": "upper"}))  # a notification gets no answer
        header, _ = call(sock, {"id": "last", "method": "echo", "params": {"a": [1, None, "ü"]}})
        assert header["id"] == "last" and header["result"] == {"a": [1, None, "ü"]}


@pytest.mark.parametrize("key", PLAIN_SERVERS)
def test_uploads(server, key):
    """Several on a connection, every spelling; one that is cut off leaves nothing, and the older file as it was."""
    peer = server(key)
    files = {"a": b"1" * 100000, "你好 🚀": b"2", "empty": b"", "d": b"4"}
    keys = ["file_size", "file_siz", "filesize", "total_size"]
    data = b"".join(peers.upload_frame(name, body, size_key, "filename" if name == "d" else "file_name")
                    for (name, body), size_key in zip(files.items(), keys))
    with peers.connect(peer.port) as sock:
        sock.sendall(data)
        assert peers.finish(sock) == b""
    assert {name: peers.read(peer.path(name)) for name in files} == files
    with peers.connect(peer.port) as sock:
        sock.sendall(peers.upload_frame("a", b"other" * 100000)[:-1])
        peers.finish(sock)
    wait_until(lambda: sorted(name for name in os.listdir(peer.root) if not name.startswith("upload-")) ==
               sorted([*files, "shared.bin"]), "the part of the cut-off upload is gone")
    assert peers.read(peer.path("a")) == files["a"]
    for name in files:
        os.unlink(peer.path(name))
