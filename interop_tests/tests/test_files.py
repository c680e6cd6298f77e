"""Files over calls, from peers of the standard library alone."""
import base64
import errno
import hashlib
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import threading

import json
import peers
import pytest
import reference
from processes import PATIENCE, clean_environment, end, is_sanitized, peak_memory, wait_until


class Caller:
    """One connection, one call after the other."""

    def __init__(self, port):
        self.sock = peers.connect(port)
        self.stream = self.sock.makefile("rb")
        self.last_id = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.sock.close()

    def begin(self, method, params, body_size=0):
        self.last_id += 1
        header = {"id": self.last_id, "method": method, "params": params}
        if body_size:
            header["body_size"] = body_size
        self.sock.sendall(reference.encode(header, b""))

    def end(self):
        prefix = self.stream.read(4)
        assert len(prefix) == 4, "the connection ended"
        reply = json.loads(self.stream.read(struct.unpack("<i", prefix)[0]).decode())
        assert reply["id"] == self.last_id, reply
        return reply, self.stream.read(reply.get("body_size", 0))

    def call(self, method, body=b"", **params):
        self.begin(method, params, len(body))
        self.sock.sendall(body)
        reply, body = self.end()
        if "error" in reply:
            return reply["error"]
        return (reply["result"], body) if method == "file.get" else reply["result"]

    def put(self, name, body, size=None, **params):
        return self.call("file.put", body, name=name, size=len(body) if size is None else size, **params)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def files(serve):
    server = serve("--threads", "1")
    with Caller(server.port) as caller:
        caller.server = server
        yield caller


def stored(server, name):
    with open(os.path.join(server.root, name), "rb") as f:
        return f.read()


def test_a_file_there_and_back(files):
    for name, size in [("empty", 0), ("one", 1), ("你好 %2e", 70000), ("large", 5000001)]:
        body = peers.content(size, size)
        assert files.put(name, body) == {"name": name, "size": size, "sha256": sha256(body)}
        assert stored(files.server, name) == body
        result, got = files.call("file.get", name=name)
        assert got == body and (result["name"], result["size"], result["offset"], result["length"]) == (name, size, 0, size)
        assert result["mtime"] == int(os.stat(os.path.join(files.server.root, name)).st_mtime)
        assert files.call("file.stat", name=name) == {"name": name, "size": size, "mtime": result["mtime"]}
    body = stored(files.server, "large")
    for offset, length in [(0, 0), (1, 10), (5000000, 1), (5000001, 0), (12345, None)]:
        params = {"offset": offset} if length is None else {"offset": offset, "length": length}
        result, got = files.call("file.get", name="large", **params)
        assert got == body[offset:] if length is None else got == body[offset:offset + length]
    assert files.call("file.remove", name="large") == {"name": "large"}
    assert files.call("file.stat", name="large")["code"] == -32045


def test_the_digest_of_the_body_counts_too(files):
    body = peers.content(1, 100000)
    for text, code in [(base64.b64encode(hashlib.sha256(body).digest()).decode(), None), ("AAAA", -32055)]:
        header = {"id": 1, "method": "file.put", "params": {"name": "f", "size": len(body)}, "body_size": len(body),
                  "digest": {"sha-256": text}}
        files.last_id = 1
        files.sock.sendall(reference.encode(header, body))
        assert files.end()[0].get("error", {}).get("code") == code
    assert stored(files.server, "f") == body and files.server.parts() == []


def test_the_list_comes_in_pages(files):
    names = sorted("f%03d" % n for n in range(250)) + ["g"]
    for name in names:
        files.put(name, b"x")
    os.mkdir(os.path.join(files.server.root, "folder"))
    os.symlink("g", os.path.join(files.server.root, "link"))
    os.mkfifo(os.path.join(files.server.root, "pipe"))
    assert [f["name"] for f in files.call("file.list")["files"]] == names
    found, after = [], ""
    while after is not None:
        page = files.call("file.list", prefix="f", after=after, limit=100)
        assert len(page["files"]) <= 100
        found += [f["name"] for f in page["files"]]
        after = page["next"]
    assert found == names[:-1]
    assert files.call("file.list", prefix="no") == {"files": [], "next": None}


