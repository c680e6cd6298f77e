"""framecall.Server: what it takes, where it listens, and how it ends."""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import framecall
import pytest
from serving import ENDLESS, make_endless_server


def connect(address):
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def test_access_is_what_peers_may_do(tmp_path):
    (tmp_path / "old").write_text("old")
    careful = framecall.Server("127.0.0.1:0", root=tmp_path, access=["read", "write", "no-replace", "no-remove"])
    with careful, framecall.Client(careful.address) as client:
        assert client.stat("old").size == 3
        client.put(tmp_path / "old", "new")
        with pytest.raises(framecall.RemoteError) as caught:
            client.put(tmp_path / "new", "old")
        assert caught.value.code == -32046
        with pytest.raises(PermissionError):
            client.remove("old")
    box = framecall.Server("127.0.0.1:0", root=tmp_path, access=["write"])
    with box, framecall.Client(box.address) as client, pytest.raises(PermissionError):
        client.get("old", tmp_path / "copy")
    with pytest.raises(ValueError, match="no-replace"):
        framecall.Server("127.0.0.1:0", root=tmp_path, access=["delete"])


def test_a_root_that_code_is_loaded_from_is_told(tmp_path):
    (tmp_path / "own").mkdir()
    script = tmp_path / "script.py"
    script.write_text(
        "import logging, sys, framecall\n"
        "logging.basicConfig(level=logging.WARNING, format='%(message)s')\n"
        "with framecall.Server('127.0.0.1:0', root=sys.argv[1]):\n"
        "    pass\n"
    )
    for root, warned in (".", True), ("own", False):
        result = subprocess.run(
            [sys.executable, script.name, root], cwd=tmp_path, stderr=subprocess.PIPE, check=True, timeout=60
        )
        assert (b"peers can write files there" in result.stderr) is warned, result.stderr


def test_echo_and_uploads_and_health_on_one_port(tmp_path):
    with framecall.Server("127.0.0.1:0", root=tmp_path, protocols=["frames", "echo", "http"]) as server:
        with framecall.RawClient(server.address) as client:
            client.send("你好, hello".encode())
            assert client.receive() == "你好, HELLO".encode()
        with connect(server.address) as sock:
            header = b'{"file_name": "a", "file_size": 5}'
            sock.sendall(struct.pack("<i", len(header)) + header + b"hello")
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(100) == b""
        assert (tmp_path / "a").read_bytes() == b"hello"
        with connect(server.address) as sock:
            sock.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
            assert b"200 OK" in sock.recv(1000)
    with pytest.raises(ConnectionRefusedError):
        connect(server.address)


def test_datagrams():
    server = framecall.Server("127.0.0.1:0")
    upper, fixed = server.listen_udp("127.0.0.1:0"), server.listen_udp("127.0.0.1:0", "hello")
    with server, framecall.UdpClient(upper) as one, framecall.UdpClient(fixed) as two:
        assert one.request(b"abc") == b"ABC"
        assert two.request(b"abc") == b"hello"


def test_a_result_that_no_datagram_holds_is_an_error():
    """Above 16,777,215 bytes of JSON text it once ended the process."""
    server = framecall.Server("127.0.0.1:0")

    @server.method
    def large(size: int):
        return "x" * size

    @server.method
    async def slow_large(size: int):
        return "x" * size

    address = server.listen_udp("127.0.0.1:0")
    with server, framecall.UdpClient(address) as client:
        for method in ("large", "slow_large"):
            for size in (100_000, 20_000_000):
                frame = framecall.encode_frame({"id": 1, "method": method, "params": [size]})
                reply = framecall.decode_header(client.request(frame)[4:])
                assert reply["error"]["code"] == -32048
        assert client.request(b"still there") == b"STILL THERE"


