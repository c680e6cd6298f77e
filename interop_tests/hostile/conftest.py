"""Servers to be attacked."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import processes  # noqa: E402
import victims  # noqa: E402


@pytest.fixture
def victim(serve, program):
    """victim(*flags) -> `framecall serve` in a bounded address space, killed when it runs away."""
    guards = []

    def start(*flags, **options):
        if not processes.is_sanitized(program):
            options.setdefault("preexec_fn", victims.limited)
        server = serve(*flags, **options)
        guards.append(victims.guarded(server))
        guards[-1].__enter__()
        return server

    yield start
    for guard in guards:
        guard.__exit__(None, None, None)


@pytest.fixture
def python_victim(tmp_path, request):
    """python_victim(**keywords) -> a victims.PythonServer; it must end with 0 on SIGTERM."""
    servers, guards = [], []
    request.node.started_servers = servers

    def start(**keywords):
        server = victims.PythonServer(os.environ.get("FRAMECALL_PYTHON", sys.executable), tmp_path / "root",
                                      tmp_path / ("python-%d.log" % len(servers)), *keywords.items(),
                                      env=processes.clean_environment(), preexec_fn=victims.limited)
        servers.append(server)
        guards.append(victims.guarded(server))
        guards[-1].__enter__()
        return server

    yield start
    for guard in guards:
        guard.__exit__(None, None, None)
    for server in servers:
        server.stop()


@pytest.fixture
def attack():
    return victims.attack
