"""What one peer could read, end or use that is not its own: memory of others, the server's life, methods before a login."""
import json
import os
import re
import socket
import subprocess
import time

import attacks
import pytest
import victims
from processes import PATIENCE, clean_environment
from victims import MIB, Neighbour

pytest.importorskip("numpy")  # for the server

INVALID_PARAMS, UNAUTHENTICATED = -32602, -32056


# ---- memory of other clients

NOTHING = ["S", "U", "a", "S0", "U0", "V0", "|S0", "<U0", "V", "|V0"]


@pytest.fixture(scope="module")
def shapes():
    """Arrays that say another size than their body has, or none that can be."""
    found = [(dtype, shape) for dtype in NOTHING for shape in ([100000], [0], [], [2 ** 40], [1000, 100])]
    found += [("<f8", shape) for shape in ([1], [2 ** 61], [2 ** 63], [-1], [0, -1], [2 ** 32, 2 ** 32], [0, 2 ** 63],
                                           [2 ** 64, 0], [1.0], [True], ["1"], [None], "1", 1, None, {}, [[1]])]
    found += [("<f8", [1] * n) for n in (33, 65, 100)] + [("<f8", [0] * 65)]
    found += [(dtype, [1]) for dtype in ("O", "|O", "object", "O8", "f8,O", "(2,)f8", "i4,i4", "x", "", "<", "f99", "S-1",
                                         "S99999999999999999999", "V8", "m8[x]", None, 5, [["a", "<i4"]], {}, "\0")]
    return found


def test_an_array_is_never_more_than_its_body(python_victim, shapes):
    """Whatever a header says of a body that is not there: an error, or no bytes."""
    server = python_victim(numpy=True)
    marker = b"a secret of another client "
    with Neighbour(server.port) as other, Neighbour(server.port) as reader:
        for _ in range(20):
            other.request("echo", body=marker * 40000)
        wrong = []
        for dtype, shape in shapes:
            for body in (b"", b"12345678"):
                header, answer = reader.request("same", body=body, dtype=dtype, shape=shape)
                if marker in answer or ("error" not in header and answer != body):
                    wrong.append((dtype, shape, len(body), len(answer), header))
    assert not wrong
    victims.still_serves(server)


def test_a_long_shape_does_not_hold_the_server(python_victim):
    """A header of a megabyte, nearly all of it `shape`."""
    server = python_victim(numpy=True)
    numbers = [[1] * 300000, [0] * 300000, [2] * 300000, [10 ** 300] * 3000]
    with Neighbour(server.port) as neighbour, Neighbour(server.port) as attacker:
        neighbour.request("add", [1, 2])
        longest = 0.0
        for shape in numbers:
            for body in (b"", b"12345678"):
                attacker.sock.sendall(attacks.call(1, "same", dtype="<f8", shape=shape, body_size=len(body)) + body)
                longest = max(longest, neighbour.wait("add", [1, 2]))
                assert "error" in attacker.read()[0]
    victims.figure("another's call %.0f ms", longest * 1000)
    assert longest < 1.0


@pytest.mark.parametrize("tensors", [
    {"a": {"dtype": "S0", "shape": [100000], "data_offsets": [0, 0]}},
    {"a": {"dtype": "<f8", "shape": [1], "data_offsets": [0, 16]}},
    {"a": {"dtype": "<f8", "shape": [1], "data_offsets": [8, 0]}},
    {"a": {"dtype": "<f8", "shape": [1], "data_offsets": [-8, 0]}},
    {"a": {"dtype": "<f8", "shape": [1], "data_offsets": [2 ** 63, 2 ** 63 + 8]}},
    {"a": {"dtype": "<f8", "shape": [2], "data_offsets": [0, 8]}},
    {"a": {"dtype": "O", "shape": [1], "data_offsets": [0, 8]}},
    {"a": {"dtype": "<f8", "shape": [1] * 65, "data_offsets": [0, 8]}},
    {"a": {"dtype": "<f8", "shape": [1]}}, {"a": 5}, {"a": None}, [], 5, "x", {"": {}},
])
def test_several_arrays_stay_within_their_body(python_victim, tensors):
    server = python_victim(numpy=True)
    with Neighbour(server.port) as neighbour:
        header, body = neighbour.request("several", body=b"12345678", tensors=tensors)
        assert header.get("error", {}).get("code") == INVALID_PARAMS, (header, body)
    victims.still_serves(server)


# ---- the server's life