@pytest.mark.parametrize("method, params, code", [
    ("file.put", {"name": "../x", "size": 3}, -32602), ("file.put", {"name": "", "size": 3}, -32602),
    ("file.put", {"name": ".framecall", "size": 3}, -32602), ("file.put", {"name": 5, "size": 3}, -32602),
    ("file.put", {"size": 3}, -32602), ("file.put", {"name": "x", "size": 4}, -32602),
    ("file.put", {"name": "x", "size": -3}, -32602), ("file.put", {"name": "x", "size": 3.0}, -32602),
    ("file.put", {"name": "x", "size": 3, "offset": 1}, -32602), ("file.put", {"name": "x", "size": 3, "if_exists": "no"}, -32602),
    ("file.put", {"name": "x", "size": 8, "offset": 5}, -32050), ("file.put", {"name": "x", "size": 3, "sha256": "00"}, -32055),
    ("file.put", {"name": "x", "size": 3, "colour": 1}, -32602), ("file.put", ["x", 3], -32602),
    ("file.put", {"name": "folder", "size": 3}, -32049),
    ("file.get", {"name": "no"}, -32045), ("file.get", {"name": "f", "offset": 6}, -32051),
    ("file.get", {"name": "f", "offset": 2, "length": 4}, -32051), ("file.get", {"name": "folder"}, -32045),
    ("file.get", {"name": "link"}, -32045), ("file.get", {"name": "pipe"}, -32045), ("file.get", {"name": "a/b"}, -32602),
    ("file.stat", {"name": "link"}, -32045), ("file.remove", {"name": "no"}, -32045),
    ("file.remove", {"name": "folder"}, None), ("file.list", {"limit": 0}, -32602), ("file.list", {"after": 5}, -32602),
])
def test_what_does_not_fit_is_an_error_and_the_connection_goes_on(files, method, params, code):
    root = files.server.root
    files.put("f", b"hello")
    os.mkdir(os.path.join(root, "folder"))
    os.symlink("f", os.path.join(root, "link"))
    os.mkfifo(os.path.join(root, "pipe"))
    before = files.server.names()
    body = b"abc" if method == "file.put" else b""
    files.begin(method, params, len(body))
    files.sock.sendall(body)
    error = files.end()[0]["error"]
    assert code is None or error["code"] == code, error
    assert files.call("file.get", name="f")[1] == b"hello"
    assert files.server.names() == before and files.server.parts() == []


def test_one_more_link_fifo_or_file_is_replaced(files):
    target = os.path.join(files.server.root, "target")
    with open(target, "w") as f:
        f.write("kept")
    os.symlink(target, os.path.join(files.server.root, "link"))
    os.mkfifo(os.path.join(files.server.root, "pipe"))
    for name in ("link", "pipe"):
        assert files.put(name, b"new")["size"] == 3
        assert stored(files.server, name) == b"new" and not os.path.islink(os.path.join(files.server.root, name))
    assert stored(files.server, "target") == b"kept"
    error = files.put("target", b"other", if_exists="reject")
    assert (error["code"], error["data"]["status"]) == (-32046, "ALREADY_EXISTS")
    assert stored(files.server, "target") == b"kept"
    assert files.put("target", b"other", if_exists="replace")["size"] == 5


def test_limits_are_told_before_the_body_is_taken(serve):
    server = serve("--max-file", "1000", "--refusal-bytes", "2000")
    with Caller(server.port) as caller:
        error = caller.put("x", b"y" * 1001)
        assert (error["code"], error["data"]["limit"], error["data"]["got"]) == (-32048, 1000, 1001)
        assert caller.put("x", b"y" * 1000)["size"] == 1000
        caller.begin("file.put", {"name": "z", "size": 1 << 40}, 1 << 40)
        error = caller.end()[0]["error"]
        assert error["code"] == -32048
        assert caller.stream.read() == b"", "too much to drop: the end"
    server = serve()
    with Caller(server.port) as caller:
        caller.begin("file.put", {"name": "z", "size": 1 << 60}, 1 << 60)
        error = caller.end()[0]["error"]
        assert error["code"] == -32048 and "disk" in error["message"]


def test_all_files_together_have_a_quota(serve):
    server = serve("--quota", "1000")
    with Caller(server.port) as caller:
        assert caller.put("a", b"x" * 600)["size"] == 600
        error = caller.put("b", b"x" * 401)
        assert (error["code"], error["data"]["limit"], error["data"]["got"]) == (-32048, 1000, 1001)
        assert caller.put("a", b"x" * 1000)["size"] == 1000, "instead of the one that was there"
        assert caller.call("file.remove", name="a") == {"name": "a"}
        assert caller.put("b", b"x" * 401)["size"] == 401
    error = peers.refusal(server.port, peers.upload_frame("c", b"x" * 600))
    assert error["code"] == -32048 and error["data"]["got"] == 1001


