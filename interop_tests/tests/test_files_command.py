"""framecall put, get, ls, stat and rm against framecall serve."""
import contextlib
import os
import signal
import socket
import subprocess
import threading

import json
import peers
import pytest
import reference
from processes import PATIENCE, clean_environment, is_sanitized, peak_memory, wait_until


@pytest.fixture
def run(program, tmp_path):
    def run(*arguments, code=0, address=None, **options):
        result = subprocess.run([program, *map(str, arguments)], env=clean_environment(), cwd=tmp_path, timeout=PATIENCE,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        assert result.returncode == code, (result.returncode, result.stderr.decode())
        return result.stdout, result.stderr.decode()
    return run


class Narrow:
    """Forwards to a server until `limit` bytes went there, or `limit_back` came back; then nothing moves, until cut()."""

    def __init__(self, port, limit=None, limit_back=None):
        self.target, self.left, self.moved, self.sockets = port, [limit, limit_back], [0, 0], []
        self.stuck = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.target))
            self.sockets += [near, far]
            threading.Thread(target=self.forward, args=(near, far, 0), daemon=True).start()
            threading.Thread(target=self.forward, args=(far, near, 1), daemon=True).start()

    def forward(self, source, target, way):
        try:
            while True:
                if self.left[way] is not None and self.moved[way] >= self.left[way]:
                    self.stuck.set()
                    return
                piece = source.recv(65536)
                if not piece:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(piece)
                self.moved[way] += len(piece)
        except OSError:
            pass

    def cut(self):
        for sock in self.sockets:  # a close alone would wait for the threads that receive
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        self.listener.close()


def write(path, body):
    with open(str(path), "wb") as f:
        f.write(body)
    return path


def test_there_and_back(serve, run, tmp_path):
    server = serve()
    for size in (0, 1, 65536, 5000001):
        body = peers.content(size, size)
        name = "f%d" % size
        source = write(tmp_path / name, body)
        output, messages = run("put", server.address, source)
        assert output == b"" and messages.startswith(name + "  ")
        assert peers.read(os.path.join(server.root, name)) == body
        os.remove(str(source))
        run("get", server.address, name)
        assert peers.read(str(tmp_path / name)) == body
    assert run("get", server.address, "f65536", "--output", "-")[0] == peers.content(65536, 65536)
    assert run("get", server.address, "f65536", "--output", "-", "--offset", "1K", "--length", "10")[0] == \
        peers.content(65536, 65536)[1024:1034]
    run("get", server.address, "f65536", "--output", "/dev/null")
    (tmp_path / "folder").mkdir()
    run("get", server.address, "f1", "f0", "--output", "folder")
    assert sorted(os.listdir(str(tmp_path / "folder"))) == ["f0", "f1"]
    summary = json.loads(run("get", server.address, "f1", "--output", "x", "--json")[0])
    assert summary["files_fetched"] == 1 and summary["bytes"] == 1


def test_folders(serve, run, tmp_path):
    server = serve()
    names = {"a.txt": b"a", "b/c.txt": b"bc", "b/d/e.txt": b"bde"}
    for name, body in names.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, body)
    os.symlink("a.txt", str(tmp_path / "tree" / "link"))
    assert "--recursive" in run("put", server.address, "tree", code=2)[1]
    messages = run("put", server.address, "tree", "--recursive", "--parallel", "3")[1]
    assert "left out" in messages and "3 of 3 files" in messages
    assert server.names() == ["a.txt", "b__c.txt", "b__d__e.txt"]
    run("put", server.address, "tree", "--recursive", "--separator", "-")
    assert peers.read(os.path.join(server.root, "b-d-e.txt")) == b"bde"
    write(tmp_path / "tree" / "b__c.txt", b"twice")
    assert "would both be" in run("put", server.address, "tree", "--recursive", code=2)[1]
    run("put", server.address, "tree", "--recursive", "--separator", "/", code=2)


def test_many_in_parallel(serve, run, tmp_path):
    server = serve()
    files = [write(tmp_path / ("f%02d" % n), peers.content(n, n * 1000)) for n in range(40)]
    summary = json.loads(run("put", server.address, "--parallel", "4", "--json", *files)[0])
    assert summary["files_stored"] == 40 and server.names() == ["f%02d" % n for n in range(40)]


