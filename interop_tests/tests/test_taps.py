"""What framecall says for an action is what the real script says for it, byte for byte: both are run against the same server,
through a recording relay. Captures that differ are kept under build/captures."""
import os
import subprocess
import sys

import peers
import pytest
import tap
from processes import PATIENCE, ROOT, SCRIPTS, clean_environment, end, wait_for_port
from test_wild import WILD

CAPTURES = os.path.join(ROOT, "build", "captures")
FILE = peers.content("tapped", 100000)
PACKAGE = "import sys, framecall; framecall.Client(sys.argv[1]).send_file(sys.argv[2], dialect=sys.argv[3])"


def dialect(name):
    return os.path.join(WILD, "dialects", name + ".toml")


# (action, server and its arguments, the script as a client, framecall for the same). The tutorial's receiver takes no file
# of the tutorial's sender (file_siz, file_size): no server there means framecall serve.
ACTIONS = [
    ("the tutorial's upload", None, [], ["t03_file_sender.py", "a.bin", "{port}"],
     ["send", "{address}", "a.bin", "--dialect", "published"]),
    ("upload, md5 in the header", "w_a1_upload_server.py", ["0"], ["w_a1_upload_client.py", "{port}", "a.bin"],
     ["send", "{address}", "a.bin", "--dialect", dialect("w_a1_upload")]),
    ("raw get", "w_a2_get_server.py", ["0"], ["w_a2_get_client.py", "{port}", "a.bin"],
     ["receive", "{address}", "a.bin", "--dialect", dialect("w_a2_get")]),
    ("framed put", "w_a4_cmd_server.py", ["0"], ["w_a4_cmd_client.py", "{port}", "put", "a.bin"],
     ["send", "{address}", "a.bin", "--dialect", dialect("w_a4_cmd")]),
    ("framed get", "w_a4_cmd_server.py", ["0"], ["w_a4_cmd_client.py", "{port}", "get", "a.bin"],
     ["receive", "{address}", "a.bin", "--dialect", dialect("w_a4_cmd")]),
    ("framed put with a go-ahead", "w_c2_status_server.py", ["0"], ["w_c2_status_client.py", "{port}", "PUT", "a.bin"],
     ["send", "{address}", "a.bin", "--dialect", dialect("w_c2_status")]),
    ("framed get with a status", "w_c2_status_server.py", ["0"], ["w_c2_status_client.py", "{port}", "GET", "a.bin"],
     ["receive", "{address}", "a.bin", "--dialect", dialect("w_c2_status")]),
]


# What differs, and why that is how it is.
KNOWN = {
    "upload, md5 in the header": "the script has its extra key between name and size, framecall sends extra keys last",
    "framed put with a go-ahead": "extra keys of a dialect go into every header of a file, the script's request has no status",
}


def marked(row):
    reason = KNOWN.get(row[0])
    return pytest.param(*row, id=row[0], marks=[pytest.mark.xfail(strict=True, reason=reason)] if reason else [])


@pytest.fixture
def run_tapped(tmp_path, program):
    """run(server, arguments, command) -> what the command said, connection by connection."""
    def run(server, arguments, command):
        there, here = tmp_path / "there", tmp_path / "here"
        for folder in (there, here):
            folder.mkdir(exist_ok=True)
            (folder / "a.bin").write_bytes(FILE)
        serving = [sys.executable, "-u", script_path(server), *arguments] if server else \
            [program, "serve", "--listen", "127.0.0.1:0", "--root", str(there)]
        process = subprocess.Popen(serving, cwd=there, env=clean_environment(),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        try:
            with tap.Tap(wait_for_port(process)) as relay:
                values = {"{port}": str(relay.port), "{address}": "127.0.0.1:%d" % relay.port}
                result = subprocess.run([values.get(word, word) for word in command], cwd=here, env=clean_environment(),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        timeout=PATIENCE)
            assert result.returncode == 0, result.stdout.decode(errors="replace")
            return [(bytes(sent), bytes(received)) for sent, received in relay.captures]
        finally:
            end(process)
    return run


def script_path(name):
    return os.path.join(WILD if name.startswith("w_") else SCRIPTS, name)


def compare(action, theirs, ours):
    if [sent for sent, _ in ours] == [sent for sent, _ in theirs]:
        return
    name = action.replace(" ", "-").replace("'", "").replace(",", "")
    kept = [tap.keep(CAPTURES, name + kind, captures) for kind, captures in (("-script", theirs), ("-framecall", ours))]
    pytest.fail("not the same bytes; captures: " + " ".join(kept))


@pytest.mark.parametrize(("action", "server", "arguments", "script", "command"), [marked(row) for row in ACTIONS])
def test_same_bytes(run_tapped, program, action, server, arguments, script, command):
    theirs = run_tapped(server, arguments, [sys.executable, script_path(script[0]), *script[1:]])
    assert theirs and theirs[0][0]
    compare(action, theirs, run_tapped(server, arguments, [program, *command]))


def test_same_bytes_of_every_python(run_tapped, program, python):
    action, server, arguments, script, command = ACTIONS[0]
    theirs = run_tapped(server, arguments, [python, script_path(script[0]), *script[1:]])
    compare(action, theirs, run_tapped(server, arguments, [program, *command]))


def test_same_bytes_of_the_package(run_tapped):
    action, server, arguments, script, _ = ACTIONS[0]
    theirs = run_tapped(server, arguments, [sys.executable, script_path(script[0]), *script[1:]])
    compare(action, theirs, run_tapped(server, arguments, [sys.executable, "-c", PACKAGE, "{address}", "a.bin", "published"]))


def test_a_difference_is_kept():
    with pytest.raises(pytest.fail.Exception, match="captures: "):
        compare("a made-up difference", [(b"a", b"b")], [(b"a", b""), (b"", b"b")])
    assert peers.read(os.path.join(CAPTURES, "a-made-up-difference-script-0-received.bin")) == b"b"