def begun(server, *puts):
    """Callers with a put under way each, of which some bytes have come: [(name, size, bytes)]."""
    callers = []
    for name, size, body in puts:
        before, caller = len(server.parts()), Caller(server.port)
        caller.begin("file.put", {"name": name, "size": size}, size)
        caller.sock.sendall(body)
        wait_until(lambda: len(server.parts()) > before, "it has begun")
        callers.append(caller)
    return callers


def test_uploads_under_way_and_parts_are_in_the_quota(serve):
    server = serve("--quota", "10M", "--refusal-bytes", "64M")
    with Caller(server.port) as caller:
        callers = begun(server, *(("f%d" % n, 1 << 20, b"x" * 1000) for n in range(10)))
        for n in range(10, 20):
            error = caller.put("f%d" % n, b"x" * (1 << 20))
            assert (error["code"], error["data"]["limit"], error["data"]["got"]) == (-32048, 10 << 20, 11 << 20)
        error = peers.refusal(server.port, peers.upload_frame("dialect", b"x"))
        assert error["code"] == -32048 and error["data"]["got"] == (10 << 20) + 1
        for each in callers:
            each.__exit__()
        wait_until(lambda: server.log().count("went away") == 10, "all were cut off")
        assert caller.put("g", b"x" * ((10 << 20) - 10 * 1000 + 1))["code"] == -32048, "the parts are counted"
        assert caller.put("g", b"x" * ((10 << 20) - 10 * 1000))["size"] == (10 << 20) - 10000


def test_the_quota_after_a_kill(serve):
    server = serve("--quota", "1M")
    callers = begun(server, ("a", 500000, b"x" * 100000), ("b", 500000, b"x"))
    with Caller(server.port) as caller:
        wait_until(lambda: sum(map(os.path.getsize, server.parts())) == 100001, "all of it has come")
        assert caller.put("c", b"x" * 100000)["code"] == -32048
        assert caller.put("d", b"x" * 40000)["size"] == 40000
    server.kill()
    for each in callers:
        each.__exit__()
    server = serve("--quota", "1M")
    with Caller(server.port) as caller:
        left = (1 << 20) - 40000 - 100001
        assert caller.put("e", b"x" * (left + 1))["data"]["got"] == (1 << 20) + 1
        assert caller.put("e", b"x" * left)["size"] == left


def test_two_servers_share_a_quota(serve):
    one, two = serve("--quota", "1000"), serve("--quota", "1000")
    with Caller(one.port) as first, Caller(two.port) as second:
        assert first.put("a", b"x" * 600)["size"] == 600
        assert second.put("b", b"x" * 401)["data"]["got"] == 1001
        assert second.call("file.remove", name="a") == {"name": "a"}
        assert first.put("b", b"x" * 1000)["size"] == 1000
        one.kill()
        assert second.put("c", b"x")["data"]["got"] == 1001


def test_a_put_without_a_size_is_as_large_as_its_body(files):
    body = peers.content(1, 70000)
    files.begin("file.put", {"name": "f"}, len(body))
    files.sock.sendall(body)
    assert files.end()[0]["result"] == {"name": "f", "size": 70000, "sha256": sha256(body)}
    assert stored(files.server, "f") == body
    cut_put(files.server, "g", body, 50000, "client gone")
    files.begin("file.put", {"name": "g", "offset": 50000}, 20000)
    files.sock.sendall(body[50000:])
    assert files.end()[0]["result"]["sha256"] == sha256(body)
    assert files.call("file.put", name="empty") == {"name": "empty", "size": 0, "sha256": sha256(b"")}


def test_a_strangers_byte_does_not_lock_a_part(files):
    server, body = files.server, peers.content(1, 100000)
    cut_put(server, "f", body, 60000, "client gone")
    strangers = begun(server, ("f", 100000, b"!"), ("f", 100000, b"?"))
    assert files.call("file.stat", name="f", partial=True) == {"offset": 60000}
    assert files.put("f", body[60000:], size=len(body), offset=60000, sha256=sha256(body))["sha256"] == sha256(body)
    for stranger in strangers:
        stranger.__exit__()
    assert stored(server, "f") == body


def test_a_put_whose_connection_is_stuck_is_gone_on_with(files):
    server, body = files.server, peers.content(1, 100000)
    stuck, = begun(server, ("f", 100000, body[:60000]))
    wait_until(lambda: files.call("file.stat", name="f", partial=True) == {"offset": 60000}, "it has come")

    def attempt():
        result = files.put("f", body[60000:], size=len(body), offset=60000, sha256=sha256(body))
        return result if result.get("code") != -32054 else None
    assert wait_until(attempt, "nothing has come for a second")["sha256"] == sha256(body)
    stuck.sock.sendall(b"-" * 40000)
    assert stuck.end()[0]["error"]["code"] == -32050
    stuck.__exit__()
    assert stored(server, "f") == body


