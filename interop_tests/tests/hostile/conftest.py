"""Servers to be attacked."""
import contextlib
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import processes  # noqa: E402
import victims  # noqa: E402


@pytest.fixture
def guard():
    """guard(server) -> the server, killed when it runs away before the test ends."""
    with contextlib.ExitStack() as guards:
        def start(server):
            guards.enter_context(victims.guarded(server))
            return server

        yield start


@pytest.fixture
def victim(serve, program, guard):
    """victim(*flags) -> `framecall serve` in a bounded address space, killed when it runs away."""
    def start(*flags, **options):
        if not processes.is_sanitized(program):
            options.setdefault("preexec_fn", victims.limited)
        return guard(serve(*flags, **options))

    return start


@pytest.fixture
def python_victim(tmp_path, request, guard):
    """python_victim(**keywords) -> a victims.PythonServer; it must end with 0 on SIGTERM."""
    servers = []
    request.node.started_servers = servers

    def start(**keywords):
        server = victims.PythonServer(os.environ.get("FRAMECALL_PYTHON", sys.executable), tmp_path / "root",
                                      tmp_path / ("python-%d.log" % len(servers)), *keywords.items(),
                                      env=processes.clean_environment(), preexec_fn=victims.limited)
        servers.append(server)
        return guard(server)

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def attack():
    return victims.attack
