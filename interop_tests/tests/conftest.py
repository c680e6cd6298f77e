"""Fixtures: the program, every CPython of the machine, a server per test. Options: --long."""
import fcntl
import os
import socket
import sys
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "testing"), os.path.join(HERE, "..", "tools")]

import languages  # noqa: E402
import processes  # noqa: E402
import relay as relay_module  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", default=bool(os.environ.get("FRAMECALL_LONG_TESTS")),
                     help="the long variants: 200 kills, 5 GiB, 100 refusals (also FRAMECALL_LONG_TESTS=1)")


def pytest_generate_tests(metafunc):
    if "python" in metafunc.fixturenames:
        if not hasattr(metafunc.config, "found_pythons"):
            metafunc.config.found_pythons = processes.find_pythons()
        pythons = metafunc.config.found_pythons
        metafunc.parametrize("python", [path for _, path in pythons], ids=[name for name, _ in pythons])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed and call.when != "setup":
        for server in getattr(item, "started_servers", []):
            report.sections.append(("stderr of framecall serve, port %d" % server.port, server.log()[-20000:]))


@pytest.fixture
def long(request):
    return request.config.getoption("--long")


@pytest.fixture(scope="session")
def program():
    return processes.program_path()


@pytest.fixture
def serve(program, tmp_path, request):
    """serve(*flags, root=..., program=...) -> processes.Server; every one must end with 0 on SIGTERM."""
    request.node.started_servers = servers = []

    def start(*flags, root=tmp_path / "root", program=program, **popen_options):
        log_path = tmp_path / ("serve-%d.log" % len(servers))
        servers.append(processes.Server(program, root, log_path, *flags, **popen_options))
        return servers[-1]

    yield start
    failures = []
    for server in servers:
        try:
            server.stop()
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)


@pytest.fixture
def own_ports():
    """The tutorial's own ports, 8080 and 8081, for one test at a time on this machine."""
    path = os.path.join(tempfile.gettempdir(), "framecall-tutorial-ports-%d.lock" % os.getuid())
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for port, kind in ((8080, socket.SOCK_STREAM), (8081, socket.SOCK_STREAM), (8080, socket.SOCK_DGRAM)):
            with socket.socket(socket.AF_INET, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError as error:
                    pytest.skip("port %d of this machine is in use: %s" % (port, error))
        yield


@pytest.fixture
def relay():
    """relay(port, seed=0, both=False) -> the port of a relay in front of `port`."""
    running = []

    def start(port, **options):
        running.append(relay_module.Relay(port, **options).__enter__())
        return running[-1].port

    yield start
    for one in running:
        one.__exit__(None, None, None)
        assert one.pieces > 0, "nothing went through the relay"


@pytest.fixture(scope="session")
def language_builder(tmp_path_factory):
    """Compiles the peers of peers/languages/ into one folder for all workers of a run."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    return languages.Builder(folder / "languages")


@pytest.fixture(scope="module")
def language_peers(language_builder, tmp_path_factory):
    """languages.Peers; its servers must end with 0 and have nothing to say on stderr."""
    with languages.Peers(language_builder, tmp_path_factory.mktemp("roots")) as started:
        yield started
