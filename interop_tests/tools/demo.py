"""The main job, shown with real files: `./dev demo`, or

    python3 interop_tests/tools/demo.py [PROGRAM]      PROGRAM: the framecall executable

Files go to `framecall serve` from a sender of the standard library alone and from `framecall send`;
then a receiver of the standard library alone gets files from `framecall send`. Digests are compared.
Exit code 0: everything arrived whole.
"""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "testing"))

from processes import (  # noqa: E402
    PATIENCE, SCRIPTS, Server, clean_environment, end, program_path, start_script, wait_for_port, wait_until)


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def make_files(folder, program):
    os.mkdir(folder)
    shutil.copy(program, os.path.join(folder, "framecall"))
    with open(os.path.join(folder, "random.bin"), "wb") as f:
        f.write(os.urandom(8 << 20))
    with open(os.path.join(folder, "你好.txt"), "w", encoding="utf-8") as f:
        f.writelines("line %d: 你好, framecall\n" % n for n in range(1000))
    return sorted(os.listdir(folder))


def run_sender(command, folder):
    """Starts a sender, waits for its end, returns what it printed if it failed."""
    result = subprocess.run(command, cwd=folder, env=clean_environment(), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
    return result.stdout.decode(errors="replace").strip() if result.returncode else ""


def row(folder, name, target, seconds):
    """Compares the two files and prints the line; True when they are equal."""
    source, copy = os.path.join(folder, name), os.path.join(target, name)
    equal = os.path.exists(copy) and sha256(source) == sha256(copy)
    print("   %-12s %11s bytes %6.0f ms   sha-256 %s...  %s" % (
        name, "{:,}".format(os.path.getsize(source)), 1000 * seconds, sha256(source)[:12],
        "equal" if equal else "DIFFERS"), flush=True)
    return equal


def deliver(title, command_for, folder, names, target):
    print("\n" + title)
    good = True
    for name in names:
        copy = os.path.join(target, name)
        began = time.monotonic()
        failure = run_sender(command_for(name), folder)
        size = os.path.getsize(os.path.join(folder, name))
        if failure:
            print("   " + failure.splitlines()[-1])
        else:
            wait_until(lambda: os.path.exists(copy) and os.path.getsize(copy) == size, "%s arrives" % name, 10)
        good = row(folder, name, target, time.monotonic() - began) and good and not failure
    return good


def demo(program, base):
    folder = os.path.join(base, "files")
    names = make_files(folder, program)
    roots = [os.path.join(base, n) for n in ("from script", "from send", "received")]
    servers = []
    try:
        for root in roots[:2]:
            servers.append(Server(program, root, os.path.join(base, "serve.log")))
        os.mkdir(roots[2])
        script = os.path.join(SCRIPTS, "t03_file_sender.py")
        good = deliver("1. standard-library script -> framecall serve",
                       lambda name: [sys.executable, script, name, str(servers[0].port)], folder, names, roots[0])
        good = deliver("2. framecall send -> framecall serve",
                       lambda name: [program, "send", "--quiet", servers[1].address, name],
                       folder, names, roots[1]) and good
        receiver = start_script("t04_file_receiver.py", 0, cwd=roots[2])
        try:
            address = "127.0.0.1:%d" % wait_for_port(receiver)
            good = deliver("3. framecall send -> standard-library script",
                           lambda name: [program, "send", "--quiet", address, name], folder, names, roots[2]) and good
        finally:
            end(receiver)
        for server in servers:
            server.stop()
        print("\nSIGTERM: both servers ended with exit code 0. "
              + ("All files arrived whole." if good else "NOT all files arrived whole."))
        return good
    finally:
        for server in servers:
            server.kill()


def main():
    try:
        program = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else program_path()
        with tempfile.TemporaryDirectory(prefix="framecall-demo-") as base:
            sys.exit(0 if demo(program, base) else 1)
    except (AssertionError, OSError, RuntimeError, subprocess.TimeoutExpired) as failure:
        sys.exit("the demo failed: %s" % failure)


if __name__ == "__main__":
    main()
