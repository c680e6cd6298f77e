"""Single failures of system calls, and what must be true after each."""
import contextlib
import hashlib
import random
import shutil
import time

import pytest
import torture
from peers import content, read
from processes import is_sanitized

SECONDS = 12  # of a sample


@pytest.fixture(autouse=True)
def able(program):
    if is_sanitized(program):
        pytest.skip("a sanitizer has an allocator of its own")
    if not any(map(shutil.which, ("cc", "gcc", "clang-19"))):
        pytest.skip("no C compiler")


@pytest.fixture
def tortured(program, tmp_path):
    with contextlib.ExitStack() as stack:
        yield lambda python=False: stack.enter_context(torture.Torture(program, str(tmp_path), python))


def check(one):
    if one.server is not None:
        one.problems += [("the end", "", 0, problem) for problem in one.stop()]
    assert not one.problems
    assert sum(one.tried.values()) > 0


@pytest.mark.parametrize("package", [False, True], ids=["serve", "python"])
def test_an_allocation_that_fails(tortured, package, long):
    """Some allocations of the conversation, other ones each time; --long: all. The server lives, everybody gets an answer or loses
    one connection, and nothing that was acknowledged is lost."""
    one = tortured(package)
    step = 1 if long else 15 if package else 6
    at = random.randrange(1, step + 1)
    while one.fail("allocation", "ENOMEM", at):
        at += step
    assert at > 200  # the whole conversation
    check(one)


@pytest.mark.parametrize("package", [False, True], ids=["serve", "python"])
def test_a_system_call_that_fails(tortured, package, long):
    """A sample, as long as it may take; --long: all."""
    one = tortured(package)
    cases = [(call, error) for call in torture.calls() if call != "allocation" for error in torture.errors_of(call)]
    if long:
        for call, error in cases:
            one.all_of(call, error)
    else:
        rng, until = random.Random(), time.monotonic() + SECONDS
        rng.shuffle(cases)
        for call, error in cases:
            if time.monotonic() > until:
                break
            one.fail(call, error, rng.randrange(1, 8)) or one.fail(call, error, 1)
    check(one)


def put(caller, name, body, offset=0):
    params = {"name": name, "size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    return caller.result("file.put", dict(params, offset=offset) if offset else params, body[offset:])


@pytest.mark.parametrize("call, error", [("fsync", "EIO"), ("fsync", "ENOSPC"), ("renameat", "EIO"), ("write", "ENOSPC")])
def test_a_put_that_failed_is_not_acknowledged_later_without_its_bytes(tortured, call, error):
    """After a failed flush nobody knows what of the file is on the disk: its part is void."""
    one = tortured()
    one.begin()
    body = content(call, 200000)
    with torture.Caller(one.server.port) as caller:
        one.control.arm(call, 1, getattr(torture.errno, error))
        with pytest.raises(torture.Refused):
            put(caller, "f", body)
        _, failed = one.control.disarm()
        assert failed
    with torture.Caller(one.server.port) as caller:
        offset = caller.result("file.stat", {"name": "f", "partial": True})[0]["offset"]
        assert offset == 0 or call != "fsync"
        put(caller, "f", body, offset)
    assert read("%s/f" % one.server.root) == body
    check_end(one)


def check_end(one):
    assert one.stop() == []


@pytest.mark.parametrize("call", ["openat", "fdopendir", "readdir", "fstatat"])
@pytest.mark.parametrize("error", ["EIO", "ENOMEM", "EACCES", "EMFILE"])
def test_a_list_is_whole_or_an_error(tortured, call, error):
    one = tortured()
    one.begin()
    names = sorted(one.conversation.kept)
    reached = 0
    with torture.Caller(one.server.port) as caller:
        for at in range(1, 12):
            one.control.arm(call, at, getattr(torture.errno, error))
            header, _ = caller.request("file.list")
            _, failed = one.control.disarm()
            reached += failed
            found = [file["name"] for file in header["result"]["files"]] if "result" in header else names
            assert set(names) <= set(found), (call, at, header)
    assert reached or call == "fstatat"
    check_end(one)
