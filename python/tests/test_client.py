"""framecall.Client: calls, pipelines, streams, files, and all that can go wrong."""

import asyncio
import copy
import multiprocessing
import os
import pickle
import signal
import socket
import threading
import time

import framecall
import framecall.aio
import pytest
from serving import ENDLESS, answering, make_endless_server, make_server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with make_server(root=tmp_path_factory.mktemp("root")) as server:
        yield server


@pytest.fixture
def client(server):
    with framecall.Client(server.address) as client:
        yield client


def test_calls_by_place_and_by_name(client):
    assert client.call("add", 2, 3) == 5
    assert client.call("add", a=2) == 3
    assert client.call("add_later", a=2, b=3) == 5
    assert client.call("echo") is None
    assert client.call("echo", [1, {"x": None}], "你好 🚀", 2**70, 0.1) == [[1, {"x": None}], "你好 🚀", 2**70, 0.1]
    names = {"body_": 1, "名": "x", "a b": True}
    assert client.call("echo", **names) == names
    assert client.request("echo", {"body": 1, "timeout": 2, "metadata": 3}).result == {
        "body": 1,
        "timeout": 2,
        "metadata": 3,
    }


@pytest.mark.parametrize("body", [b"hello", bytearray(b"hello"), memoryview(b"hello")])
def test_bodies(client, body):
    value = client.call("upper", body=body)
    assert isinstance(value, memoryview)
    assert bytes(value) == b"HELLO"
    assert not value.readonly
    assert client.call("upper", body=b"") is None
    reply = client.request("upper", body=body)
    assert (reply.result, bytes(reply.body), reply.metadata) == (None, b"HELLO", {})
    assert "body of 5 bytes" in repr(reply)


def test_a_body_outlives_everything_else(server):
    client = framecall.Client(server.address)
    content = os.urandom(3_000_000)
    body = client.request("echo", body=content).body
    del client
    assert body == content


def test_large_bodies_both_ways(client):
    content = os.urandom(1 << 20) * 20
    assert client.call("echo", body=content) == content
    assert client.request("tell", body=content, digest=True).body == content


def test_metadata_and_timeouts_arrive(client):
    reply = client.request("tell", [1], metadata={"name": "x"}, timeout=5)
    assert reply.metadata == {"answered": "yes"}
    assert reply.result["metadata"] == {"name": "x"}
    assert 0 < reply.result["timeout"] <= 5
    assert client.request("tell").result["timeout"] is None


def test_remote_errors(client):
    with pytest.raises(framecall.RemoteError) as caught:
        client.call("fail", "no good")
    error = caught.value
    assert (error.code, error.message, error.type, error.status) == (-32603, "no good", "ValueError", None)
    assert "traceback" not in error.data
    with pytest.raises(framecall.RemoteError) as caught:
        client.call("refuse", 42, "mine\n\x1b", {"a": [1]})
    assert (caught.value.code, caught.value.message, caught.value.data) == (42, "mine\n\x1b", {"a": [1]})
    for one in (copy.copy(caught.value), pickle.loads(pickle.dumps(caught.value))):
        assert (type(one), one.code, one.message, one.data) == (framecall.RemoteError, 42, "mine\n\x1b", {"a": [1]})


@pytest.mark.parametrize(
    ("code", "kind", "base"),
    [
        (-32601, framecall.MethodNotFoundError, LookupError),
        (-32045, framecall.NotFoundError, FileNotFoundError),
        (-32046, framecall.AlreadyExistsError, FileExistsError),
        (-32047, framecall.PermissionDeniedError, PermissionError),
        (-32056, framecall.PermissionDeniedError, PermissionError),
        (-32044, framecall.DeadlineExceededError, TimeoutError),
        (-32041, framecall.CancelledError, framecall.Error),
    ],
)
def test_codes_with_a_name_in_python(client, code, kind, base):
    with pytest.raises(base) as caught:
        client.call("refuse", code, "because")
    assert type(caught.value) is kind
    assert (caught.value.code, str(caught.value)) == (code, f"because ({code})")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), again.code, again.message) == (kind, code, "because")


