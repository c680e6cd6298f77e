"""What an upload can do wrong, by raw socket peers: the answer, and that nothing else happens."""
import contextlib
import errno
import os
import select
import shutil
import stat
import subprocess
import tempfile
import time

import peers
import pytest
import reference
from peers import INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR, PERMISSION_DENIED, RESOURCE_EXHAUSTED
from processes import PATIENCE, clean_environment, is_sanitized, peak_memory, wait_until

MIB = 1 << 20


@pytest.fixture
def outer(tmp_path):
    """The folder around the root, with things that no upload may touch; compared at the end."""
    folder = tmp_path / "outer"
    (folder / "root").mkdir(parents=True)
    (folder / "folder").mkdir()
    (folder / "canary").write_bytes(b"alive")
    before = peers.tree(folder, leave_out=[str(folder / "root")])
    yield folder
    assert peers.tree(folder, leave_out=[str(folder / "root")]) == before


@pytest.fixture
def server(serve, outer):
    return serve(root=outer / "root")


BAD_NAMES = [
    "", ".", "..", "/", "/etc/x", "a/b", "a/", "../x", "../../x", "a\\b", "..\\x", "\\x", "a\0b", "\0", "a\nb", "a\rb",
    "\x1b[31m", "\x1f", "\x7f", "C:x", "c:", "C:\\x", "x" * 256, "你" * 86, "x" * 100000, "\ud800",
    None, True, 5, 1.5, ["a"], {"a": 1},
]
GOOD_NAMES = [
    "...", "....", "-rf", "--", "ab:cd", ":a", "%2e%2e", "%2Fetc", "你好.txt", "文", " ", " a b ", "a..b", "~", "$(id)",
    "`id`", ".hidden", "CON", "nul.txt", "*?", "'\"", "é", "e\u0301", "😀", "\ufeffx", "x" * 255, "你" * 85,
    "a" * 251 + ".txt",
]


def test_bad_names(server):
    """Each is refused with -32602, read although the body was sent first, and the connection ends."""
    wrong = []
    for name in BAD_NAMES:
        for body in (b"", b"body"):
            error = peers.refusal(server.port, peers.upload_frame(name, body))
            if error["code"] != INVALID_PARAMS:
                wrong.append((name, error))
    assert not wrong
    peers.goes_on(server)


def test_good_odd_names(server):
    with peers.connect(server.port) as sock:
        for name in GOOD_NAMES:
            sock.sendall(peers.upload_frame(name, name.encode()))
        assert peers.finish(sock) == b""
    wait_until(lambda: len(server.names()) == len(GOOD_NAMES), "all are stored")
    assert server.names() == sorted(GOOD_NAMES)
    for name in GOOD_NAMES:
        assert peers.read(os.path.join(server.root, name)) == name.encode()
    peers.goes_on(server, GOOD_NAMES)


def test_the_private_folder_is_out_of_reach(server):
    before = peers.tree(os.path.join(server.root, ".framecall"))
    for name in [".framecall", ".framecall/x", "./.framecall"]:
        peers.refusal(server.port, peers.upload_frame(name, b"x"))
    assert peers.tree(os.path.join(server.root, ".framecall")) == before
    assert stat.S_IMODE(os.stat(os.path.join(server.root, ".framecall")).st_mode) == 0o700
    peers.goes_on(server)