def test_one_open_file_for_a_connection(serve):
    server = serve("--threads", "1")
    size, calls = 8 << 20, 40
    body = peers.content(1, size)
    with Caller(server.port) as caller:
        caller.put("f", body)
        before = descriptors(server)
        readers = [Caller(server.port) for _ in range(5)]
        for reader in readers:
            for _ in range(calls):
                reader.begin("file.get", {"name": "f"})
        for reader in readers:
            wait_until(lambda: reader.sock.recv(1, socket.MSG_PEEK), "the first answer is on its way")
        assert descriptors(server) <= before + 2 * len(readers), "its socket, and one file"
        assert caller.call("file.stat", name="f")["size"] == size
        # All of them are answered, in the end; and a call that is cancelled in the queue is, too.
        reader = readers[0]
        reader.sock.sendall(reference.encode({"method": "rpc.cancel", "params": {"id": calls}}, b""))
        whole = {}
        for _ in range(6):
            prefix = reader.stream.read(4)
            reply = json.loads(reader.stream.read(struct.unpack("<i", prefix)[0]).decode())
            whole[reply["id"]] = reader.stream.read(reply.get("body_size", 0)) == body
        assert whole.pop(calls, False) is False and len(whole) >= 5 and all(whole.values())
        for reader in readers:
            reader.__exit__()
        wait_until(lambda: descriptors(server) == before, "all are closed")


def descriptors(server):
    return len(os.listdir("/proc/%d/fd" % server.process.pid))


def test_sums_that_nobody_waits_for_stop(serve):
    server = serve("--threads", "1")
    size = 256 << 20
    with open(os.path.join(server.root, "large"), "wb") as f:
        f.truncate(size)
    with Caller(server.port) as caller:
        assert caller.call("rpc.ping") == "pong"  # it has all that it opens at its start
        before = descriptors(server)
        error = caller.put("large", b"", size=size - 1, offset=size - 1, sha256="0" * 64)
        assert (error["code"], error["data"]["offset"]) == (-32050, 0), "the sizes differ: it is not read"
        gone = [Caller(server.port) for _ in range(4)]
        for one in gone:
            for _ in range(50):
                one.begin("file.put", {"name": "large", "size": size, "offset": size, "sha256": "0" * 64})
        assert caller.call("file.stat", name="large")["size"] == size, "it is not held up by 200 sums"
        for one in gone:
            peers.reset(one.sock)
            one.__exit__()
        assert caller.call("file.list")["files"][0]["name"] == "large"
        wait_until(lambda: descriptors(server) <= before + 1, "the file is not read any more")
    with open("/proc/%d/stat" % server.process.pid) as f:
        seconds = sum(map(int, f.read().split()[13:15])) / os.sysconf("SC_CLK_TCK")
    assert seconds < 20 or is_sanitized(server.process.args[0]), "200 sums of 256 MiB take a minute and more"


ACCESS = [
    ("read", {"file.get": 0, "file.list": 0, "file.stat": 0, "file.put": -32047, "file.remove": -32047}),
    ("write", {"file.get": -32047, "file.list": -32047, "file.stat": -32047, "file.put": 0, "file.remove": 0}),
    ("no-replace", {"file.get": 0, "file.list": 0, "file.put": -32046, "file.remove": 0}),
    ("read,write,no-remove", {"file.get": 0, "file.put": 0, "file.remove": -32047}),
]


@pytest.mark.parametrize("access, codes", ACCESS, ids=[access for access, _ in ACCESS])
def test_access(serve, access, codes):
    server = serve("--access", access)
    with open(os.path.join(server.root, "old"), "w") as f:
        f.write("old")
    with Caller(server.port) as caller:
        for method, code in codes.items():
            params = {} if method == "file.list" else {"name": "old"}
            reply = caller.call(method, b"new" if method == "file.put" else b"", **params)
            assert (reply.get("code") if isinstance(reply, dict) else None) == (code or None), (method, reply)
    with open(os.path.join(server.root, "old"), "w") as f:
        f.write("old")
    code = codes["file.put"]
    with peers.connect(server.port) as sock:
        sock.sendall(peers.upload_frame("old", b"dialect")[:-7])  # without the body
        if code:
            assert peers.finish(sock), "refused from the header alone"
            with open(os.path.join(server.root, "old")) as f:
                assert f.read() == "old"
    if code:
        assert peers.refusal(server.port, peers.upload_frame("old", b"dialect"))["code"] == code
    if code == -32047:
        with Caller(server.port) as caller:
            caller.begin("file.put", {"name": "x", "size": 1 << 20}, 1 << 20)
            assert caller.end()[0]["error"]["code"] == code, "refused before its body has come"


