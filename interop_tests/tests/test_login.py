"""A login in the dialect guards everything that the port serves: each way to the same goods is tried without one."""
import json
import socket
import subprocess

import peers
import pytest
import reference
from processes import PATIENCE, clean_environment

UNAUTHENTICATED = -32056
LOGIN = '[login]\nform = "frame"\n[answer]\nlogin_ok = { frame = \'{"ok": 1}\' }\nlogin_failed = { text = "no" }\n'
CALLS = [
    ("rpc.ping", None, b""), ("rpc.discover", None, b""), ("rpc.health", None, b""), ("rpc.stats", None, b""),
    ("echo", ["x"], b"body"), ("upper", None, b"body"), ("file.list", {}, b""), ("file.stat", {"name": "kept"}, b""),
    ("file.get", {"name": "kept"}, b""), ("file.remove", {"name": "kept"}, b""),
    ("file.put", {"name": "new", "size": 4}, b"body"), ("file.put", {"name": "big", "size": 1 << 21}, bytes(1 << 21)),
    ("no.such.method", None, b"")]


@pytest.fixture
def users(program, tmp_path):
    subprocess.run([program, "passwd", "--quiet", str(tmp_path / "users"), "ann"], input=b"secret\n", check=True,
                   env=clean_environment(), timeout=PATIENCE, stdout=subprocess.DEVNULL)
    return str(tmp_path / "users")


@pytest.fixture
def guarded(serve, tmp_path, users):
    """guarded(text="", *flags) -> a server whose dialect has a login, with one file in its root."""
    def start(*flags, text=""):
        (tmp_path / "guarded.toml").write_text(LOGIN + text)
        server = serve("--dialect", tmp_path / "guarded.toml", "--users", users, *flags)
        with open(server.root + "/kept", "w") as f:
            f.write("private")
        return server
    return start


def login(password="secret"):
    return reference.encode({"username": "ann", "password": password})


def call(method, params, body):
    header = {"jsonrpc": "2.0", "id": 7, "method": method}
    if params is not None:
        header["params"] = params
    return reference.encode(dict(header, body_size=len(body)), body)


def replies(data):
    messages, cut, end = reference.decode(data)
    assert (cut, end) == ([], "closed"), data
    return [header for header, _ in messages]


@pytest.mark.parametrize("method,params,body", CALLS, ids=lambda value: value if isinstance(value, str) else "")
def test_every_call_before_the_login_is_refused(guarded, method, params, body):
    server = guarded()
    with peers.connect(server.port) as sock:
        sock.sendall(call(method, params, body) * 2)
        answers = replies(peers.finish(sock))
    assert [(a["id"], a["error"]["code"]) for a in answers] == [(7, UNAUTHENTICATED)] * 2, answers
    assert "private" not in json.dumps(answers)
    assert server.names() == ["kept"] and peers.read(server.root + "/kept") == b"private"


def test_calls_behind_a_good_login_are_answered_and_behind_a_bad_one_are_not(guarded):
    server = guarded()
    with peers.connect(server.port) as sock:
        sock.sendall(call("rpc.ping", None, b"") + login() + call("rpc.ping", None, b""))
        first, ok, second = replies(peers.finish(sock))
    assert first["error"]["code"] == UNAUTHENTICATED and ok == {"ok": 1} and second["result"] == "pong"
    with peers.connect(server.port) as sock:
        sock.sendall(login("wrong"))
        assert sock.recv(2) == b"no"
        sock.sendall(call("file.get", {"name": "kept"}, b""))
        assert replies(peers.finish(sock))[0]["error"]["code"] == UNAUTHENTICATED


def test_notifications_parts_and_replies_do_nothing(guarded):
    server = guarded()
    with peers.connect(server.port) as sock:
        sock.sendall(reference.encode({"method": "file.remove", "params": {"name": "kept"}}) +
                     reference.encode({"id": 1, "item": 5}))
        assert [a["error"]["code"] for a in replies(peers.finish(sock))] == [UNAUTHENTICATED]
    with peers.connect(server.port) as sock:
        sock.sendall(reference.encode({"id": 1, "result": 5}))
        assert replies(peers.finish(sock))[0]["error"]["code"] == UNAUTHENTICATED
    assert server.names() == ["kept"]


def test_raw_echo_and_datagrams_are_refused(guarded):
    server = guarded("--protocols", "frames,echo,http", "--echo", "127.0.0.1:0", "--udp", "127.0.0.1:0")
    for kind, port, what in server.services:
        if kind == "tcp":
            with peers.connect(port) as sock:
                sock.sendall(b"raw words and more of them")
                answer = peers.finish(sock)
            assert b"RAW" not in answer and peers.error_of(answer)["code"] == UNAUTHENTICATED, what
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(("127.0.0.1", port))
            sock.send(b"raw words")  # not answered: the next answer is that of the call
            sock.send(call("echo", ["x"], b""))
            assert replies(sock.recv(1 << 16))[0]["error"]["code"] == UNAUTHENTICATED
    with peers.connect(server.port) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert b"SERVING" in peers.finish(sock)