BAD_FRAMES = {
    "length 0": (b"\0\0\0\0", INVALID_REQUEST),
    "length 1": (b"\1\0\0\0{", INVALID_REQUEST),
    "length -1": (b"\xff\xff\xff\xff", INVALID_REQUEST),
    "length of 1 MiB and one": (b"\x01\x00\x10\x00{", INVALID_REQUEST),
    "length of 2 GiB less one": (b"\xff\xff\xff\x7f{", INVALID_REQUEST),
    "not JSON": (b"\5\0\0\0hello", PARSE_ERROR),
    "not UTF-8": (b"\x0d\0\0\0" + b'{"a": "\xff\xfe"}  ', PARSE_ERROR),
    "array": (reference.encode([{"file_name": "a", "file_size": 1}], b"x"), INVALID_REQUEST),
    "string": (reference.encode("file_name"), INVALID_REQUEST),
    "null": (reference.encode(None), INVALID_REQUEST),
    "no keys": (reference.encode({}), INVALID_REQUEST),
    "name without a size": (reference.encode({"file_name": "a"}), INVALID_REQUEST),
    "size without a name": (reference.encode({"file_size": 0}), INVALID_REQUEST),
    "aliases that differ": (
        reference.encode({"file_name": "a", "file_size": 1, "file_siz": 2}, b"xx"), INVALID_REQUEST),
}
for bad_size in [True, False, 1.0, "12", "", None, [], {}, -1, 1 << 63, 1 << 64, 10 ** 30, float("nan")]:
    BAD_FRAMES["size %r" % (bad_size,)] = (
        reference.encode({"file_name": "a", "file_size": bad_size}, b"x"), INVALID_REQUEST)


@pytest.mark.parametrize("before", [b"", peers.upload_frame("first", b"1")], ids=["first frame", "second frame"])
def test_bad_frames(server, before):
    wrong = []
    for name, (data, code) in BAD_FRAMES.items():
        with peers.connect(server.port) as sock:
            peers.send_all(sock, before + data)
            try:
                error = peers.error_of(peers.finish(sock))
            except (AssertionError, OSError) as failure:
                error = {"code": repr(failure)}
        if error["code"] != code:
            wrong.append((name, error))
    assert not wrong
    peers.goes_on(server, ["first"] if before else [])


@pytest.mark.parametrize("end", ["close", "reset"])
def test_peer_gone_in_the_middle(server, end):
    """At 14 places of a frame; the file that was there before stays."""
    old = b"old content"
    peers.store(server, "kept", old)
    frame = peers.upload_frame("kept", peers.content("new", 100000))
    head = len(frame) - 100000
    for count in [0, 1, 2, 3, 4, 5, 20, head - 1, head, head + 1, head + 1000, head + 65536,
                  len(frame) - 1000, len(frame) - 1]:
        sock = peers.connect(server.port)
        sock.sendall(frame[:count])
        sock.close() if end == "close" else peers.reset(sock)
        peers.goes_on(server, ["kept"])
        assert peers.read(os.path.join(server.root, "kept")) == old


def test_peer_that_only_half_closes_in_the_middle(server):
    with peers.connect(server.port) as sock:
        sock.sendall(peers.upload_frame("a", b"12345")[:-1])
        peers.finish(sock)
    peers.goes_on(server)


def test_whole_uploads_before_a_cut_one_are_kept(server):
    with peers.connect(server.port) as sock:
        sock.sendall(peers.upload_frame("a", b"1") + peers.upload_frame("b", b"2") + peers.upload_frame("c", b"3")[:-1])
        peers.finish(sock)
    wait_until(lambda: server.names() == ["a", "b"], "a and b are stored")
    peers.goes_on(server, ["a", "b"])


@pytest.mark.parametrize("start", [b"\x10", b"\x50\0\0\0", b"\x50\0\0\0{"], ids=["prefix", "header", "in the header"])
def test_slow_header(serve, start):
    """The clock runs from the first byte of a head and further bytes do not extend it."""
    server = serve("--header-timeout", "0.5")
    with peers.connect(server.port) as sock:
        began = time.monotonic()
        sock.sendall(start)
        pause = 0.1 if len(start) > 1 else PATIENCE  # one byte more every 0.1 s: blanks inside the header
        while not select.select([sock], [], [], pause)[0]:
            assert time.monotonic() - began < PATIENCE
            peers.send_all(sock, b" ")
        with contextlib.suppress(ConnectionResetError):
            peers.read_to_end(sock)
        assert 0.4 < time.monotonic() - began < 2.5
    peers.goes_on(server)