def test_ls_notes_names_that_are_not_utf8(serve, run):
    server = serve("--quiet")
    for name in [b"a", b"caf\xe9", b"na\xefve"]:
        with open(os.path.join(os.fsencode(server.root), name), "w"):
            pass
    listed, note = run("ls", server.address)
    assert listed == b"a\n"
    assert "the list leaves out 2 files whose names are not UTF-8 on the server" in note
    assert run("ls", server.address, "caf", "--json")[0] == b"[]\n"
    assert "leaves out 1 file whose name is not UTF-8" in run("ls", server.address, "caf")[1]
    assert run("ls", server.address, "a") == (b"a\n", "")


def test_lists(serve, run, tmp_path):
    server = serve()
    for name, body in [("b", b"x" * 1000), ("a1", b""), ("a2", b"12")]:
        run("put", server.address, write(tmp_path / name, body), "--quiet")
    assert run("ls", server.address)[0] == b"a1\na2\nb\n"
    assert run("ls", server.address, "a")[0] == b"a1\na2\n"
    lines = run("ls", server.address, "--long")[0].decode().splitlines()
    assert [line.split()[0] for line in lines] == ["0", "2", "1000"] and len({len(line.rpartition(" ")[0]) for line in lines}) == 1
    files = json.loads(run("ls", server.address, "--json")[0])
    assert [(f["name"], f["size"]) for f in files] == [("a1", 0), ("a2", 2), ("b", 1000)]
    assert run("stat", server.address, "b")[0].startswith(b"b  1000 bytes  20")
    assert json.loads(run("stat", server.address, "b", "--json")[0]) == files[2]
    output, messages = run("stat", server.address, "no", "a2", code=5)
    assert output.startswith(b"a2  2 bytes") and "no: refused by the server" in messages
    assert run("rm", server.address, "no", "a1", code=5)[1].count("a1  removed") == 1
    assert server.names() == ["a2", "b"]