def test_a_result_too_long_for_any_frame(python_victim):
    """By datagram and by connection: the length has 24 bits."""
    server = python_victim(udp=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", server.services[1][1]))
        sock.send(attacks.call(1, "text", [17 << 20]))
        with Neighbour(server.port) as neighbour:
            header, _ = neighbour.request("text", [17 << 20])
            assert "error" in header
            assert neighbour.request("add", [1, 2])[0]["result"] == 3
    victims.still_serves(server)


@pytest.mark.parametrize("character", ["\x7f", '"', "\\", "\u4f60", "x"])
def test_an_id_of_megabytes(python_victim, character):
    """Answers repeat the id, escaped: longer than it came."""
    server = python_victim(max_header=8 << 20)
    number = character * (3 * MIB // len(character.encode()))
    with victims.connect(server.port) as sock:
        text = json.dumps({"id": number, "method": "half", "timeout_ms": 50}, ensure_ascii=False).encode()
        sock.sendall(len(text).to_bytes(4, "little") + text)
        text = json.dumps({"id": number, "method": "none"}, ensure_ascii=False).encode()
        sock.sendall(len(text).to_bytes(4, "little") + text)
        victims.still_serves(server)
        time.sleep(0.2)  # the deadline passes
        victims.still_serves(server)
    victims.still_serves(server)


DECIMAL = '[prefix]\nkind = "decimal"\nwidth = %d\n'


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_a_prefix_too_short_for_a_refusal(program, serve, tmp_path, width):
    """Refused at start, or every refusal gets through and the server lives."""
    dialect = tmp_path / "short.toml"
    dialect.write_text(DECIMAL % width)
    try:
        server = serve("--dialect", str(dialect), "--max-connections", "1")
    except AssertionError as failure:
        assert "short.toml:" in str(failure) and "width" in str(failure)
        return
    with victims.connect(server.port) as first:
        with victims.connect(server.port) as second:
            second.settimeout(PATIENCE)
            while second.recv(4096):
                pass
        first.sendall(b"zz" * 10)
        while first.recv(4096):
            pass
    assert server.process.poll() is None


# ---- a login guards everything

@pytest.fixture
def users(program, tmp_path):
    subprocess.run([program, "passwd", str(tmp_path / "users"), "ann"], input=b"secret\n", env=clean_environment(),
                   check=True, timeout=PATIENCE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return str(tmp_path / "users")


LOGIN = ('[login]\nform = "frame"\n[answer]\nlogin_ok = { text = "ok" }\nlogin_failed = { text = "no" }\n'
         '[keys]\noperation = ["operate"]\n')


@pytest.mark.parametrize("method, params, body", [
    ("file.list", None, b""), ("file.stat", {"name": "treasure"}, b""), ("file.get", {"name": "treasure"}, b""),
    ("file.put", {"name": "planted", "size": 5}, b"hello"), ("file.remove", {"name": "treasure"}, b""),
    ("echo", {"a": 1}, b"hello"), ("rpc.discover", None, b""), ("rpc.stats", None, b""), ("upper", None, b"a")])
def test_no_call_before_a_login(serve, tmp_path, users, method, params, body):
    (tmp_path / "guarded.toml").write_text(LOGIN)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "treasure").write_text("gold")
    server = serve("--dialect", str(tmp_path / "guarded.toml"), "--users", users)
    try:
        with Neighbour(server.port, patience=5) as neighbour:
            header, answer = neighbour.request(method, params, body)
        assert header.get("error", {}).get("code") == UNAUTHENTICATED, (header, answer)
    except AssertionError as failure:
        assert "the connection ended" in str(failure)
    assert sorted(server.names()) == ["treasure"]


def test_no_upload_and_no_echo_before_a_login(serve, tmp_path, users):
    (tmp_path / "guarded.toml").write_text(LOGIN)
    server = serve("--dialect", str(tmp_path / "guarded.toml"), "--users", users)
    for data in (attacks.frame({"file_name": "planted", "file_size": 5}, b"hello"), b"hello\n", b"get planted\n"):
        with victims.connect(server.port) as sock:
            sock.sendall(data)
            sock.shutdown(1)
            answer = b""
            while True:
                piece = sock.recv(4096)
                if not piece:
                    break
                answer += piece
        assert b"HELLO" not in answer
    assert server.names() == []


def refused_at_start(program, tmp_path, *flags):
    os.makedirs(tmp_path / "root", exist_ok=True)
    result = subprocess.run([program, "serve", "--root", str(tmp_path / "root"), "--listen", "127.0.0.1:0", *flags],
                            env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, timeout=5)
    assert result.returncode != 0 and result.returncode > 0, result
    return result.stderr.decode()


def test_users_without_a_login_are_refused(program, tmp_path, users):
    assert "--users" in refused_at_start(program, tmp_path, "--users", users)


@pytest.mark.parametrize("kind", ["dialect", "commands"])
def test_unknown_keys_are_refused_with_their_line(program, tmp_path, kind):
    path = tmp_path / "mistake.toml"
    path.write_text('\n[prefix]\nwidht = 2\n' if kind == "dialect" else '\n[motd]\ntext = "a"\nrunn = ["ls"]\n')
    flags = ["--dialect", str(path)] if kind == "dialect" else ["--dialect", "lesson-command", "--commands", str(path)]
    text = refused_at_start(program, tmp_path, *flags)
    assert re.search(r"mistake\.toml:[34]:.*(widht|runn)", text), text
