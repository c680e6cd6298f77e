"""Files between framecall and the tutorial's own sender (T3) and receiver (T4), by every CPython."""
import json
import os
import subprocess

import peers
import pytest
import reference
from processes import PATIENCE, clean_environment, script, wait_for_port, wait_until


def large_files():
    return {
        "text.txt": b"".join(b"line %d\r\n" % n for n in range(2000)),
        "empty": b"",
        "one byte": b"\n",
        "line feeds": b"\n" * 3000,
        "random.bin": peers.content("with line feeds", 2000000),
        "one line.bin": peers.content("without", 3000000).replace(b"\n", b""),
        "你好 世界.txt": "你好\n世界".encode("gb18030") * 999,
        "frames": reference.encode({"id": 1, "method": "rpc.ping"}) * 500,
        "x" * 255: b"longest name",
    }


def small_files():
    return {
        "text.txt": b"".join(b"line %d\n" % n for n in range(300)),
        "empty": b"",
        "random.bin": peers.content("small", 60000),
        "one line.bin": peers.content("small too", 20000).replace(b"\n", b""),
        "你好.txt": "你好\n".encode() * 10,
    }


@pytest.fixture
def make_files(tmp_path):
    def make(files):
        folder = tmp_path / "source"
        folder.mkdir()
        for name, body in files.items():
            (folder / name).write_bytes(body)
        return folder
    return make


def run_t3(python, folder, name, port):
    with script("t03_file_sender.py", name, port, python=python, cwd=folder) as sender:
        assert sender.wait(PATIENCE) == 0


def run_send(program, port, *arguments, cwd, expected=0):
    """`framecall send`, its stdout and stderr."""
    result = subprocess.run([program, "send", "127.0.0.1:%d" % port] + [str(a) for a in arguments], cwd=cwd,
                            env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, timeout=2 * PATIENCE)
    assert result.returncode == expected, (result.returncode, result.stdout, result.stderr)
    return result.stdout.decode(), result.stderr.decode()


def arrives_whole(server, name, body):
    """A file is whole at the first moment it can be seen."""
    path = os.path.join(server.root, name)
    wait_until(lambda: os.path.lexists(path), "%r arrives" % name)
    assert peers.read(path) == body


@pytest.mark.parametrize("way", ["direct", "relay"])
def test_t3_to_serve(serve, relay, make_files, python, way):
    files = large_files() if way == "direct" else small_files()
    folder, server = make_files(files), serve()
    port = server.port if way == "direct" else relay(server.port, seed=python)
    for name, body in files.items():
        run_t3(python, folder, name, port)
        arrives_whole(server, name, body)
    peers.goes_on(server, files)


def test_t3_replaces_a_file(serve, make_files, python):
    folder, server = make_files({"f": b"old" * 1000}), serve()
    run_t3(python, folder, "f", server.port)
    arrives_whole(server, "f", b"old" * 1000)
    (folder / "f").write_bytes(b"new")
    run_t3(python, folder, "f", server.port)
    wait_until(lambda: peers.read(os.path.join(server.root, "f")) == b"new", "the new content")
    peers.goes_on(server, ["f"])


def test_many_t3_at_once(serve, make_files, python):
    files = {"file %d" % n: peers.content(n, 300000) for n in range(8)}
    folder, server = make_files(files), serve()
    with_each = [script("t03_file_sender.py", name, server.port, python=python, cwd=folder) for name in files]
    running = [one.__enter__() for one in with_each]
    try:
        assert [process.wait(PATIENCE) for process in running] == [0] * len(files)
    finally:
        for one in with_each:
            one.__exit__(None, None, None)
    for name, body in files.items():
        arrives_whole(server, name, body)
    peers.goes_on(server, files)


def test_send_to_t4(program, make_files, python, tmp_path):
    files = large_files()
    folder, received = make_files(files), tmp_path / "received"
    received.mkdir()
    with script("t04_file_receiver.py", 0, python=python, cwd=received) as receiver:
        port = wait_for_port(receiver)
        run_send(program, port, "--quiet", *files, cwd=folder)
        for name, body in files.items():
            wait_until(lambda: (received / name).exists() and (received / name).read_bytes() == body,
                       "T4 has %r" % name)
        assert receiver.poll() is None
    assert sorted(os.listdir(received)) == sorted(files)


def test_published_dialect_is_t3_byte_for_byte(program, make_files, python):
    files = large_files()
    folder = make_files(files)
    for name in files:
        with peers.Recorder() as recorder:
            run_t3(python, folder, name, recorder.port)
            published = recorder.result()
        with peers.Recorder() as recorder:
            run_send(program, recorder.port, "--dialect", "published", name, cwd=folder)
            assert recorder.result() == published
        assert b'"file_siz": ' in published[:2000]


@pytest.mark.parametrize("dialect", [[], ["--dialect", "published"]], ids=["default", "published"])
@pytest.mark.parametrize("way", ["direct", "relay"])
def test_send_to_serve(program, serve, relay, make_files, dialect, way):
    files = large_files() if way == "direct" else small_files()
    folder, server = make_files(files), serve()
    port = server.port if way == "direct" else relay(server.port, seed=5)
    run_send(program, port, *dialect, *files, cwd=folder)
    for name, body in files.items():
        arrives_whole(server, name, body)
    peers.goes_on(server, files)


def test_send_writes_what_t4_reads(program, make_files):
    body = peers.content("exact", 5000)
    folder = make_files({"你 好.bin": body})
    with peers.Recorder() as recorder:
        run_send(program, recorder.port, "你 好.bin", cwd=folder)
        header = b'{"file_name": "\\u4f60 \\u597d.bin", "file_size": 5000}'
        assert recorder.result() == len(header).to_bytes(4, "little") + header + body