def test_slow_header_after_an_upload(serve):
    server = serve("--header-timeout", "0.5")
    with peers.connect(server.port) as sock:
        sock.sendall(peers.upload_frame("a", b"1") + b"\x50\0")
        with contextlib.suppress(ConnectionResetError):
            peers.read_to_end(sock)
    wait_until(lambda: server.names() == ["a"], "a is stored")
    peers.goes_on(server, ["a"])


def test_header_timeout_spares_idle_connections_and_slow_bodies(serve):
    server = serve("--header-timeout", "0.2")
    frame = peers.upload_frame("a", b"12345")
    with peers.connect(server.port) as idle, peers.connect(server.port) as slow:
        slow.sendall(frame[:-3])
        assert not select.select([idle, slow], [], [], 1.0)[0]
        slow.sendall(frame[-3:])
        assert peers.finish(slow) == b""
        idle.sendall(peers.upload_frame("b", b""))
        assert peers.finish(idle) == b""
    wait_until(lambda: server.names() == ["a", "b"], "both are stored")


@pytest.mark.parametrize("start", [b"", peers.upload_frame("a", b"12345")[:-3]], ids=["between", "in a body"])
def test_idle_timeout(serve, start):
    server = serve("--idle-timeout", "0.5")
    with peers.connect(server.port) as sock:
        sock.sendall(start)
        began = time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            peers.read_to_end(sock)
        assert 0.4 < time.monotonic() - began < 2.5
    peers.goes_on(server)


def test_max_connections(serve):
    """One too many is told so and closed, the others go on, and a free place is given again."""
    server = serve("--max-connections", "4")
    inside = [peers.connect(server.port) for _ in range(4)]
    try:
        for n, sock in enumerate(inside):  # each has been accepted once its file is there
            sock.sendall(peers.upload_frame("file %d" % n, b"1"))
            wait_until(lambda: os.path.exists(os.path.join(server.root, "file %d" % n)), "file %d is stored" % n)
        for _ in range(5):
            with peers.connect(server.port) as sock:
                error = peers.error_of(peers.read_to_end(sock))
            assert error["code"] == RESOURCE_EXHAUSTED and error["data"]["limit"] == 4, error
        for n, sock in enumerate(inside):
            sock.sendall(peers.upload_frame("again %d" % n, b"2"))
            wait_until(lambda: os.path.exists(os.path.join(server.root, "again %d" % n)), "again %d is stored" % n)
        assert peers.finish(inside.pop()) == b""

        def taken():
            with peers.connect(server.port) as sock:
                peers.send_all(sock, peers.upload_frame("later", b"3"))
                with contextlib.suppress(ConnectionResetError):
                    return peers.finish(sock) == b""
        wait_until(taken, "the free place is given again")
    finally:
        for sock in inside:
            sock.close()
    peers.store(server, "last", b"4")


@pytest.mark.parametrize("why", ["bad name", "too large"])
def test_a_refused_sender_reads_its_error(serve, long, why):
    """64 MiB sent by a plain sendall loop that looks for an answer only afterwards: N times of N."""
    server = serve("--max-file", "32M")
    rounds, piece = (100 if long else 5), b"x" * MIB
    name, code = ("..", INVALID_PARAMS) if why == "bad name" else ("large", RESOURCE_EXHAUSTED)
    for _ in range(rounds):
        with peers.connect(server.port) as sock:
            sock.sendall(reference.encode({"file_name": name, "file_size": 64 * MIB}))
            for _ in range(64):
                sock.sendall(piece)
            assert peers.error_of(peers.read_to_end(sock))["code"] == code
    peers.goes_on(server)


def test_a_refused_sender_is_not_drained_for_ever(serve):
    server = serve("--max-file", "1M")
    piece, sent = b"x" * MIB, 0
    with peers.connect(server.port) as sock:
        sock.sendall(reference.encode({"file_name": "large", "file_size": 1 << 50}))
        while peers.send_all(sock, piece):
            sent += 1
            assert sent < 1024, "still taking after 1 GiB"
    assert sent >= 60
    peers.goes_on(server)


