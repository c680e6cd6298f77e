"""The README's programs, run as they stand there."""
import os
import re
import signal
import subprocess
import sys

import peers
import pytest
from processes import HERE, PATIENCE, clean_environment, end, wait_for_port, wait_until
from test_install import BUILD, compiler

SOURCE = os.path.dirname(HERE)


def block(language):
    with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as f:
        found = re.findall(r"^```%s\n(.*?)^```" % language, f.read(), re.MULTILINE | re.DOTALL)
    assert len(found) == 1, "one program in " + language
    return found[0]


@pytest.mark.skipif(not os.path.exists(os.path.join(BUILD, "build.ninja")), reason="no build tree " + BUILD)
def test_cpp_server(tmp_path):
    program = block("cpp")
    assert program.count('"127.0.0.1:8080"') == 1
    (tmp_path / "readme.cpp").write_text(program.replace('"127.0.0.1:8080"', '"127.0.0.1:0"'))
    (tmp_path / "incoming").mkdir()
    libraries = [os.path.join(BUILD, "lib", "lib%s.a" % name) for name in ("framecall", "framecall_core")]
    subprocess.run([compiler(), "-std=c++20", "-Wall", "-Wextra", "-Werror", "-I" + os.path.join(SOURCE, "cpp", "include"),
                    str(tmp_path / "readme.cpp"), *libraries, "-lcrypto", "-pthread", "-o", str(tmp_path / "readme")],
                   check=True, timeout=280)
    server = subprocess.Popen([str(tmp_path / "readme")], cwd=tmp_path, env=clean_environment())
    try:
        with peers.connect(wait_for_port(server)) as sock:
            sock.sendall(peers.upload_frame("a.txt", b"hello\n"))
            assert peers.finish(sock) == b""
        wait_until(lambda: (tmp_path / "incoming" / "a.txt").exists(), "a.txt is stored")
        assert (tmp_path / "incoming" / "a.txt").read_bytes() == b"hello\n"
        server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE) == 0
    finally:
        end(server)


def test_python_decoder():
    result = subprocess.run([sys.executable, "-c", block("python")], env=clean_environment(), check=True,
                            stdout=subprocess.PIPE, timeout=PATIENCE)
    lines = result.stdout.decode().splitlines()
    assert lines[0].startswith("HeaderReceived(") and "'a.txt'" in lines[0] and lines[-1] == "EndOfMessage()", lines
    assert "".join(re.findall(r"BodyReceived\(.*?b'(.*?)'", "\n".join(lines))) == "hello\\n"
