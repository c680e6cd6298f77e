"""kill -9 at random moments: under a name there is the old content or the new one, always whole."""
import os
import random
import subprocess
import threading
import time

import peers
import pytest
from processes import PATIENCE, clean_environment, end, start_script, wait_until

SIZE = 4 << 20


@pytest.fixture
def rounds(long):
    return 200 if long else 10


def found_one_of(server, *contents):
    found = peers.read(os.path.join(server.root, "f"))
    assert found in contents, "neither old nor new: %d bytes" % len(found)
    return found


def instance_folders(server):
    return [name for name in os.listdir(os.path.join(server.root, ".framecall")) if name != "parts"]  # of all of them


@pytest.mark.parametrize("durability", ["default", "full"])
def test_server_killed(serve, rounds, durability):
    flags = [] if durability == "default" else ["--durability", durability]
    rng = random.Random("server " + durability)
    server = serve(*flags)
    old = peers.content(-1, SIZE)
    began = time.monotonic()
    peers.store(server, "f", old)
    usual = time.monotonic() - began
    outcomes = set()
    for n in range(rounds):
        new = peers.content(n, SIZE + rng.randrange(1000))
        frame = peers.upload_frame("f", new)
        if n % 3 == 0:  # at a random byte
            with peers.connect(server.port) as sock:
                sock.sendall(frame[:rng.randrange(len(frame) + 1)])
                server.kill()
        else:  # at a random time; every third round near the end of the upload
            delay = rng.uniform(0, 1.3 * usual) if n % 3 == 1 else rng.uniform(0.7, 1.3) * usual
            with peers.connect(server.port) as sock:
                sender = threading.Thread(target=peers.send_all, args=(sock, frame), daemon=True)
                sender.start()
                time.sleep(delay)  # the random moment itself
                server.kill()
                sender.join(PATIENCE)
        current = found_one_of(server, old, new)
        outcomes.add(current == new)
        old = current
        server = serve(*flags, root=server.root)
        assert server.names() == ["f"]
        wait_until(lambda: not server.parts(), "the next start removes the parts")
        wait_until(lambda: len(instance_folders(server)) <= 1, "and the folder of the killed server")
        assert found_one_of(server, old) == old
    if rounds >= 100:
        assert outcomes == {True, False}, "the moments were not random enough: %s" % outcomes
    peers.goes_on(server, ["f"])


def open_connections(port):
    """Connections of the server's side that a process still holds open."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in list(table)[1:]]
    return [row for row in rows
            if row[1].endswith(":%04X" % port) and row[3] in ("01", "08") and row[9] != "0"]


@pytest.mark.parametrize("sender", ["send", "t3"])
def test_client_killed(serve, program, tmp_path, rounds, sender):
    rng = random.Random("client " + sender)
    server = serve()
    path = tmp_path / "f"
    old = peers.content(-1, SIZE)

    def start():
        if sender == "t3":
            return start_script("t03_file_sender.py", "f", server.port, cwd=tmp_path)
        return subprocess.Popen([program, "send", "--quiet", server.address, "f"], cwd=tmp_path,
                                env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    path.write_bytes(old)
    began = time.monotonic()
    process = start()
    assert process.wait(PATIENCE) == 0
    usual = time.monotonic() - began
    wait_until(lambda: server.names() == ["f"], "f is stored")
    for n in range(rounds):
        new = peers.content(n, SIZE + rng.randrange(1000))
        path.write_bytes(new)
        process = start()
        try:
            time.sleep(rng.uniform(0, 1.2 * usual))  # the random moment itself
        finally:
            end(process)
        found_one_of(server, old, new)
        wait_until(lambda: not open_connections(server.port), "the server has done with the killed sender")
        wait_until(lambda: not server.parts(), "no part is left")
        old = found_one_of(server, old, new)
        assert server.names() == ["f"]
    peers.goes_on(server, ["f"])


def test_servers_that_share_a_root(serve):
    """A start must not touch the parts of a server that lives."""
    one = serve()
    frame = peers.upload_frame("slow", peers.content("slow", 300000))
    with peers.connect(one.port) as sock:
        sock.sendall(frame[:200000])
        wait_until(one.parts, "the first server has a part")
        two = serve(root=one.root)
        peers.store(two, "quick", b"1")
        two.stop()
        three = serve(root=one.root)
        peers.store(three, "quick", b"2")
        three.kill()
        sock.sendall(frame[200000:])
        assert peers.finish(sock) == b""
    wait_until(lambda: one.names() == ["quick", "slow"], "slow is stored")
    assert peers.read(os.path.join(one.root, "slow")) == peers.content("slow", 300000)
    peers.goes_on(one, ["quick", "slow"])