def test_max_file(serve):
    server = serve("--max-file", "1M")
    peers.store(server, "exactly", peers.content("limit", MIB))
    error = peers.refusal(server.port, peers.upload_frame("over", b"x" * (MIB + 1)))
    assert error["code"] == RESOURCE_EXHAUSTED
    assert (error["data"]["limit"], error["data"]["got"]) == (MIB, MIB + 1)
    error = peers.refusal(server.port, peers.upload_frame("exactly", b"x" * (MIB + 1)))
    assert error["code"] == RESOURCE_EXHAUSTED
    peers.goes_on(server, ["exactly"])
    assert peers.read(os.path.join(server.root, "exactly")) == peers.content("limit", MIB)


def test_max_file_is_known_from_the_header(serve):
    """A claim of 10 TiB is answered before its first byte, and costs nothing."""
    server = serve("--max-file", "1M")
    with peers.connect(server.port) as sock:
        sock.sendall(reference.encode({"file_name": "a", "file_size": 10 << 40}))
        header, body = reference.receive(sock)
        assert header["error"]["code"] == RESOURCE_EXHAUSTED and header["error"]["data"]["got"] == 10 << 40
    peers.goes_on(server)


def test_claims_without_data_cost_nothing(server, program):
    """100 claims of the largest size: no memory, no disk space, no files."""
    peers.store(server, "warm", peers.content("warm", MIB))
    before, free = peak_memory(server.process.pid), shutil.disk_usage(server.root).free
    socks = [peers.connect(server.port) for _ in range(100)]
    try:
        for sock in socks:
            sock.sendall(reference.encode({"file_name": "claim", "file_size": (1 << 63) - 1}, b"x"))
        peers.store(server, "in between", b"1")
        assert shutil.disk_usage(server.root).free > free - (1 << 30)
    finally:
        for sock in socks:
            sock.close()
    peers.goes_on(server, ["in between", "warm"])
    if not is_sanitized(program):
        assert peak_memory(server.process.pid) - before < 8 * MIB


@pytest.mark.parametrize("inhabited", [False, True], ids=["empty", "with a file"])
def test_a_folder_under_the_name_is_refused_and_kept(server, inhabited):
    folder = os.path.join(server.root, "folder")
    os.mkdir(folder)
    if inhabited:
        with open(os.path.join(folder, "kept"), "wb") as f:
            f.write(b"kept")
    before = peers.tree(server.root, leave_out=[os.path.join(server.root, ".framecall")])
    for body in (b"", b"body"):
        peers.refusal(server.port, peers.upload_frame("folder", body))
    assert peers.tree(server.root, leave_out=[os.path.join(server.root, ".framecall")]) == before
    peers.goes_on(server, ["folder"])


def upload_or_refusal(server, name, body):
    """True when `name` is now a regular file of this body, False when it was refused."""
    with peers.connect(server.port) as sock:
        sock.sendall(peers.upload_frame(name, body))
        answer = peers.finish(sock)
    path = os.path.join(server.root, name)
    if answer:
        peers.error_of(answer)
        return False
    wait_until(lambda: stat.S_ISREG(os.lstat(path).st_mode) and peers.read(path) == body, "%r is replaced" % name)
    return True


@pytest.mark.parametrize("target", ["../canary", "../new", "../folder", "inside", "link", ".framecall"])
def test_links_are_never_written_through(server, outer, target):
    peers.store(server, "inside", b"inside")
    link = os.path.join(server.root, "link")
    os.symlink(target, link)
    if not upload_or_refusal(server, "link", b"through?"):
        assert os.readlink(link) == target
    assert peers.read(os.path.join(server.root, "inside")) == b"inside"
    peers.goes_on(server, ["inside", "link"])


def test_hard_links_are_never_written_through(server, outer):
    os.link(outer / "canary", os.path.join(server.root, "link"))
    upload_or_refusal(server, "link", b"through?")
    assert (outer / "canary").read_bytes() == b"alive"
    peers.goes_on(server, ["link"])


def test_fifos_are_never_written_to(server):
    path = os.path.join(server.root, "fifo")
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not upload_or_refusal(server, "fifo", b"x" * 100000):
            assert stat.S_ISFIFO(os.lstat(path).st_mode)
        assert os.read(reader, 1) == b""
    finally:
        os.close(reader)
    peers.goes_on(server, ["fifo"])


