"""The README's programs, run as they stand there."""
import os
import re
import signal
import socket
import subprocess
import sys

import pytest
from processes import PATIENCE, clean_environment, end, wait_for_port, wait_until
from processes import ROOT as SOURCE
from test_install import BUILD, compiler

with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as f:
    README = f.read()
EXAMPLES = os.path.join(SOURCE, "examples")


def example(name):
    """The program, which stands in the README as it is in the folder."""
    with open(os.path.join(EXAMPLES, name), encoding="utf-8") as f:
        text = f.read()
    assert "```%s\n%s```" % ("cpp" if name.endswith(".cpp") else "python", text) in README, name
    return text


def built(name, folder):
    (folder / name).write_text(example(name))
    program = str(folder / name.replace(".cpp", ""))
    library = os.path.join(BUILD, "lib", "libframecall.a")
    subprocess.run([compiler(), "-std=c++20", "-Wall", "-Wextra", "-Werror", "-I" + os.path.join(SOURCE, "cpp", "include"),
                    "-I" + os.path.join(BUILD, "generated"), str(folder / name), library, "-lcrypto", "-pthread", "-o",
                    program], check=True, timeout=280)
    return program


EXPECTED = """add: 42
add: 2.5
reverse: setyb war
primes: [2, 3, 5, 7]
primes: [2, 3, 5, 7, 11, 13, 17, 19]
primes: [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
countdown: 3
countdown: 2
countdown: 1
countdown: "lift-off"
add: parameter 1 (a): expected a number, got "two" (-32602)
"""


@pytest.mark.skipif(not os.path.exists(os.path.join(BUILD, "build.ninja")), reason="no build tree " + BUILD)
def test_cpp_programs(tmp_path):
    server = subprocess.Popen([built("server.cpp", tmp_path), "127.0.0.1:0"], env=clean_environment(),
                              stdout=subprocess.PIPE)
    try:
        port = wait_for_port(server)
        result = subprocess.run([built("client.cpp", tmp_path), "127.0.0.1:%d" % port], env=clean_environment(),
                                stdout=subprocess.PIPE, check=True, timeout=PATIENCE)
        assert result.stdout.decode() == EXPECTED
        server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE) == 0
    finally:
        end(server)
        server.stdout.close()


def test_ten_lines_are_a_client(serve, python, tmp_path):
    text = example("client.py")
    assert text.count("\n") == 10 and text.count("8080") == 1
    with open(os.path.join(SOURCE, "PROTOCOL.md"), encoding="utf-8") as f:
        assert text in f.read()
    (tmp_path / "client.py").write_text(text.replace("8080", str(serve().port)))
    result = subprocess.run([python, str(tmp_path / "client.py")], env=clean_environment(), timeout=PATIENCE,
                            stdout=subprocess.PIPE, check=True)
    assert result.stdout.decode().split() == ["HELLO"]


def test_25_lines_are_a_server(program, python, tmp_path):
    text = example("server.py")
    assert text.count("\n") == 25 and text.count("8080") == 1
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "server.py").write_text(text.replace("8080", str(port)))
    server = subprocess.Popen([python, str(tmp_path / "server.py")], env=clean_environment())
    try:
        wait_until(lambda: answers(port), "the script listens")

        def call(*arguments, **options):
            return subprocess.run([program, "call", "127.0.0.1:%d" % port, *arguments], env=clean_environment(),
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE, **options)

        assert call("add", "[1, 2.5, 38.5]").stdout == b"42.0\n"
        assert call("upper", "--body", "-", "--output", "-", input=b"hello").stdout == b"HELLO"
        refused = call("no_such")
        assert (refused.returncode, refused.stdout) == (5, b"") and b"no method no_such" in refused.stderr
    finally:
        end(server)


def answers(port):
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def test_python_programs(tmp_path):
    pytest.importorskip("numpy")
    program = example("python_server.py").replace("127.0.0.1:8080", "127.0.0.1:0")
    server = subprocess.Popen([sys.executable, "-c", program], env=clean_environment(), stdout=subprocess.PIPE, cwd=str(tmp_path))
    try:
        address = server.stdout.readline().decode().split()[-1]
        (tmp_path / "caller.py").write_text(example("python_client.py"))
        (tmp_path / "async_caller.py").write_text(example("python_asyncio.py"))
        said = []
        for caller in ("caller.py", "async_caller.py"):
            result = subprocess.run([sys.executable, caller, address], env=clean_environment(), cwd=str(tmp_path),
                                    stdout=subprocess.PIPE, check=True, timeout=PATIENCE)
            said.append(result.stdout.decode().splitlines())
    finally:
        end(server)
    assert said[0] == ["5 3.0", "[0. 2. 4.]", "[3, 2, 1]", "500500.0", '-32602 a: expected a number, got "two"', "True 64"]
    assert said[1] == [str([x * x for x in range(10)]), "3", "2", "1", "too slow"]
    assert (tmp_path / "back.py").read_bytes() == (tmp_path / "received" / "copy.py").read_bytes()


def decoder_program():
    found = [text for text in re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL) if "Decoder" in text]
    assert len(found) == 1
    return found[0]


def test_python_decoder():
    result = subprocess.run([sys.executable, "-c", decoder_program()], env=clean_environment(), check=True,
                            stdout=subprocess.PIPE, timeout=PATIENCE)
    lines = result.stdout.decode().splitlines()
    assert lines[0].startswith("HeaderReceived(") and "'a.txt'" in lines[0] and lines[-1] == "EndOfMessage()", lines
    assert "".join(re.findall(r"BodyReceived\(.*?b'(.*?)'", "\n".join(lines))) == "hello\\n"
