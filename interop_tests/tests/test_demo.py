"""What `./dev demo` shows must be true."""
import os
import subprocess
import sys

from processes import INTEROP, PATIENCE, clean_environment


def run(*arguments):
    result = subprocess.run([sys.executable, os.path.join(INTEROP, "tools", "demo.py")] + list(arguments), env=clean_environment(),
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            timeout=4 * PATIENCE)
    return result.returncode, result.stdout.decode()


def test_demo(program):
    code, output = run(program)
    assert code == 0, output
    assert len(output.splitlines()) <= 25 and output.count("equal") >= 9, output


def test_demo_fails_when_it_must(tmp_path):
    code, output = run("/bin/false")
    assert code != 0 and "Traceback" not in output, output