def test_limits_of_datagrams():
    server = framecall.Server("127.0.0.1:0", max_udp_calls=2, max_udp_ratio=0, max_udp_rate=0, max_udp_bytes=1 << 20)
    release = threading.Event()

    @server.method
    def wait():
        release.wait(30)

    address = server.listen_udp("127.0.0.1:0")
    frame = framecall.encode_frame({"id": 1, "method": "wait"})
    with server, framecall.UdpClient(address) as client:
        for _ in range(3):
            client.send(frame)
        refused = framecall.decode_header(client.receive()[4:])
        assert refused["error"]["message"] == "max_udp_calls is 2: 3 calls by datagram wait"
        assert refused["error"]["data"] == {"status": "RESOURCE_EXHAUSTED", "limit": 2, "got": 3}
        release.set()
        assert [framecall.decode_header(client.receive()[4:])["result"] for _ in range(2)] == [None, None]
        document = client.request(framecall.encode_frame({"id": 1, "method": "rpc.discover"}))
        assert framecall.decode_header(document[4:])["result"]["openrpc"] == "1.3.2"
    with pytest.raises(ValueError, match="max_udp_calls"):
        framecall.Server("127.0.0.1:0", max_udp_calls=-1)


def test_a_unix_socket(tmp_path):
    path = f"unix:{tmp_path}/s"
    with framecall.Server(path, protocols=["echo"]) as server:
        assert server.address == path
        with framecall.RawClient(path) as client:
            client.send(b"x")
            assert client.receive() == b"X"


def test_mistakes(tmp_path):
    with framecall.Server("127.0.0.1:0") as server:
        with pytest.raises(OSError, match=server.address):
            framecall.Server(server.address)
        with pytest.raises(ValueError, match="started before"):
            server.start()
    with pytest.raises(ValueError, match="nonsense"):
        framecall.Server("nonsense")
    with pytest.raises(ValueError, match="frames, echo, http"):
        framecall.Server("127.0.0.1:0", protocols=["ftp"])
    with pytest.raises(FileNotFoundError):
        framecall.Server("127.0.0.1:0", root=tmp_path / "none")


@pytest.mark.parametrize(("method", "params"), ENDLESS)
def test_an_endless_stream_does_not_hold_the_end(method, params):
    """Its caller is told; drain_timeout is 25 s."""
    server = make_endless_server()
    with server, framecall.Client(server.address) as client:
        stream = client.stream(method, params)
        assert next(stream)
        began = time.monotonic()
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        with pytest.raises(framecall.RemoteError, match="the server is shutting down: call again") as caught:
            for _ in stream:
                pass
        assert caught.value.status == "UNAVAILABLE"
        assert server.ended.wait(10)
        stopping.join(20)
        assert time.monotonic() - began < 15


def test_a_stream_may_end_before_the_server_does():
    server = framecall.Server("127.0.0.1:0")

    @server.handler
    def converse(request):
        for part in request.parts():
            yield part.value

    with server, framecall.Client(server.address) as client:
        stream = client.stream("converse", sending=True)
        stream.send(1)
        assert next(stream).value == 1
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        with contextlib.suppress(ConnectionError):  # it takes no more connections
            while client.call("rpc.health")["status"] == "SERVING":
                pass
        stream.send(2)
        stream.finish_sending()
        assert [part.value for part in stream] == [2]
        stopping.join(20)


def test_run_until_stopped():
    server = framecall.Server("127.0.0.1:0", protocols=["echo"], threads=1)
    thread = threading.Thread(target=server.run)
    thread.start()
    with framecall.RawClient(server.address) as client:
        client.send(b"x")
        assert client.receive() == b"X"
    server.stop()
    thread.join(20)
    assert not thread.is_alive()


def test_run_until_interrupted():
    code = "import framecall; s = framecall.Server('127.0.0.1:0'); print(s.address, flush=True); s.run(); print('end')"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=os.environ.copy())
    try:
        with connect(process.stdout.readline().decode().strip()) as sock:
            header = b'{"id": 1, "method": "rpc.ping"}'
            sock.sendall(struct.pack("<i", len(header)) + header)
            assert b'"pong"' in sock.recv(1000)  # it serves, so it waits in run()
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20)[0] == b"end\n"
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()
