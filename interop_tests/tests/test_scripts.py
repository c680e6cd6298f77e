"""The ten programs against each other: the facts that framecall has to live with, shown without it."""
import os
import re
import socket
import subprocess

import peers
import pytest
import reference
from processes import PATIENCE, cpu_seconds, script, wait_for_port, wait_until


def printed(path, text, times=1):
    return wait_until(lambda: peers.read(path).count(text) >= times, "%r printed %d times" % (text, times))


def test_t1_and_t2(python, tmp_path):
    with open(tmp_path / "t1.txt", "wb") as log, script("t01_tcp_echo_server.py", 0, python=python,
                                                        output=log) as server:
        port = wait_for_port(server)
        for _ in range(2):  # the next client is served after the first has gone
            with script("t02_tcp_interactive_client.py", port, python=python, stdin=subprocess.PIPE,
                        output=subprocess.PIPE) as client:
                output = client.communicate("hello\n\n   \n  你好 x \n".encode(), PATIENCE)[0].decode()
        assert "EOFError" in output and client.returncode == 1
        prompt = "请输入你:"
        assert output.startswith(prompt + "HELLO\n" + prompt * 3 + "你好 X\n" + prompt)
        assert server.poll() is None
    assert len(re.findall(r"^(?:b'hello'|hello)$", (tmp_path / "t1.txt").read_text(), re.MULTILINE)) == 2


def test_t1_serves_one_at_a_time(python):
    with script("t01_tcp_echo_server.py", 0, python=python) as server:
        port = wait_for_port(server)
        with peers.connect(port) as first, peers.connect(port) as second:
            second.sendall(b"second")
            first.sendall(b"first")
            assert first.recv(1024) == b"FIRST"
            peers.reset(first)
            assert second.recv(1024) == b"SECOND"


def test_t5_and_t6(python, tmp_path):
    with open(tmp_path / "t5.txt", "wb") as log, script("t05_udp_server.py", 0, python=python, output=log) as server:
        port = wait_for_port(server, "udp")
        with script("t06_udp_client.py", port, python=python, output=subprocess.PIPE) as client:
            assert client.communicate(timeout=PATIENCE)[0] == b"hello\n"
        assert server.wait(PATIENCE) == 0
    assert (tmp_path / "t5.txt").read_text() == "hello server baby!\n"


def test_t7_and_two_t8(python, tmp_path):
    outputs = [tmp_path / "one", tmp_path / "two"]
    with script("t07_threading_tcp_server.py", 0, python=python) as server:
        port = wait_for_port(server)
        with open(outputs[0], "wb") as one, open(outputs[1], "wb") as two, \
                script("t08_tcp_loop_client.py", port, python=python, output=one), \
                script("t08_tcp_loop_client.py", port, python=python, output=two):
            for path in outputs:
                printed(path, b"HELLO", 20)


def test_t9_floods_and_t10(python, tmp_path):
    with script("t09_threading_udp_server.py", 0, python=python) as server:
        port = wait_for_port(server, "udp")
        with open(tmp_path / "t10", "wb") as log, script("t10_udp_loop_client.py", port, python=python, output=log):
            printed(tmp_path / "t10", b"HELLO", 2)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE)
            sock.sendto(b"once", ("127.0.0.1", port))
            assert [sock.recv(1024) for _ in range(500)] == [b"ONCE"] * 500


def test_t3_kills_t4(python, tmp_path):
    """The published pair does not interoperate: the sender's `file_siz` is not the receiver's `file_size`."""
    (tmp_path / "a.txt").write_bytes(b"one\ntwo\n")
    (tmp_path / "received").mkdir()
    with open(tmp_path / "t4.txt", "wb") as log, script("t04_file_receiver.py", 0, python=python, output=log,
                                                        cwd=tmp_path / "received") as receiver:
        port = wait_for_port(receiver)
        with script("t03_file_sender.py", "a.txt", port, python=python, cwd=tmp_path) as sender:
            sender.wait(PATIENCE)
            assert receiver.wait(PATIENCE) == 1
    assert "KeyError: " in (tmp_path / "t4.txt").read_text()
    assert os.listdir(tmp_path / "received") == []


def test_t3_sends_the_published_header(python, tmp_path):
    body = peers.content("t3", 100000) + b"no line feed at the end"
    (tmp_path / "数据.bin").write_bytes(body)
    with peers.Recorder() as recorder:
        with script("t03_file_sender.py", "数据.bin", recorder.port, python=python, cwd=tmp_path) as sender:
            assert sender.wait(PATIENCE) == 0
        data = recorder.result()
    header = b'{"file_name": "\\u6570\\u636e.bin", "file_siz": %d}' % len(body)
    assert data == len(header).to_bytes(4, "little") + header + body


@pytest.fixture
def receiver(python, tmp_path):
    """A running T4 and its folder."""
    folder = tmp_path / "received"
    folder.mkdir()
    with script("t04_file_receiver.py", 0, python=python, cwd=folder) as process:
        yield process, wait_for_port(process), folder


def test_t4_stores_what_a_plain_sender_delivers(receiver):
    process, port, folder = receiver
    files = {"a.txt": b"x" * 5000, "空.bin": b"", "b": peers.content("t4", 1500)}
    for name, body in files.items():
        with peers.connect(port) as sock:
            sock.sendall(peers.upload_frame(name, body))
            assert peers.finish(sock) == b""
        assert (folder / name).read_bytes() == body
    assert process.poll() is None


def test_t4_swallows_what_follows_a_file(receiver):
    """Why one connection carries one file: 1,500 bytes and the next frame, and the file is too long."""
    process, port, folder = receiver
    with peers.connect(port) as sock:
        sock.sendall(peers.upload_frame("a", b"x" * 1500) + peers.upload_frame("b", b"y" * 1500))
        wait_until(lambda: (folder / "a").exists() and (folder / "a").stat().st_size > 1500, "a is too long")
    wait_until(lambda: process.poll() is not None, "the next frame is out of step")
    assert not (folder / "b").exists()


def test_t4_spins_when_the_sender_dies(receiver):
    process, port, folder = receiver
    with peers.connect(port) as sock:
        sock.sendall(reference.encode({"file_name": "short", "file_size": 1000000}, b"x" * 10))
    before = cpu_seconds(process.pid)
    wait_until(lambda: cpu_seconds(process.pid) > before + 0.3, "it burns a processor")
    assert process.poll() is None
    assert (folder / "short").stat().st_size < 1000000