def test_what_has_no_json_is_named(client):
    for args, named, where in [
        (({1, 2},), {}, "params[0]: set has no JSON"),
        ((1, [2, {"a": b"x"}]), {}, "params[1][1]['a']: bytes has no JSON"),
        ((), {"who": {"x": [object()]}}, "params['who']['x'][0]: object has no JSON"),
        (({(1, 2): 3},), {}, "params[0]: the key (1, 2) is tuple, not str"),
    ]:
        with pytest.raises(TypeError) as caught:
            client.call("echo", *args, **named)
        assert str(caught.value) == where
    with pytest.raises(TypeError, match=r"metadata\['a'\]: set has no JSON"):
        client.call("echo", metadata={"a": set()})
    with pytest.raises(ValueError, match="metadata is no object of strings"):
        client.call("echo", metadata={"a": 1})
    circle = []
    circle.append(circle)
    with pytest.raises(ValueError, match="nested deeper than 1000 levels, or circular"):
        client.call("echo", circle)
    assert client.call("add", 1, 1) == 2


def test_misuse(client):
    for wrong in ["", "x", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", "unix:", [], ["127.0.0.1:1", "y"]]:
        with pytest.raises(ValueError):
            framecall.Client(wrong)
    for wrong in ("tcp://127.0.0.1:80", "http://127.0.0.1:80/x", "tcp://[::1]:80"):
        with pytest.raises(ValueError, match=r"expected HOST:PORT, \[IPV6\]:PORT or unix:PATH, without \w+://"):
            framecall.Client(wrong)
    with pytest.raises(TypeError):
        framecall.Client(5)
    with pytest.raises(ValueError, match=r"attempts: 1 \.\. 1000, not 0"):
        framecall.Client("127.0.0.1:1", attempts=0)
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="timeout: above 0"):
            client.call("add", 1, timeout=wrong)
    with pytest.raises(TypeError, match="a body must be bytes-like, an array or a dict of arrays, not str"):
        client.call("upper", body="text")
    with pytest.raises(TypeError, match="either by place or by name"):
        client.call("add", 1, b=2)
    with pytest.raises(TypeError, match="the name of a method"):
        client.call()
    with pytest.raises(TypeError, match="params must be a list"):
        client.request("add", 5)
    with pytest.raises(TypeError, match="parts are for stream"):
        client.request("add", sending=True)
    with pytest.raises(TypeError):
        client.request("add", [], nonsense=1)
    with pytest.raises(BufferError):
        client.call("upper", body=memoryview(bytes(10))[::2])
    with pytest.raises(TypeError):
        framecall.Reply()


def test_a_closed_client(server):
    client = framecall.Client(server.address)
    assert client.call("add", 1, 1) == 2
    client.close()
    client.close()
    for work in (lambda: client.call("add", 1), lambda: client.list(), lambda: client.stream("count", [1])):
        with pytest.raises(ValueError, match="the client is closed"):
            work()
    assert repr(client) == f"<framecall.Client to {server.address}, closed>"


def test_one_that_was_never_initialised():
    class Broken(framecall.Client):
        def __init__(self):
            pass

    with pytest.raises(ValueError, match="not initialised"):
        Broken().call("add", 1)


def test_notifications(client):
    client.notify("add", 1, 2)
    client.notify("no.such.method", body=b"x")
    assert client.call("add", 1, 1) == 2


def test_pipelines(client):
    pipeline = client.pipeline()
    assert pipeline.execute() == []
    for i in range(3000):
        assert pipeline.call("add", i) == i
    assert len(pipeline) == 3000
    assert pipeline.execute() == list(range(1, 3001))
    assert len(pipeline) == 0
    with pytest.raises(TypeError, match=r"params\[0\]: set has no JSON"):
        pipeline.call("add", set())
    with client.pipeline() as pipeline:
        pipeline.call("upper", body=b"x")
        pipeline.call("add", "1")
        pipeline.call("add", 1, timeout=None)
        values = pipeline.execute(return_errors=True)
    assert bytes(values[0]) == b"X" and values[2] == 2
    assert isinstance(values[1], framecall.RemoteError) and values[1].code == -32602
    pipeline.call("fail")
    with pytest.raises(framecall.RemoteError, match="oops"):
        pipeline.execute()


def test_a_batch_larger_than_the_buffers_of_both_sockets(client):
    pipeline = client.pipeline()
    for _ in range(100):
        pipeline.call("echo", body=bytes(200_000))
    assert [value.nbytes for value in pipeline.execute()] == [200_000] * 100


@pytest.mark.parametrize("method", ["count", "count_later"])
def test_streams(client, method):
    stream = client.stream(method, [5])
    assert [part.value for part in stream] == [0, 1, 2, 3, 4]
    assert next(stream, None) is None
    assert stream.metadata == {}
    with pytest.raises(framecall.RemoteError, match='the request lacks "stream": true'):
        client.call(method, 3)


