"""The end of an interpreter, whatever runs in it: no hang, no crash; and what a forked child makes of a server."""

import os
import signal
import subprocess
import sys
import time

import pytest

# Each is a program that ends by itself, with something of ours under way.
PROGRAMS = {
    "running server": "server.start()",
    "server under load": """
        server.start()
        for method in ("add", "sleep", "hop", "count"):
            threading.Thread(target=load, args=(method,), daemon=True).start()
        while client.call("rpc.stats")["calls"] < 50: pass
    """,
    "server with a handler that sleeps on": """
        server.start()
        threading.Thread(target=load, args=("doze",), daemon=True).start()
        while client.call("rpc.stats")["calls"] < 2: pass
    """,
    "call under way": """
        server.start()
        threading.Thread(target=load, args=("doze",), daemon=True).start()
        client.call("add", 1)
    """,
    "call to another process": """
        listener = socket.create_server(("127.0.0.1", 0))
        other = framecall.Client("127.0.0.1:%d" % listener.getsockname()[1])
        def call():
            try:
                other.call("add", 1)
            except framecall.UnavailableError:  # the listener is closed first
                pass
        threading.Thread(target=call, daemon=True).start()
        listener.accept()
    """,
    "stream under way": """
        server.start()
        stream = client.stream("count", [10**9])
        next(stream)
    """,
    "asyncio client": """
        server.start()
        async def main():
            other = framecall.aio.Client(server.address)
            await other.call("add", 1)
            asyncio.ensure_future(other.call("hop", 100))
            await asyncio.sleep(0)
        asyncio.run(main())
    """,
    "server that was forgotten": """
        server.start()
        address = server.address
        del server, client
        gc.collect()
        assert framecall.Client(address).call("add", 2) == 3
    """,
    "server that never started": "pass",
    "an exception": "server.start(); raise SystemExit(0)",
    "fork": """
        server.start()
        client.call("add", 1)
        child = os.fork()
        if child == 0:
            server.stop()
            del server
            gc.collect()
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert client.call("add", 1) == 2
    """,
    "multiprocessing": """
        server.start()
        import multiprocessing
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(abs, [-1, -2]) == [1, 2]
        assert client.call("add", 1) == 2
    """,
}
HEAD = """
import asyncio, gc, os, socket, sys, threading, time
import framecall, framecall.aio
server = framecall.Server("127.0.0.1:0", drain_timeout=0.2)
@server.method
def add(a, b=1): return a + b
@server.method
def sleep(seconds=0.001): time.sleep(seconds)
@server.method
def doze(seconds=3): time.sleep(seconds)
@server.method
async def hop(seconds=0.001): await asyncio.sleep(seconds)
@server.method
def count(n=3): yield from range(n)
def load(method):
    own = framecall.Client(server.address)
    while True:
        try:
            list(own.stream(method)) if method == "count" else own.call(method, *([1] if method == "add" else []))
        except Exception:
            return
client = framecall.Client(server.address)
"""


def program(name):
    import textwrap

    return HEAD + textwrap.dedent(PROGRAMS[name])


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_interpreter_ends(name):
    for _ in range(int(os.environ.get("FRAMECALL_TEST_ENDS", "17"))):  # about 200 in all
        began = time.monotonic()
        # 3.12 warns of every fork with threads: that is what is tested.
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program(name)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        said = [line for line in done.stderr.splitlines() if not line.startswith("drain_timeout: closing")]
        assert (done.returncode, said) == (0, []), name
        assert time.monotonic() - began < 20


def test_a_child_does_not_keep_the_port(tmp_path):
    """The child of a fork lives on; a new server must get the port all the same."""
    code = (
        HEAD
        + """
server.start()
client.call("add", 1)
child = os.fork()
if child == 0:
    os.write(1, b"%d " % os.getpid())
    time.sleep(30)
    os._exit(0)
address = server.address
server.stop()
again = framecall.Server(address)
again.start()
print("ok", flush=True)
"""
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        said = ""
        while "ok" not in said and (piece := os.read(process.stdout.fileno(), 100).decode()):
            said += piece
        process.wait(20)
        os.kill(int(said.split()[0]), signal.SIGKILL)
    assert process.returncode == 0 and "ok" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_ends_with_a_signal(number):
    code = HEAD + 'print(server.address, flush=True)\nserver.run()\nprint("ended", flush=True)\n'
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        address = process.stdout.readline().decode().strip()
        import framecall

        with framecall.Client(address) as client:
            assert client.call("add", 1) == 2
            process.send_signal(number)
            out, error = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, b"ended\n")
    assert error in (b"", b"drain_timeout: closing 1 connections in the middle\n")


def test_run_goes_on_after_other_signals():
    code = HEAD + "print(server.address, flush=True)\nserver.run()\n"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        address = process.stdout.readline().decode().strip()
        import framecall

        with framecall.Client(address) as client:
            assert client.call("add", 1) == 2
            for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
                process.send_signal(number)
                assert client.call("add", number) == number + 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


CHILDREN = """
import asyncio, multiprocessing, signal, subprocess, sys
import framecall

def double(n):
    return 2 * n

def masks():
    return subprocess.run(["grep", "-h", "^SigBlk", "/proc/self/status"], stdout=subprocess.PIPE, text=True).stdout

def terminate():
    with subprocess.Popen(["sleep", "60"]) as child:
        child.terminate()
        return child.wait(20)

def pool():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(double, [1, 2])

def work():
    return [masks().split()[1], terminate(), pool()]

server = framecall.Server("127.0.0.1:0")

@server.method
def plain():
    return work()

@server.method
async def later():
    return work()

@server.method
def parts():
    yield work()

if __name__ == "__main__":
    with server, framecall.Client(server.address, timeout=60) as client:
        print(client.call("plain") == client.call("later") == work(), next(client.stream("parts")).value)
"""


def test_programs_that_handlers_start(tmp_path):
    """They inherit no blocked signals: `kill` ends them, and so a pool of multiprocessing does."""
    (tmp_path / "children.py").write_text(CHILDREN)
    done = subprocess.run(
        [sys.executable, tmp_path / "children.py"], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.stdout == "True ['0000000000000000', -15, [2, 4]]\n", done.stderr