def test_send_takes_the_last_part_of_a_path(program, make_files):
    folder = make_files({"a": b"1"})
    with peers.Recorder() as recorder:
        run_send(program, recorder.port, folder / "a", cwd="/")
        assert recorder.result() == peers.upload_frame("a", b"1")


def test_send_under_another_name(program, make_files):
    folder = make_files({"a": b"1"})
    with peers.Recorder() as recorder:
        run_send(program, recorder.port, "--name", "b c", "a", cwd=folder)
        assert recorder.result() == peers.upload_frame("b c", b"1")


def test_send_keep_uses_one_connection(program, make_files):
    files = small_files()
    folder = make_files(files)
    with peers.Recorder() as recorder:
        run_send(program, recorder.port, "--keep", *files, cwd=folder)
        assert recorder.result() == b"".join(peers.upload_frame(*item) for item in files.items())


def test_send_keep_to_serve(program, serve, make_files):
    files = small_files()
    folder, server = make_files(files), serve()
    run_send(program, server.port, "--keep", *files, cwd=folder)
    for name, body in files.items():
        arrives_whole(server, name, body)
    peers.goes_on(server, files)


def test_send_keep_goes_on_after_a_file_that_is_missing(program, serve, make_files):
    folder, server = make_files({"a": b"1", "b": b"2"}), serve()
    output, _ = run_send(program, server.port, "--keep", "--json", "a", "missing", "b", cwd=folder, expected=1)
    files = json.loads(output)["files"]
    assert [(f["name"], f["ok"], f.get("confirmed")) for f in files] == [
        ("a", True, True), ("missing", False, None), ("b", True, True)]
    peers.goes_on(server, ["a", "b"])


def test_send_keep_confirms_nothing_on_a_connection_that_broke(program, serve, make_files):
    folder, server = make_files({"a": b"1", "large": b"x" * 20000000}), serve("--max-file", "1M")
    output, _ = run_send(program, server.port, "--keep", "--json", "a", "large", cwd=folder, expected=5)
    files = json.loads(output)["files"]
    assert [(f["name"], f["ok"], f.get("confirmed")) for f in files] == [("a", True, False), ("large", False, None)]
    peers.goes_on(server, ["a"])


def test_send_json_summary(program, serve, make_files):
    files = {"a": b"12345", "空": b""}
    folder, server = make_files(files), serve()
    output, messages = run_send(program, server.port, "--json", *files, cwd=folder)
    summary = json.loads(output)
    assert summary["files_sent"] == 2 and summary["bytes"] == 5 and summary["seconds"] >= 0
    assert [(f["name"], f["size"], f["ok"]) for f in summary["files"]] == [("a", 5, True), ("空", 0, True)]
    assert all(f["seconds"] >= 0 and "error" not in f for f in summary["files"])


def test_send_says_when_it_is_refused(program, serve, make_files):
    folder, server = make_files({"large": b"x" * 2000000, "small": b"y"}), serve("--max-file", "1M")
    output, _ = run_send(program, server.port, "--json", "large", cwd=folder, expected=5)
    summary = json.loads(output)
    assert summary["files_sent"] == 0
    assert summary["files"][0]["ok"] is False and summary["files"][0]["error"]
    _, messages = run_send(program, server.port, "large", cwd=folder, expected=5)
    assert "large" in messages
    peers.goes_on(server)


def test_send_exit_codes(program, make_files):
    folder = make_files({"a": b"1"})
    with peers.socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    run_send(program, port, "a", cwd=folder, expected=3)
    run_send(program, port, cwd=folder, expected=2)
    run_send(program, port, "--dialect", "no such dialect", "a", cwd=folder, expected=2)
    run_send(program, port, "--no-such-flag", "a", cwd=folder, expected=2)
    with peers.Recorder() as recorder:
        run_send(program, recorder.port, "no such file", "a", cwd=folder, expected=1)


def test_uploads_of_one_connection(serve):
    """Many frames in one write; the later one of two of a name wins; every spelling of the keys."""
    server = serve()
    data = b"".join(peers.upload_frame("same", b"%d" % n) for n in range(50))
    data += peers.upload_frame("a", b"aa", "file_siz") + peers.upload_frame("b", b"", "filesize")
    data += peers.upload_frame("c", b"cc", "total_size", "filename")
    data += peers.upload_frame("d", b"d", "file_size", "filename")
    data += reference.encode({"file_size": 2, "md5": "xxdxxx", "file_name": "e", "file_siz": 2}, b"ee")
    with peers.connect(server.port) as sock:
        sock.sendall(data)
        assert peers.finish(sock) == b""
    expected = {"same": b"49", "a": b"aa", "b": b"", "c": b"cc", "d": b"d", "e": b"ee"}
    wait_until(lambda: server.names() == sorted(expected), "all are stored")
    assert {name: peers.read(os.path.join(server.root, name)) for name in expected} == expected
    peers.goes_on(server, expected)


def test_the_server_says_nothing_unasked(serve):
    """No greeting, no acknowledgement: a peer that stays connected after an upload reads nothing."""
    server = serve()
    with peers.connect(server.port) as sock:
        sock.sendall(peers.upload_frame("a", b"1"))
        arrives_whole(server, "a", b"1")
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(1)
        sock.settimeout(PATIENCE)
        sock.sendall(peers.upload_frame("b", b"2"))
        arrives_whole(server, "b", b"2")
        assert peers.finish(sock) == b""
