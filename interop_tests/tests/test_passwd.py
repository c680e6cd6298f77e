"""`framecall passwd` as a process: from a pipe, and on a terminal that must not show what is typed."""
import fcntl
import os
import pty
import re
import select
import stat
import subprocess
import termios
import time

import peers
import pytest
from processes import PATIENCE, clean_environment, end


def passwd(program, *arguments, typed=b"", expected=0):
    result = subprocess.run([program, "passwd"] + [str(a) for a in arguments], input=typed, env=clean_environment(),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
    assert result.returncode == expected, (result.returncode, result.stdout, result.stderr)
    assert result.stdout == b""
    return result.stderr.decode()


def test_from_a_pipe(program, tmp_path):
    users = tmp_path / "users.txt"
    assert passwd(program, users, "ann", typed=b"secret\n") == '%s: user "ann" set, 1 in all\n' % users
    assert stat.S_IMODE(os.stat(users).st_mode) == 0o600
    first = users.read_text()
    assert re.fullmatch(r"ann:scrypt\$16384\$8\$1\$[\w+/]{22}==\$[\w+/]{43}=\n", first)
    assert passwd(program, "--quiet", users, "李雷", typed="密码\n".encode()) == ""
    assert passwd(program, "--quiet", users, "ann", typed=b"other") == ""
    ann, li = users.read_text().splitlines()
    assert ann.startswith("ann:") and ann != first.strip() and li.startswith("李雷:")
    assert passwd(program, "--remove", users, "ann") == '%s: user "ann" removed, 1 in all\n' % users
    assert users.read_text() == li + "\n"
    assert os.listdir(tmp_path) == ["users.txt"]


@pytest.mark.parametrize("arguments, typed, message", [
    (("--remove", "{users}", "bob"), b"", 'no user "bob"'),
    (("{users}", "a:b"), b"x\n", "user name"),
    (("{users}", ""), b"x\n", "user name"),
    (("{users}", "ann"), b"\n", "is empty"),
    (("{users}", "ann"), b"", "no password"),
    (("{broken}", "ann"), b"x\n", "broken:2: "),
    (("{folder}/none/users", "ann"), b"x\n", "No such file"),
])
def test_refusals_change_nothing(program, tmp_path, arguments, typed, message):
    passwd(program, tmp_path / "users", "ann", typed=b"secret\n")
    (tmp_path / "broken").write_text("# comment\nann:secret\n")
    before = peers.tree(str(tmp_path))
    values = {"users": tmp_path / "users", "broken": tmp_path / "broken", "folder": tmp_path}
    assert message in passwd(program, *[a.format(**values) for a in arguments], typed=typed, expected=1)
    assert peers.tree(str(tmp_path)) == before


def on_terminal(program, users, answers, expected):
    """Types each answer after its prompt; everything that the terminal showed."""
    terminal, inside = pty.openpty()
    process = subprocess.Popen([program, "passwd", str(users), "ann"], stdin=inside, stdout=inside, stderr=inside,
                               env=dict(clean_environment(), TERM="xterm"), start_new_session=True,
                               preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    os.close(inside)
    shown, deadline = b"", time.monotonic() + PATIENCE
    answers = list(answers)
    try:
        while True:
            ready = select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]
            assert ready, shown
            try:
                piece = os.read(terminal, 4096)
            except OSError:  # EIO: the other end has closed
                break
            shown += piece
            if answers and shown.endswith(b": "):
                os.write(terminal, answers.pop(0))
        assert process.wait(PATIENCE) == expected, shown
    finally:
        end(process)
        os.close(terminal)
    return shown


def test_on_a_terminal(program, tmp_path):
    shown = on_terminal(program, tmp_path / "users", [b"secret\n", b"secret\n"], 0)
    assert shown.startswith(b"Password: ") and b"Again: " in shown and b"secret" not in shown
    assert (tmp_path / "users").read_text().startswith("ann:scrypt$")
    before = (tmp_path / "users").read_bytes()
    assert b"differ" in on_terminal(program, tmp_path / "users", [b"one\n", b"two\n"], 1)
    on_terminal(program, tmp_path / "users", [b"on\x03"], 130)
    assert (tmp_path / "users").read_bytes() == before