def test_refusals_and_exit_codes(serve, run, program, tmp_path):
    server = serve()
    source = write(tmp_path / "f", b"one")
    run("put", server.address, source)
    assert "is there already" in run("put", server.address, source, "--if-exists", "reject", code=5)[1]
    run("put", server.address, source, "--name", "a/b", code=5)
    assert "No such file" in run("put", server.address, "missing", code=1)[1]
    run("get", server.address, "missing", code=5)
    assert not os.path.exists(str(tmp_path / "missing")) and not os.path.exists(str(tmp_path / "missing.part"))
    run("get", server.address, "../f", code=2)
    run("get", server.address, "f", "--resume", "--offset", "1", code=2)
    assert "No such file" in run("get", server.address, "f", "--output", "no/such/f", code=1)[1]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        for command in (["put", "ADDRESS", source], ["get", "ADDRESS", "f"], ["ls", "ADDRESS"]):
            address = "127.0.0.1:%d" % free.getsockname()[1]
            run(*[address if part == "ADDRESS" else part for part in command], code=3)
    bare = subprocess.Popen([program, "serve", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        address = bare.stdout.readline().split()[2].decode()
        assert "takes no files" in run("put", address, source, code=5)[1]
    finally:
        bare.kill()
        bare.wait()
        bare.stdout.close()


@pytest.mark.parametrize("end", ["client killed", "cut", "interrupted"])
def test_a_put_that_is_cut_off_goes_on(serve, run, program, tmp_path, end):
    server = serve()
    body = peers.content(7, 8000000)
    source = write(tmp_path / "f", body)
    narrow = Narrow(server.port, limit=3000000)
    client = subprocess.Popen([program, "put", "127.0.0.1:%d" % narrow.port, str(source)], env=clean_environment(),
                              cwd=str(tmp_path), stderr=subprocess.PIPE)
    assert narrow.stuck.wait(PATIENCE)
    if end == "interrupted":
        client.send_signal(signal.SIGINT)
    if end == "client killed":
        client.kill()
    if end == "cut":
        narrow.cut()
    messages = client.communicate(timeout=PATIENCE)[1].decode()
    assert client.returncode == {"client killed": -9, "cut": 1, "interrupted": 130}[end], messages
    assert "--resume" in messages or end != "interrupted"
    narrow.cut()
    wait_until(lambda: "went away" in server.log(), "the server has noticed")
    there = int(run("stat", server.address, "f", "--partial")[0])
    assert 0 < there <= 3100000
    rest = Narrow(server.port)
    run("put", "127.0.0.1:%d" % rest.port, source, "--resume")
    assert rest.moved[0] < len(body) - there + 10000, "only the missing bytes travelled"
    assert peers.read(os.path.join(server.root, "f")) == body and server.parts() == []
    again = Narrow(server.port)
    run("put", "127.0.0.1:%d" % again.port, source, "--resume")
    assert again.moved[0] < 10000


@pytest.mark.parametrize("end", ["client killed", "cut", "interrupted"])
def test_a_get_that_is_cut_off_goes_on(serve, run, program, tmp_path, end):
    server = serve()
    body = peers.content(8, 8000000)
    write(os.path.join(server.root, "f"), body)
    narrow = Narrow(server.port, limit_back=3000000)
    client = subprocess.Popen([program, "get", "127.0.0.1:%d" % narrow.port, "f"], env=clean_environment(), cwd=str(tmp_path),
                              stderr=subprocess.PIPE)
    assert narrow.stuck.wait(PATIENCE)
    part = str(tmp_path / "f.part")
    wait_until(lambda: os.path.exists(part) and os.path.getsize(part) > 1000000, "some of it is there")
    if end == "interrupted":
        client.send_signal(signal.SIGINT)
    if end == "client killed":
        client.kill()
    if end == "cut":
        narrow.cut()
    messages = client.communicate(timeout=PATIENCE)[1].decode()
    assert client.returncode == {"client killed": -9, "cut": 1, "interrupted": 130}[end], messages
    assert not os.path.exists(str(tmp_path / "f"))
    narrow.cut()
    there = os.path.getsize(part)
    rest = Narrow(server.port)
    run("get", "127.0.0.1:%d" % rest.port, "f", "--resume")
    # After a kill the part does not say which file it is of, and is fetched anew.
    assert rest.moved[1] < len(body) - there + 10000 or end == "client killed"
    assert peers.read(str(tmp_path / "f")) == body and not os.path.exists(part)


def lying_server(reply):
    """The port of a server that answers each call on one connection with reply(its number): the bytes of a frame."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        sock = listener.accept()[0]
        with contextlib.suppress(OSError), sock, sock.makefile("rb") as stream:
            for number in range(1, 10000):
                prefix = stream.read(4)
                if len(prefix) < 4:
                    break
                stream.read(int.from_bytes(prefix, "little"))
                sock.sendall(reply(number))
        listener.close()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def test_a_short_file_is_not_stored(run, tmp_path):
    result = {"name": "x", "size": 5000, "offset": 0, "length": 5000, "mtime": 1}
    port = lying_server(lambda number: reference.encode({"id": number, "result": result, "body_size": 5}, b"short"))
    _, errors = run("get", "127.0.0.1:%d" % port, "x", code=1)
    assert "body_size is 5 instead of 5000" in errors
    assert os.listdir(tmp_path) == []


def test_get_takes_nothing_above_max_size(run, tmp_path):
    result = {"name": "x", "size": 5, "mtime": 1}
    port = lying_server(lambda number: reference.encode({"id": number, "result": result, "body_size": 5}, b"hello"))
    _, errors = run("get", "127.0.0.1:%d" % port, "x", "--max-size", "4", code=1)
    assert "5 bytes, max_size is 4" in errors
    assert os.listdir(tmp_path) == []


def test_a_list_of_any_length_takes_the_memory_of_a_page(program):
    """Each page of 0.9 MB is printed when it comes; the 300th is the last."""
    page = [{"name": "x" * 250, "size": 1, "mtime": 1}] * 3000
    text = json.dumps({"id": 12345, "result": {"files": page, "next": "NEXT-PAGE"}})

    def reply(number):
        header = text.replace("12345", "%5d" % number).replace('"NEXT-PAGE"', '"%09d"' % number if number < 300 else "null")
        return len(header).to_bytes(4, "little") + header.encode()

    for flags in ([], ["--json"]):
        with subprocess.Popen([program, "ls", "127.0.0.1:%d" % lying_server(reply), *flags], stdout=subprocess.PIPE,
                              env=clean_environment()) as process:
            size, most = 0, 0
            for piece in iter(lambda: process.stdout.read(1 << 20), b""):
                size += len(piece)
                most = max(most, peak_memory(process.pid) or 0)
        assert process.returncode == 0
        assert size > 300 * 3000 * 250
        if not is_sanitized(program):
            assert most < 64 << 20


def test_a_list_that_does_not_go_on_ends(run):
    result = {"files": [{"name": "x", "size": 1, "mtime": 1}], "next": "x"}
    port = lying_server(lambda number: reference.encode({"id": number, "result": result}))
    output, errors = run("ls", "127.0.0.1:%d" % port, code=1)
    assert '"next" does not go on behind "x"' in errors
    assert output == b"x\n"