@pytest.mark.parametrize("text", ["", "[header]\ncalls = false\n"])
def test_uploads_downloads_lists_and_commands_are_refused(guarded, tmp_path, text):
    (tmp_path / "commands").write_text('[motd]\ntext = "private"\n')
    server = guarded("--commands", tmp_path / "commands",
                     text="list = 'body'\nnot_found = 'zero_size'\n[keys]\noperation = ['cmd']\n[request]\nlines = true\n" + text)
    for request in (peers.upload_frame("new", b"content"), reference.encode({"cmd": "get", "name": "kept"}),
                    reference.encode({"cmd": "ls"}), reference.encode({"cmd": "motd"}), b"get kept\n", b"ls\n", b"motd\n",
                    b'{"cmd": "get", "name": "kept"}\n', reference.encode({"cmd": "register", "username": "e", "password": "e"})):
        with peers.connect(server.port) as sock:
            sock.sendall(request)
            assert peers.finish(sock) == b"no", request
    assert server.names() == ["kept"]


def test_users_without_a_login_in_the_dialect_are_a_mistake_of_usage(program, users):
    result = subprocess.run([program, "serve", "--listen", "127.0.0.1:0", "--users", users], env=clean_environment(),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=5)
    assert result.returncode == 2, result
    assert b'--users: the dialect "default" has no login' in result.stderr


@pytest.mark.parametrize("flag,text,error", [
    ("--dialect", '[login]\nfrom = "frame"\n', 'guarded:2: login.from is no setting: form; did you mean "form"?'),
    ("--dialect", '[logn]\nform = "frame"\n', 'guarded:1: logn is no setting: '),
    ("--dialect", '[prefix]\nwidht = 2\n', 'did you mean "width"?'),
    ("--commands", '[a]\nrnu = ["x"]\n', 'guarded:2: [a] rnu is no setting: run or text; did you mean "run"?'),
    ("--commands", '[a]\ntext = "x"\ntimeout = 5\n', "guarded:3: [a] timeout is no setting: run or text"),
    ("--commands", '[a]\ntext = "x"\n["a "]\ntext = "y"\n', "guarded:3: [a] is there twice"),
    ("--users", "# fine\nann:secret\n", "guarded:2: "),
])
def test_an_unknown_key_is_refused_with_its_line(program, tmp_path, flag, text, error):
    (tmp_path / "guarded").write_text(text)
    result = subprocess.run([program, "serve", "--listen", "127.0.0.1:0", flag, str(tmp_path / "guarded")] +
                            ([] if flag == "--dialect" else ["--dialect", "login"]), env=clean_environment(), stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, timeout=5)
    assert result.returncode == 2 and error in result.stderr.decode(), result


@pytest.mark.parametrize("width", [1, 2])
def test_lengths_too_short_for_a_refusal_are_refused_at_the_start(program, tmp_path, width):
    (tmp_path / "short.toml").write_text('[prefix]\nkind = "decimal"\nwidth = %d\n' % width)
    result = subprocess.run([program, "serve", "--listen", "127.0.0.1:0", "--dialect", str(tmp_path / "short.toml")],
                            env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=5)
    assert result.returncode == 2 and b"short.toml:3: prefix.width is %d: 3 .. 16" % width in result.stderr, result


def test_refusals_and_answers_are_cut_to_what_the_length_announces(serve, tmp_path):
    """Three digits: headers of at most 999 bytes, and every refusal is one of them."""
    (tmp_path / "three.toml").write_text("""
prefix = { kind = "decimal", width = 3 }
answer = { message = "echo", not_found = { frame = '{"no": "$name"}' }, list = { frame = '{"files": "$files"}' } }
keys = { operation = ["cmd"] }
words = { download = ["get"], list = ["ls"] }
""")
    server = serve("--dialect", tmp_path / "three.toml", "--max-connections", "1")
    for i in range(40):
        with open(server.root + "/" + "n%02d" % i + "x" * 60, "w"):
            pass

    def frame(header):
        text = json.dumps(header).encode()
        return b"%03d" % len(text) + text

    def one(data):
        size = int(data[:3])
        return json.loads(data[3:3 + size]), size

    for request in (b"zz" * 20, frame({"cmd": "ls"}), frame({"cmd": "get", "name": "y" * 900}),
                    frame({"id": "\x01" * 120, "method": "\x02" * 33}),
                    frame({"id": "\x7f" * 900, "method": "x"}), frame({"name": "\x01" * 100, "size": 3, "cmd": "put"})):
        with peers.connect(server.port) as sock:
            sock.sendall(request)
            answer = peers.finish(sock)
        header, size = one(answer)
        assert size <= 999 and ("error" in header or "no" in header), (request, answer)
    with peers.connect(server.port):
        with peers.connect(server.port) as sock:  # one too many: it is told so
            header, _ = one(peers.read_to_end(sock))
            assert header["error"]["code"] == peers.RESOURCE_EXHAUSTED
    server.stop()
