"""gRPC's list of interop tests on this wire: {C++, plain Python} clients against {C++, plain Python} servers.

The programs are in rpc/; README.md has the table. The C++ ones are built beside the program under test.
"""
import os
import signal
import subprocess

import languages
import pytest
from processes import INTEROP, PATIENCE, clean_environment, end, find_pythons

PROGRAMS = os.path.join(INTEROP, "peers", "rpc")
CASES = ["empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
         "cancel_after_begin", "cancel_after_first_response", "timeout_on_sleeping_server", "status_code_and_message",
         "special_status_message", "unimplemented_method", "custom_metadata", "concurrent_large_unary", "rpc_soak",
         "channel_soak"]
# Hundreds of megabytes in pieces of 1 to 10 bytes take minutes, and show nothing that one large call does not.
RELAY_CASES = [case for case in CASES if case not in ("concurrent_large_unary", "rpc_soak", "channel_soak")]


def cpp_program(name):
    """rpc_server or rpc_client. In a build tree it has to be there; a wheel or a package has none."""
    try:
        return languages.cpp_program(name)
    except languages.Missing as missing:
        pytest.skip(str(missing))


def edge_python(which):
    return find_pythons()[{"oldest": 0, "newest": -1}[which]][1]


class Server:
    """One of the two servers: "cpp", or server.py under the "oldest" or "newest" Python."""

    def __init__(self, kind, log_path):
        self.kind, self.log_path = kind, log_path
        command = ([cpp_program("rpc_server")] if kind == "cpp"
                   else [edge_python(kind), os.path.join(PROGRAMS, "server.py")])
        with open(log_path, "wb") as log:
            self.process = subprocess.Popen(command, env=clean_environment(), stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=log)
        line = self.process.stdout.readline().decode()  # empty when it ended instead
        if not line.startswith("listening tcp 127.0.0.1:"):
            end(self.process)
            raise AssertionError("%s said %r; stderr:\n%s" % (" ".join(command), line, self.log()))
        self.port = int(line.rpartition(":")[2])

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(PATIENCE)
        finally:
            end(self.process)
        assert (code, self.log()) == (0, ""), "the %s server ended with %d; stderr:\n%s" % (self.kind, code, self.log())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """server(kind) -> Server; each kind runs once, and must end with 0 and have nothing to say on stderr."""
    running = {}

    def get(kind):
        if kind not in running:
            running[kind] = Server(kind, str(tmp_path_factory.mktemp("rpc") / (kind + ".log")))
        return running[kind]

    yield get
    failures = []
    for one in running.values():
        try:
            one.stop()
        except (AssertionError, subprocess.TimeoutExpired) as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)


def python_client(python):
    return [python, os.path.join(PROGRAMS, "client.py")]


def run(command, server):
    result = subprocess.run(command, env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, timeout=4 * PATIENCE)
    got = (result.returncode, result.stdout.decode(), result.stderr.decode(errors="replace"))
    assert got == (0, command[-1] + ": pass\n", ""), "%s\n%s\nstderr of the server:\n%s" % (
        " ".join(command), "".join(got[1:]), server.log())
    assert server.process.poll() is None, "the server ended; stderr:\n" + server.log()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["cpp", "oldest", "newest"])
def test_cpp_client(server, kind, case):
    peer = server(kind)
    run([cpp_program("rpc_client"), "127.0.0.1:%d" % peer.port, case], peer)


@pytest.mark.parametrize("case", CASES)
def test_python_client_and_cpp_server(server, python, case):
    peer = server("cpp")
    run([*python_client(python), "127.0.0.1", str(peer.port), case], peer)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["oldest", "newest"])
@pytest.mark.parametrize("client", ["oldest", "newest"])
def test_python_client_and_python_server(server, client, kind, case):
    peer = server(kind)
    run([*python_client(edge_python(client)), "127.0.0.1", str(peer.port), case], peer)


@pytest.mark.parametrize("case", RELAY_CASES)
def test_bytes_that_come_in_small_pieces(server, relay, case):
    peer = server("cpp")
    port = relay(peer.port, seed=case, both=True)
    run([*python_client(edge_python("newest")), "127.0.0.1", str(port), case], peer)


def test_the_clients_know_these_cases():
    pythons = [python_client(edge_python(which)) for which in ("oldest", "newest")]
    for command in [[cpp_program("rpc_client")], *pythons]:
        result = subprocess.run(command, env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, timeout=PATIENCE)
        assert (result.returncode, result.stdout.decode().split()) == (2, CASES), command
