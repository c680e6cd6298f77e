"""`framecall dialects`: the list, the texts, and a file made from one of them in use."""
import json
import os
import struct
import subprocess

import peers
import pytest
from processes import PATIENCE, ROOT, clean_environment, wait_until

FOLDER = os.path.join(ROOT, "cpp", "dialects")


def run(program, *arguments, expected=0, stdout=subprocess.PIPE):
    result = subprocess.run([program] + list(arguments), env=clean_environment(), stdin=subprocess.DEVNULL,
                            stdout=stdout, stderr=subprocess.PIPE, timeout=PATIENCE)
    assert result.returncode == expected, (result.returncode, result.stdout, result.stderr)
    return (result.stdout or b"").decode(), result.stderr.decode()


def test_the_list_is_two_columns_or_json(program):
    output, messages = run(program, "dialects")
    assert messages == ""
    listed = json.loads(run(program, "dialects", "--json")[0])["dialects"]
    names = [dialect["name"] for dialect in listed]
    assert names[0] == "default" and names[1:] == sorted(names[1:])
    assert sorted(name + ".toml" for name in names) == sorted(os.listdir(FOLDER))
    width = max(map(len, names))
    assert output == "".join("%s  %s\n" % (one["name"].ljust(width), one["summary"]) for one in listed)
    assert all(one["summary"] for one in listed)


@pytest.mark.parametrize("name", sorted(file[:-5] for file in os.listdir(FOLDER)))
def test_a_dialect_is_printed_as_its_file(program, name):
    text = peers.read(os.path.join(FOLDER, name + ".toml")).decode()
    assert run(program, "dialects", name) == (text, "")
    answer = json.loads(run(program, "dialects", name, "--json")[0])
    assert answer.pop("summary") in text
    assert answer == {"name": name, "text": text}


def test_an_unknown_name_is_a_mistake_of_usage(program):
    output, messages = run(program, "dialects", "nothing", expected=2)
    assert output == "" and messages.startswith('framecall: "nothing" is none of the shipped dialects: default, ')


def test_a_full_disk_is_noticed(program):
    with open("/dev/full", "wb") as full:
        _, messages = run(program, "dialects", expected=1, stdout=full)
    assert "stdout" in messages


def test_a_file_made_from_a_text_is_served_and_its_mistakes_are_named(program, serve, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(run(program, "dialects", "default")[0].replace('zero = "refuse"', 'order = "big"'))
    server = serve("--dialect", path)
    header = json.dumps({"file_name": "a.txt", "file_size": 6}).encode()
    with peers.connect(server.port) as sock:
        sock.sendall(struct.pack("!I", len(header)) + header + b"hello\n")
        assert peers.finish(sock) == b""
    wait_until(lambda: server.names() == ["a.txt"], "it is stored")
    assert peers.read(os.path.join(server.root, "a.txt")) == b"hello\n"

    path.write_text(path.read_text().replace('"big"', '"large"'))
    line = path.read_text().split("\n").index('order = "large"') + 1
    for command in (["serve", "--listen", "127.0.0.1:0"], ["send", "127.0.0.1:1", str(path)]):
        _, messages = run(program, *command, "--dialect", str(path), expected=2)
        assert messages == 'framecall: %s:%d: prefix.order is "large": little, big or auto\n' % (path, line)