@pytest.mark.parametrize("kind", ["", "_later"])
def test_streams_with_parts_both_ways(client, kind):
    stream = client.stream("total" + kind, sending=True)
    for i in range(100):
        assert stream.send(i)
    stream.finish_sending()
    assert [part.value for part in stream] == [4950]
    with client.stream("converse" + kind, sending=True) as stream:
        for i in range(50):
            stream.send(i, body=bytes([i]) * 1000)
            part = next(stream)
            assert (part.value, bytes(part.body)) == (i, bytes([i]) * 1000)
        stream.finish_sending()
        assert list(stream) == []
        with pytest.raises(ValueError):
            stream.send(1)
    with pytest.raises(ValueError, match="this stream is closed"):
        stream.send(1)


def test_a_stream_is_held_back(client):
    stream = client.stream("count_later", {"n": 300, "size": 100_000})
    time.sleep(0.1)  # the server runs ahead as far as it may
    assert [part.body.nbytes for part in stream] == [100_000] * 300


@pytest.mark.parametrize(("method", "params"), ENDLESS)
def test_an_abandoned_stream_is_cancelled(method, params):
    def left_by_break(client):
        for _ in client.stream(method, params):
            break

    def left_by_an_exception(client):
        with pytest.raises(KeyError):
            for _ in client.stream(method, params):
                raise KeyError

    def forgotten(client):
        assert next(client.stream(method, params))

    def left_by_with(client):
        with client.stream(method, params) as stream:
            assert next(stream)

    def closed(client):
        stream = client.stream(method, params)
        assert next(stream)
        stream.close()
        assert list(stream) == []

    def cancelled(client):
        stream = client.stream(method, params)
        assert next(stream)
        stream.cancel()
        assert list(stream) == [] and stream.metadata == {}

    with make_endless_server() as server, framecall.Client(server.address) as client:
        for leave in (left_by_break, left_by_an_exception, forgotten, left_by_with, closed, cancelled):
            server.ended.clear()
            leave(client)
            assert server.ended.wait(10), leave.__name__
        assert client.call("echo", 1) == [1]


def test_a_stream_that_is_cancelled(client):
    stream = client.stream("converse", sending=True)
    assert stream.send(1)
    assert next(stream).value == 1
    stream.cancel()
    assert list(stream) == []
    with pytest.raises(ValueError):
        stream.send(2)
    assert client.call("add", 1) == 2


def test_a_child_does_not_cancel_the_streams_of_its_parent(client):
    stream = client.stream("converse", sending=True)
    stream.send(1)
    assert next(stream).value == 1
    child = os.fork()
    if child == 0:
        stream = None
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    stream.send(2)
    assert next(stream).value == 2
    stream.finish_sending()
    assert list(stream) == []


def test_a_call_that_is_late(client):
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        client.call("sleep_later", 6, timeout=0.15)
    assert 0.1 < time.monotonic() - began < 5
    with (
        answering() as address,
        framecall.Client(address, timeout=0.15) as other,
        pytest.raises(TimeoutError) as caught,
    ):
        other.call("add", 1)
    assert f'{address}: no reply to "add"' in str(caught.value)


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    with framecall.Client(address, attempts=2, backoff=0.01) as client, pytest.raises(ConnectionRefusedError) as caught:
        client.call("add", 1)
    assert address in str(caught.value) and "2 attempts" in str(caught.value)


def test_a_connection_that_breaks_under_a_call():
    with serving(drain_timeout=0.05) as server:
        client = framecall.Client(server.address)
        client.call("add", 1)
        caught = []

        def call():
            try:
                client.call("sleep_later", 3)
            except framecall.UnavailableError as error:
                caught.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        while client.call("rpc.stats")["calls"] < 3:
            pass
    thread.join(20)
    assert isinstance(caught[0], ConnectionError) and isinstance(caught[0], framecall.Error)
    assert str(caught[0]).startswith("UNAVAILABLE")


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"\xff\xff\xff\xff", framecall.ProtocolError),
        (framecall.encode_frame({"id": 77, "result": 1}), framecall.ProtocolError),
        (framecall.encode_frame({"id": 1}), framecall.ProtocolError),
        (framecall.encode_frame({"id": 1, "result": 1, "more": True}), framecall.ProtocolError),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", framecall.ProtocolError),
        (framecall.encode_frame({"id": None, "error": {"code": -32600, "message": "no"}}), framecall.RemoteError),
    ],
)
def test_replies_that_are_none(reply, error):
    with answering(reply) as address, framecall.Client(address, timeout=10) as client, pytest.raises(error):
        client.call("add", 1)