def test_access_of_dialects(serve):
    server = serve("--dialect", "lesson-get", "--access", "write")
    with open(os.path.join(server.root, "secret"), "w") as f:
        f.write("hidden")
    with peers.connect(server.port) as sock:
        sock.sendall(b"get secret")
        assert b"hidden" not in peers.finish(sock)
    wait_until(lambda: "the access of this server does not include read" in server.log(), "the refusal in the log")


def test_access_words_are_checked(program, tmp_path):
    result = subprocess.run([program, "serve", "--root", str(tmp_path), "--access", "read,delete"], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, timeout=PATIENCE)
    assert result.returncode == 2 and b"delete" in result.stderr and b"no-replace" in result.stderr


def test_a_root_that_is_no_place_for_files_of_peers_is_told(serve, program, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    server = serve(root=home, env=dict(clean_environment(), HOME=str(home)))
    wait_until(lambda: "is a home folder, and peers can write files there" in server.log(), "the warning")
    server = serve(root=tmp_path / "own", env=dict(clean_environment(), HOME=str(home)))
    peers.store(server, "a", b"content")
    wait_until(lambda: "stored" in server.log(), "a line that comes later")
    assert "peers can write" not in server.log()


def test_parts_that_nobody_came_back_for(files):
    server = files.server
    cut_put(server, "old", b"x" * 5000, 1000, "client gone")
    part, = server.parts()
    day_ago = os.stat(part).st_mtime - 24 * 60 * 60 - 10
    os.utime(part, (day_ago, day_ago))
    server.stop()
    assert server.parts() == [part], "one that ends leaves it to the others"
    again = files.server.__class__(server.process.args[0], server.root, server.log_path)
    try:
        assert again.parts() == []
    finally:
        again.stop()


def test_no_files_without_a_root(program):
    server = subprocess.Popen([program, "serve", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        port = int(server.stdout.readline().split()[2].rpartition(b":")[2])
        with Caller(port) as caller:
            for method in ("file.put", "file.get", "file.list", "file.stat", "file.remove"):
                assert caller.call(method, name="x")["code"] == -32049
    finally:
        end(server)


def cut_put(server, name, body, count, how):
    """Sends `count` bytes of the body, then the client or the connection is gone."""
    caller = Caller(server.port)
    lost = server.log().count("went away")
    caller.begin("file.put", {"name": name, "size": len(body)}, len(body))
    caller.sock.sendall(body[:count])
    if how == "server killed":
        wait_until(lambda: count == 0 or sum(map(os.path.getsize, server.parts())) == count, "all of it is in the part")
        server.kill()
    if how == "reset":
        peers.reset(caller.sock)
    caller.stream.close()
    caller.sock.close()
    if how != "server killed":
        wait_until(lambda: server.log().count("went away") > lost, "the server has noticed")


def go_on(server, name, body):
    """As a client should: asks where to go on, and does; returns the bytes that travelled."""
    def attempt():
        with Caller(server.port) as caller:
            offset = caller.call("file.stat", name=name, partial=True)["offset"]
            result = caller.put(name, body[offset:], size=len(body), offset=offset, sha256=sha256(body))
            if result.get("code") == -32054:  # the server has not noticed yet that the other one is gone
                return None
            assert result == {"name": name, "size": len(body), "sha256": sha256(body)}
            return [len(body) - offset]
    return wait_until(attempt, "the part is free")[0]


@pytest.mark.parametrize("how", ["client gone", "reset", "server killed"])
def test_a_cut_put_goes_on_where_it_was(serve, how, long):
    chance = random.Random(how)
    size = 3000000
    server = serve()
    for n in range((200 if how != "server killed" else 70) if long else 6):
        body = peers.content(n, size)
        count = chance.choice([0, 1, chance.randrange(size), size - 1])
        if server.process.returncode is not None:
            server = serve()
        cut_put(server, "f", body, count, how)
        if how == "server killed":
            server = serve()
        assert "f" not in server.names()
        moved = go_on(server, "f", body)
        # What was on its way when the connection broke may be lost, but nothing that was in the part.
        assert moved <= size and (how == "reset" or moved == size - count)
        assert stored(server, "f") == body and server.parts() == []
        os.remove(os.path.join(server.root, "f"))


def test_a_part_of_another_file_is_found_out(files):
    body, other = peers.content(1, 100000), peers.content(2, 100000)
    cut_put(files.server, "f", other, 50000, "client gone")
    wait_until(lambda: files.call("file.stat", name="f", partial=True) == {"offset": 50000}, "the part is there")

    def attempt():
        error = files.put("f", body[50000:], size=len(body), offset=50000, sha256=sha256(body))
        return error["code"] == -32055 or None  # -32054 until the other one is gone
    wait_until(attempt, "the digest tells")
    assert files.server.names() == [] and files.call("file.stat", name="f", partial=True) == {"offset": 0}
    error = files.put("f", body[50000:], size=len(body), offset=50000)
    assert (error["code"], error["data"]["offset"]) == (-32050, 0)
    assert files.put("f", body)["sha256"] == sha256(body)
    # A put that was done, and whose answer got lost: nothing is sent again.
    assert files.put("f", b"", size=len(body), offset=len(body), sha256=sha256(body))["sha256"] == sha256(body)
    assert files.put("f", b"", size=len(body), offset=len(body), sha256=sha256(other))["code"] == -32050


def test_two_puts_of_one_name_and_readers_meanwhile(files):
    server = files.server
    old, one, two = (peers.content(n, 400000) for n in range(3))
    files.put("f", old)
    with Caller(server.port) as first, Caller(server.port) as second:
        first.begin("file.put", {"name": "f", "size": len(one)}, len(one))
        first.sock.sendall(one[:200000])
        wait_until(server.parts, "the first one has begun")
        assert second.put("f", two)["size"] == len(two), "the part of the first one is not touched"
        assert files.call("file.get", name="f")[1] == two
        assert [f["name"] for f in files.call("file.list")["files"]] == ["f"]
        # Removed in the middle of a get: that one finishes.
        second.begin("file.get", {"name": "f"})
        wait_until(lambda: second.sock.recv(1, socket.MSG_PEEK), "the get has begun")
        assert files.call("file.remove", name="f") == {"name": "f"}
        assert second.end()[1] == two
        first.sock.sendall(one[200000:])
        assert first.end()[0]["result"]["sha256"] == sha256(one)
    assert stored(server, "f") == one, "the last one that finished"


def test_pings_go_on_while_a_large_file_comes(files):
    body = peers.content(3, 1000000)
    done = []

    def put():
        with Caller(files.server.port) as caller:
            caller.begin("file.put", {"name": "f", "size": len(body) * 100}, len(body) * 100)
            for _ in range(100):
                caller.sock.sendall(body)
            done.append(caller.end()[0]["result"]["size"])

    thread = threading.Thread(target=put)
    thread.start()
    pings = 0
    while thread.is_alive():
        assert files.call("rpc.ping") == "pong"
        pings += 1
    thread.join()
    assert done == [100000000] and pings > 20
    if not is_sanitized(files.server.process.args[0]):
        assert peak_memory(files.server.process.pid) < 64 << 20


def test_uploads_and_puts_on_one_server(files):
    server = files.server
    assert files.call("rpc.ping") == "pong"  # it has all that it opens at its start
    before = len(os.listdir("/proc/%d/fd" % server.process.pid))
    problems = []

    def work(seed):
        chance = random.Random(seed)
        try:
            for n in range(10):
                name, body = "f%d" % (seed % 5), peers.content(chance.randrange(1000), chance.randrange(50000))
                if n % 2:
                    with Caller(server.port) as caller:
                        assert caller.put(name, body)["sha256"] == sha256(body)
                else:
                    with peers.connect(server.port) as sock:
                        sock.sendall(peers.upload_frame(name, body))
                        assert peers.finish(sock) == b""
        except Exception as error:  # noqa: BLE001
            problems.append(repr(error))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == [] and server.names() == ["f%d" % n for n in range(5)] and server.parts() == []
    wait_until(lambda: len(os.listdir("/proc/%d/fd" % server.process.pid)) == before, "all descriptors are closed")


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_the_order_that_survives_a_power_cut(files, tmp_path):
    trace = tmp_path / "trace"
    tracer = subprocess.Popen(["strace", "-f", "-p", str(files.server.process.pid), "-o", str(trace), "-e",
                               "trace=write,fsync,renameat,sendmsg"], stderr=subprocess.PIPE)
    try:
        line = tracer.stderr.readline()
        if b"attached" not in line:
            pytest.skip("strace may not attach here: %r" % line)
        files.put("f", b"x" * 100000)
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(PATIENCE)
        tracer.stderr.close()
    calls = [line for line in trace.read_text().splitlines() if not line.split()[1].startswith(("---", "+++"))]
    order = [next((n for n, text in enumerate(calls) if mark in text), None)
             for mark in ("write(", "fsync(", "renameat(", "sendmsg(")]
    fsyncs = [n for n, text in enumerate(calls) if "fsync(" in text and "resumed" not in text]
    assert None not in order and order == sorted(order), calls
    assert len(fsyncs) == 2 and order[1] == fsyncs[0] < order[2] < fsyncs[1] < order[3], calls


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_full_disk(serve, tmp_path):
    root = tmp_path / "small"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(root)], check=True)
    try:
        server = serve(root=root)
        with Caller(server.port) as caller, Caller(server.port) as other:
            caller.put("old", b"old" * 1000)
            # Both fit by themselves; the second one finds out while it is written.
            caller.begin("file.put", {"name": "a", "size": 1200000}, 1200000)
            other.begin("file.put", {"name": "b", "size": 1200000}, 1200000)
            caller.sock.sendall(b"a" * 1200000)
            assert caller.end()[0]["result"]["size"] == 1200000
            other.sock.sendall(b"b" * 1200000)
            error = other.end()[0]["error"]
            assert (error["code"], error["data"]["status"]) == (-32048, "RESOURCE_EXHAUSTED")
            error = other.put("c", b"c" * 1200000)
            assert error["code"] == -32048 and error["data"]["got"] == 1200000
            assert other.call("file.get", name="old")[1] == b"old" * 1000 and server.names() == ["a", "old"]
            assert other.call("file.remove", name="a") == {"name": "a"}
            server.stop()
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


def test_a_root_that_goes_away_and_comes_back(files):
    root = files.server.root
    shutil.rmtree(root)
    assert files.put("f", b"x")["code"] == -32045
    assert files.call("file.list")["code"] == -32045, "which is no empty list"
    os.mkdir(root)
    assert files.call("file.list") == {"files": [], "next": None}
    assert files.put("f", b"x")["size"] == 1 and stored(files.server, "f") == b"x"


SHIM = r"""
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Fails one call of FAIL_CALL with the errno FAIL_ERRNO, or makes one write short (FAIL_ERRNO 0), on regular files and
// folders, once the file FAIL_WHEN is there, which it removes.
static int fails(const char* name, int descriptor) {
  const char *call = getenv("FAIL_CALL"), *when = getenv("FAIL_WHEN");
  struct stat status;
  const int before = errno;
  if (!call || strcmp(call, name) != 0) return 0;
  if (descriptor >= 0 && (fstat(descriptor, &status) != 0 || (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)))) return 0;
  if (unlink(when) != 0) {
    errno = before;
    return 0;
  }
  errno = atoi(getenv("FAIL_ERRNO"));
  return 1;
}
ssize_t write(int descriptor, const void* bytes, size_t size) {
  static ssize_t (*real)(int, const void*, size_t);
  if (!real) real = dlsym(RTLD_NEXT, "write");
  if (!fails("write", descriptor)) return real(descriptor, bytes, size);
  return errno != 0 ? -1 : real(descriptor, bytes, size / 2);
}
int fsync(int descriptor) {
  static int (*real)(int);
  if (!real) real = dlsym(RTLD_NEXT, "fsync");
  struct stat status;
  const int folder = fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode);
  return fails(folder ? "fsync folder" : "fsync", descriptor) ? -1 : real(descriptor);
}
int renameat(int from, const char* old, int to, const char* new) {
  static int (*real)(int, const char*, int, const char*);
  if (!real) real = dlsym(RTLD_NEXT, "renameat");
  return fails("renameat", -1) ? -1 : real(from, old, to, new);
}
struct dirent* readdir(DIR* folder) {
  static struct dirent* (*real)(DIR*);
  if (!real) real = dlsym(RTLD_NEXT, "readdir");
  return fails("readdir", -1) ? NULL : real(folder);
}
struct dirent64* readdir64(DIR* folder) {
  static struct dirent64* (*real)(DIR*);
  if (!real) real = dlsym(RTLD_NEXT, "readdir64");
  return fails("readdir", -1) ? NULL : real(folder);
}
"""


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    compiler = shutil.which("gcc") or shutil.which("cc")
    if not compiler:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(SHIM)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", str(folder / "shim.c"), "-o", str(folder / "shim.so"), "-ldl"], check=True)
    return str(folder / "shim.so")


@pytest.fixture
def failing(serve, program, shim, tmp_path):
    """A server, and what makes one system call of it fail with an errno."""
    if is_sanitized(program):
        pytest.skip("a sanitizer has its own versions of these calls")

    def start(call, number, *flags):
        armed = str(tmp_path / "armed")
        environment = dict(clean_environment(), LD_PRELOAD=shim, FAIL_CALL=call, FAIL_ERRNO=str(number), FAIL_WHEN=armed)
        return serve("--threads", "1", *flags, env=environment), lambda: open(armed, "w").close()
    return start


@pytest.mark.parametrize("number, code", [(errno.EIO, -32603), (errno.ENOMEM, -32048), (errno.EACCES, -32047)])
def test_a_folder_that_cannot_be_read_is_no_empty_list(failing, number, code):
    server, arm = failing("readdir", number)
    with Caller(server.port) as caller:
        caller.put("f", b"hello")
        arm()
        assert caller.call("file.list")["code"] == code
        assert [f["name"] for f in caller.call("file.list")["files"]] == ["f"]


def test_no_upload_looks_through_a_folder(failing, tmp_path):
    server, arm = failing("readdir", errno.EIO, "--quota", "1M")
    with Caller(server.port) as caller:
        caller.put("f", b"hello")  # once an hour a put looks for old parts, when it has stored its file
        arm()
        caller.put("f", b"hello" * 2)
        with peers.connect(server.port) as sock:
            sock.sendall(peers.upload_frame("g", b"hello"))
            assert peers.finish(sock) == b""
        assert caller.call("file.remove", name="f") == {"name": "f"}
    assert server.names() == ["g"] and os.path.exists(tmp_path / "armed"), "it was not called"


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_part_whose_flush_failed_is_void(failing, number):
    server, arm = failing("fsync", number)
    body = peers.content(1, 300000)
    with Caller(server.port) as caller:
        arm()
        assert "code" in caller.put("f", body)
        assert caller.call("file.stat", name="f", partial=True) == {"offset": 0}
        error = caller.put("f", b"", size=len(body), offset=len(body), sha256=sha256(body))
        assert (error["code"], error["data"]["offset"]) == (-32050, 0), "the disk may not have it"
        assert server.names() == [] and server.parts() == []
        assert caller.put("f", body)["sha256"] == sha256(body)


def test_a_file_whose_flush_failed_is_not_acknowledged_later(failing):
    server, arm = failing("fsync folder", errno.EIO)
    body = peers.content(1, 300000)
    with Caller(server.port) as caller:
        caller.put("f", body)
        arm()
        again = dict(size=len(body), offset=len(body), sha256=sha256(body))
        assert caller.put("f", b"", **again)["code"] == -32603, "it is flushed before it is acknowledged"
        assert caller.put("f", b"", **again)["sha256"] == sha256(body)


def test_a_name_that_is_not_utf8_is_left_out_and_counted(files):
    files.put("f", b"x")
    with open(os.path.join(os.fsencode(files.server.root), b"caf\xe9"), "w"):
        pass
    listing = files.call("file.list")
    assert [f["name"] for f in listing["files"]] == ["f"] and listing["left_out"] == 1


@pytest.mark.parametrize("call, number", [
    ("write", errno.EIO), ("write", errno.ENOSPC), ("write", errno.EINTR), ("write", 0), ("fsync", errno.EIO),
    ("fsync", errno.ENOSPC), ("fsync", errno.EINTR), ("renameat", errno.EIO), ("renameat", errno.ENOSPC), ("fsync folder", errno.EIO), ("fsync folder", errno.EINTR)])
def test_a_system_call_that_fails_once(serve, program, shim, tmp_path, call, number):
    if is_sanitized(program):
        pytest.skip("a sanitizer has its own versions of these calls")
    armed = str(tmp_path / "armed")
    environment = dict(clean_environment(), LD_PRELOAD=shim, FAIL_CALL=call, FAIL_ERRNO=str(number), FAIL_WHEN=armed)
    server = serve("--threads", "1", env=environment)
    old, new = peers.content(1, 300000), peers.content(2, 400000)
    with Caller(server.port) as caller:
        assert caller.put("f", old)["sha256"] == sha256(old)
        open(armed, "w").close()
        result = caller.put("f", new)
        assert not os.path.exists(armed), "it was called"
        if number in (0, errno.EINTR):
            assert result["sha256"] == sha256(new), result
        else:
            assert result["code"] == (-32048 if number == errno.ENOSPC else -32603), result
        # Whole in any case, and the old one unless only the flush of the folder failed.
        assert stored(server, "f") == (new if number in (0, errno.EINTR) or call == "fsync folder" else old)
        assert caller.put("f", new)["sha256"] == sha256(new), "and the next attempt works"
        assert server.parts() == []
