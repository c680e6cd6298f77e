"""What a server holds at most, whatever peers send and do not read: its budget and 32 MiB."""
import os

import attacks
import pytest
import victims
from processes import is_sanitized, wait_until
from victims import MIB

SLACK = 32 * MIB
BUDGET = 96 * MIB  # of the whole server


@pytest.fixture(autouse=True)
def plain(program):
    if is_sanitized(program):
        pytest.skip("a sanitizer's memory is not the server's")


def check(server, budget, under=""):
    """What it held at most; it still serves new callers within moments of the attack's end."""
    most = victims.steady_memory(server.process.pid) if server.process.poll() is None else None
    if most is None:
        pytest.fail("the server ended, or was killed above %d MiB" % (victims.RUNAWAY // MIB))
    victims.figure("held %.0f MiB%s, budget %.0f + 32", most / MIB, under, budget / MIB)
    assert most <= budget + SLACK
    victims.still_serves(server)


def fill(root, count, width=200):
    os.makedirs(root, exist_ok=True)
    for n in range(count):
        with open(os.path.join(root, "%06d" % n + "x" * (width - 6)), "w"):
            pass


def test_replies_that_nobody_reads(victim, attack, tmp_path, long):
    fill(tmp_path / "root", 10000 if long else 2500)
    server = victim("--max-memory", "96M")
    with attack("unread_replies", server.port, connections=4):
        check(server, BUDGET)


def test_replies_that_one_connection_does_not_read(victim, attack, tmp_path, long):
    """The budget of a connection, 64 MiB, where the server's is far away."""
    fill(tmp_path / "root", 10000 if long else 2500)
    server = victim("--max-memory", "1G")
    with attack("unread_replies", server.port, connections=1):
        check(server, 64 * MIB)


def test_bodies_of_calls_that_wait(python_victim, attack, long):
    """One connection, 128 calls; the handlers take their time."""
    server = python_victim(max_memory=1024 * MIB)
    with attack("bodies", server.port, calls=128, size=(16 if long else 4) * MIB):
        check(server, 64 * MIB)


def test_bodies_of_callers_that_are_gone(python_victim, attack, long):
    server = python_victim(max_memory=96 * MIB)
    with attack("gone_callers", server.port, connections=10 if long else 4, calls=100 if long else 60):
        check(server, BUDGET)


@pytest.mark.parametrize("method", ["parts", "thread_parts"])
def test_streams_that_nobody_reads(python_victim, attack, method, long):
    server = python_victim(max_memory=96 * MIB, max_body=32 * MIB)  # a budget is at least twice max_body
    with attack("unread_streams", server.port, connections=5 if long else 2, method=method):
        check(server, BUDGET)


def test_bodies_that_never_become_whole(victim, attack, long):
    server = victim("--max-memory", "96M", "--idle-timeout", "3")
    with attack("unfinished_bodies", server.port, connections=30 if long else 8, size=(63 if long else 40) * MIB):
        check(server, BUDGET)


def test_datagrams(python_victim, attack, long):
    server = python_victim(max_memory=96 * MIB, udp=True)
    before = victims.status(server.process.pid, "VmRSS")
    with attack("datagrams", server.services[1][1], count=200000 if long else 50000, seconds=8 if long else 2):
        pass
    check(server, before, " after datagrams")


def test_a_large_body_still_gets_through_where_the_budget_is_small(victim):
    """A budget is never less than one body of max_body."""
    server = victim("--max-memory", "96M")
    with victims.Neighbour(server.port) as neighbour:
        body = attacks.ZEROS * 40
        header, answer = neighbour.request("echo", body=body)
        assert "error" not in header and answer == body


def test_what_was_refused_for_memory_names_limit_and_got(victim, attack):
    """Where a body cannot be taken, now and for a while, the caller learns why, or waits: nothing is lost in silence."""
    server = victim("--max-memory", "96M", "--idle-timeout", "5")
    with attack("unfinished_bodies", server.port, connections=8, size=40 * MIB, seconds=60):
        victims.still_serves(server)
    with victims.Neighbour(server.port) as neighbour:  # the attackers are gone, and their bodies with them
        assert wait_until(lambda: "error" not in neighbour.request("echo", body=attacks.ZEROS * 30)[0], "room again")