def test_devices_are_never_written_to(server):
    path = os.path.join(server.root, "device")
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("making a device needs root")
    if not upload_or_refusal(server, "device", b"x"):
        assert stat.S_ISCHR(os.lstat(path).st_mode)
    peers.goes_on(server, ["device"])


@pytest.fixture
def tmpfs(tmp_path):
    """tmpfs(size) -> the path of a file system of that size."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    mounted = []

    def mount(size):
        path = tmp_path / ("mount-%d" % len(mounted))
        path.mkdir()
        result = subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755,size=%d" % size, "tmpfs", str(path)],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if result.returncode:
            pytest.skip("mount refuses: " + result.stdout.decode(errors="replace").strip())
        mounted.append(path)
        return path

    yield mount
    for path in mounted:
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_disk_full(tmpfs, serve):
    server = serve(root=tmpfs(4 * MIB))
    peers.store(server, "kept", peers.content("kept", MIB))
    for name in ["new", "kept"]:
        error = peers.refusal(server.port, peers.upload_frame(name, b"x" * (8 * MIB)))
        assert error["code"] == RESOURCE_EXHAUSTED and os.strerror(errno.ENOSPC) in error["message"], error
        peers.goes_on(server, ["kept"])
    peers.store(server, "two", peers.content("two", 2 * MIB))
    peers.goes_on(server, ["kept", "two"])
    assert peers.read(os.path.join(server.root, "kept")) == peers.content("kept", MIB)
    assert peers.read(os.path.join(server.root, "two")) == peers.content("two", 2 * MIB)


def test_read_only_root(program, serve):
    """The root loses its write permission while the server runs (as nobody: root may write anywhere)."""
    options = {}
    with tempfile.TemporaryDirectory() as base:
        if os.geteuid() == 0:
            os.chmod(base, 0o755)
            program = shutil.copy(program, base)
            options = {"user": 65534, "group": 65534, "extra_groups": []}
            try:
                subprocess.run([program, "--version"], env=clean_environment(), stdout=subprocess.DEVNULL,
                               check=True, timeout=PATIENCE, **options)
            except (OSError, subprocess.CalledProcessError) as e:
                pytest.skip("cannot run as another user: %s" % e)
        root = os.path.join(base, "root")
        os.mkdir(root)
        os.chown(root, options.get("user", os.geteuid()), -1)
        server = serve(root=root, program=program, **options)
        peers.store(server, "kept", b"kept")
        os.chmod(root, 0o555)
        try:
            for name in ["new", "kept"]:
                error = peers.refusal(server.port, peers.upload_frame(name, b"x" * 1000))
                assert error["code"] == PERMISSION_DENIED and os.strerror(errno.EACCES) in error["message"], error
                wait_until(lambda: not server.parts(), "no part files")
            assert server.names() == ["kept"] and peers.read(os.path.join(root, "kept")) == b"kept"
        finally:
            os.chmod(root, 0o755)
        peers.goes_on(server, ["kept"])
        server.stop()


def test_root_gone(server):
    shutil.rmtree(server.root)
    for _ in range(2):
        with peers.connect(server.port) as sock:
            sock.sendall(peers.upload_frame("a", b"1"))
            answer = peers.finish(sock)
        assert answer == b"" or peers.error_of(answer)
        assert answer or os.path.exists(os.path.join(server.root, "a")), "neither stored nor refused"


def test_errors_quote_the_peer_safely(server):
    """What a peer wrote comes back cut and escaped, in answers and in the log."""
    for name in ["\x1b[31mred" + "/" * 500, "../" + "长" * 5000, "a\nforged line\r\0"]:
        error = peers.refusal(server.port, peers.upload_frame(name, b""))
        assert len(error["message"].encode()) < 500
    log = server.log()
    assert log.replace("\n", "").isprintable()
    assert "\nforged line" not in log
    assert max(map(len, log.splitlines() or [""])) < 1000
