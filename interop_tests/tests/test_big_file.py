"""A large sparse file through `send` and `serve`: whole, and never in memory. 5 GiB with --long."""
import os
import shutil
import subprocess

import peers
import pytest
from processes import PATIENCE, clean_environment, end, is_sanitized, peak_memory, wait_until

MIB = 1 << 20
MEMORY_LIMIT = 64 * MIB


def test_big_file(serve, program, tmp_path, long):
    size = (5 << 30) + 12345 if long else 64 * MIB + 12345
    if shutil.disk_usage(tmp_path).free < size + (1 << 30):
        pytest.skip("needs %d MiB of free disk space" % (size // MIB + 1024))
    path = tmp_path / "big"
    with open(path, "wb") as f:
        f.truncate(size)
        for offset in [0, size // 3, 3 << 30, (4 << 30) - 500, size - 1000]:  # islands, so that places count
            if offset < size:
                f.seek(offset)
                f.write(peers.content(offset, 1000))
        f.truncate(size)
    server = serve()
    process = subprocess.Popen([program, "send", "--quiet", server.address, str(path)], env=clean_environment(),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    peaks = [0]
    try:
        def ended():
            peaks.append(peak_memory(process.pid) or 0)
            return process.poll() is not None
        wait_until(ended, "send ends", seconds=20 * PATIENCE if long else PATIENCE)
        assert process.returncode == 0, process.stdout.read()
    finally:
        end(process)
    stored = os.path.join(server.root, "big")
    wait_until(lambda: os.path.exists(stored), "the file is stored")
    assert os.path.getsize(stored) == size
    assert peers.sha256(stored) == peers.sha256(path)
    if not is_sanitized(program):
        assert 0 < max(peaks) < MEMORY_LIMIT
        assert 0 < peak_memory(server.process.pid) < MEMORY_LIMIT
    os.unlink(stored)
    os.unlink(path)
    peers.goes_on(server)