def test_several_servers():
    with serving() as one, serving() as other:
        client = framecall.Client([one.address, other.address])
        assert [client.call("add", i) for i in range(10)] == list(range(1, 11))
        assert [framecall.Client(s.address).call("rpc.stats")["calls"] for s in (one, other)] == [6, 6]
        client.close()


# ---- threads, processes, signals


def test_many_threads_share_a_client(client):
    wrong = []

    def work(base):
        for i in range(200):
            if client.call("add", base, i) != base + i:
                wrong.append((base, i))

    threads = [threading.Thread(target=work, args=(1000 * n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_others_run_while_a_call_waits(client):
    ticks = 0
    stop = threading.Event()

    def tick():
        nonlocal ticks
        while not stop.wait(0.001):
            ticks += 1

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        before, began = ticks, time.monotonic()
        client.call("sleep_later", 0.5)
        rate = (ticks - before) / (time.monotonic() - began)
    finally:
        stop.set()
        thread.join()
    assert rate > 100  # of about 900: it would be 0 if the lock were held


def call_in_child(client, results):
    results.put(client.call("add", os.getpid(), 1) - os.getpid())


def call_by_address(address, results):
    with framecall.Client(address) as client:
        results.put(client.call("add", 0, 1))


def test_both_sides_of_a_fork(client):
    assert client.call("add", 1, 1) == 2
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    children = [context.Process(target=call_in_child, args=(client, results)) for _ in range(3)]
    for child in children:
        child.start()
    assert [client.call("add", i, 1) for i in range(100)] == list(range(1, 101))
    assert [results.get(timeout=20) for _ in children] == [1, 1, 1]
    for child in children:
        child.join(20)
        assert child.exitcode == 0
    assert client.call("add", 1, 1) == 2


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_new_processes(server, method):
    context = multiprocessing.get_context(method)
    results = context.Queue()
    child = context.Process(target=call_by_address, args=(server.address, results))
    child.start()
    assert results.get(timeout=30) == 1
    child.join(20)
    assert child.exitcode == 0


def test_ctrl_c_ends_a_call(client):
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        client.call("sleep_later", 6)
    assert time.monotonic() - began < 5
    assert client.call("add", 1, 1) == 2


def test_other_signals_do_not_end_it(client):
    seen = []
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        client.call("sleep_later", 0.3)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert seen == [1]


# ---- files


def test_files(client, tmp_path):
    path = tmp_path / "数据.bin"
    path.write_bytes(os.urandom(300_000))
    seen = []
    digest = client.put(path, progress=lambda done, size: seen.append((done, size)))
    assert len(digest) == 64 and seen[-1] == (300_000, 300_000)
    assert client.put(path, "b.bin") == digest
    assert [(info.name, info.size) for info in client.list()] == [("b.bin", 300_000), ("数据.bin", 300_000)]
    assert client.list("数")[0].mtime > 1_600_000_000
    assert client.stat("b.bin").size == 300_000
    assert "FileInfo(name='b.bin', size=300000" in repr(client.stat("b.bin"))
    assert client.get("b.bin", tmp_path / "c") == 300_000
    assert (tmp_path / "c").read_bytes() == path.read_bytes()
    assert client.get("b.bin", tmp_path / "d", offset=10, length=5) == 5
    assert client.read("b.bin", offset=10, length=5) == path.read_bytes()[10:15]
    with pytest.raises(framecall.AlreadyExistsError):
        client.put(path, "b.bin", replace=False)
    client.remove("b.bin")
    with pytest.raises(FileNotFoundError):
        client.stat("b.bin")
    with pytest.raises(FileNotFoundError):
        client.put(tmp_path / "missing")
    with pytest.raises(framecall.RemoteError):
        client.put(path, "../b")
    client.remove("数据.bin")


def test_what_a_progress_function_raises_ends_the_transfer_and_a_new_one_goes_on(client, tmp_path):
    path = tmp_path / "big"
    path.write_bytes(os.urandom(1 << 20) * 30)

    class Enough(Exception):
        pass

    def stop(done, size):
        if done > 5_000_000:
            raise Enough

    with pytest.raises(Enough):
        client.put(path, progress=stop)
    first = []
    while True:  # the server may not yet know that the first attempt has ended
        try:
            digest = client.put(path, resume=True, progress=lambda done, size: first.append(done))
            break
        except framecall.RemoteError as error:
            assert error.status == "UNAVAILABLE"
    assert first[0] > 0 and client.stat("big").size == 30 << 20
    assert client.get("big", tmp_path / "copy") == 30 << 20
    assert (tmp_path / "copy").read_bytes() == path.read_bytes()
    assert len(digest) == 64
    client.remove("big")


def test_the_tutorials_upload(client, tmp_path):
    path = tmp_path / "t.txt"
    path.write_bytes(b"hello" * 1000)
    seen = []
    assert client.send_file(path, "renamed.txt", progress=lambda done, size: seen.append(done))
    assert client.read("renamed.txt") == b"hello" * 1000 and seen[-1] == 5000
    assert client.send_file(path, dialect="published") is True
    with pytest.raises(framecall.RemoteError):
        client.send_file(path, "..")
    with pytest.raises((ValueError, OSError)):
        client.send_file(path, dialect="no-such")
    client.remove("renamed.txt")
    client.remove("t.txt")


# ---- a server that lies about files


def file_server(reply):
    """Answers each call on one connection with (header, body) of reply(number of the call, header)."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection = listener.accept()[0]
        stream = connection.makefile("rb")
        number = 0
        try:
            while True:
                prefix = stream.read(4)
                if len(prefix) < 4:
                    return
                header = framecall.decode_header(stream.read(int.from_bytes(prefix, "little")))
                stream.read(header.get("body_size", 0))
                result, body = reply(number, header)
                number += 1
                answer = {"jsonrpc": "2.0", "id": header["id"], "result": result, "body_size": len(body)}
                connection.sendall(framecall.encode_frame(answer, body))
        except OSError:  # the client has seen enough
            pass
        finally:
            connection.close()
            listener.close()

    threading.Thread(target=serve, daemon=True).start()
    return f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("result", [None, 7, [], {}, {"name": 1, "size": "x", "files": 3, "sha256": None}])
def test_results_about_files_of_the_wrong_shape(result, tmp_path):
    (tmp_path / "source").write_bytes(b"hello")
    for method, call in {
        "file.stat": lambda client: client.stat("x"),
        "file.list": lambda client: client.list(),
        "file.get": lambda client: client.get("x", tmp_path / "target"),
        "file.put": lambda client: client.put(tmp_path / "source"),
    }.items():
        client = framecall.Client(file_server(lambda number, header: (result, b"")))
        with client, pytest.raises(framecall.ProtocolError, match=method):
            call(client)
    assert os.listdir(tmp_path) == ["source"]


def test_a_file_of_another_size_than_announced(tmp_path):
    head = {"name": "x", "size": 5000, "offset": 0, "length": 5000, "mtime": 1}
    for call in (lambda client: client.get("x", tmp_path / "target"), lambda client: client.read("x")):
        client = framecall.Client(file_server(lambda number, header: (head, b"short")))
        with client, pytest.raises(framecall.ProtocolError, match="body_size is 5 instead of 5000"):
            call(client)
    assert os.listdir(tmp_path) == []


def test_files_above_max_size(client, tmp_path):
    (tmp_path / "source").write_bytes(b"hello")
    client.put(tmp_path / "source", "limited")
    with pytest.raises(framecall.ProtocolError, match="5 bytes, max_size is 4"):
        client.get("limited", tmp_path / "target", max_size=4)
    with pytest.raises(framecall.ProtocolError, match="5 bytes, max_size is 4"):
        client.read("limited", max_size=4)
    assert client.read("limited", max_size=5) == b"hello"
    assert os.listdir(tmp_path) == ["source"]


def test_a_list_without_an_end():
    page = [{"name": "x" * 250, "size": 1, "mtime": 1}] * 3000

    def endless(number, header):
        return {"files": page, "next": f"{number:09d}"}, b""

    def stuck(number, header):
        return {"files": page[:1], "next": "x"}, b""

    for reply, message in [(endless, "more than 64 MiB"), (stuck, '"next" does not go on behind "x"')]:
        with framecall.Client(file_server(reply)) as client, pytest.raises(framecall.ProtocolError, match=message):
            client.list()


def test_a_host_that_is_not_found(tmp_path):
    """It looked as if a local file were missing."""
    (tmp_path / "source").write_bytes(b"hello")
    with framecall.Client("nosuch.invalid:80") as client:
        for call in (lambda: client.call("x"), lambda: client.put(tmp_path / "source"), lambda: client.list()):
            with pytest.raises(socket.gaierror, match="host not found: nosuch"):
                call()
    with pytest.raises(socket.gaierror, match="host not found: nosuch"):
        framecall.Server("nosuch.invalid:80")
    with pytest.raises(socket.gaierror, match="host not found: nosuch"):
        framecall.UdpClient("nosuch.invalid:80")

    async def call():
        async with framecall.aio.Client("nosuch.invalid:80") as client:
            await client.call("x")

    with pytest.raises(socket.gaierror, match="host not found: nosuch"):
        asyncio.run(call())
