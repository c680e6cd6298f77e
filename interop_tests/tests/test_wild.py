"""Relatives of the tutorial's programs, one dialect file each: their clients against `framecall serve`, and
`framecall send`, `receive` and `ask` against their servers. peers/wild/README.md explains the cases."""
import hashlib
import json
import os
import subprocess

import peers
import pytest
from processes import INTEROP, PATIENCE, clean_environment, end, wait_for_port, wait_until

WILD = os.path.join(INTEROP, "peers", "wild")
with open(os.path.join(WILD, "cases.json"), encoding="utf-8") as f:
    CASES = json.load(f)
CLIENTS = [case for case in CASES if case["role"] == "client" and "inexpressible" not in case]
SERVERS = [case for case in CASES if case["role"] == "server" and "inexpressible" not in case]


def name_of(case):
    return "%s-%s" % (case["script"][2:-3], case["flow"].replace(" ", "_"))


def content(spec):
    if isinstance(spec, str):
        return spec.encode()
    if "seed" in spec:
        return hashlib.shake_128(repr(spec["seed"]).encode()).digest(spec["size"])
    return spec["text"].encode() * spec["times"]


def fill(folder, files):
    folder.mkdir(exist_ok=True)
    for name, spec in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(spec))


def check_files(folder, files, absent):
    for name, spec in files.items():
        path = folder / name
        wait_until(lambda: path.is_file() and path.read_bytes() == content(spec), "%s is whole" % path)
    assert [name for name in absent if (folder / name).exists()] == []


def check(case, code, output, here, there):
    expect = case["expect"]
    assert code == expect["exit_code"], output.decode(errors="replace")
    for text in expect.get("stdout_contains", []):
        assert content(text) in output, output.decode(errors="replace")
    check_files(here, expect.get("files", {}), expect.get("absent", []))
    check_files(there, expect.get("other_files", {}), expect.get("other_absent", []))


def run(command, folder):
    result = subprocess.run(command, cwd=folder, env=clean_environment(), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
    return result.returncode, result.stdout


def pythons_for(cases, metafunc):
    """Every case by one of the CPythons in turn, with --long by each."""
    from processes import find_pythons
    if not hasattr(metafunc.config, "modern_pythons"):
        metafunc.config.modern_pythons = [one for one in find_pythons() if not one[0].startswith("py2")]
    found = metafunc.config.modern_pythons
    if metafunc.config.getoption("--long"):
        return [(case, one) for case in cases for one in found]
    return [(case, found[number % len(found)]) for number, case in enumerate(cases)]


def pytest_generate_tests(metafunc):
    for fixture, cases in (("client_case", CLIENTS), ("server_case", SERVERS)):
        if fixture in metafunc.fixturenames:
            rows = pythons_for(cases, metafunc)
            metafunc.parametrize(fixture + ",interpreter", [(case, path) for case, (_, path) in rows],
                                 ids=["%s-%s" % (name_of(case), version) for case, (version, _) in rows])


def serve_flags(case, folder, program):
    """The flags of our server: its dialect, its commands, its users."""
    flags = ["--dialect", os.path.join(WILD, "dialects", case["dialect"])]
    commands = case["needs"].get("commands")
    if commands:
        path = folder / "commands.toml"  # a JSON string is a TOML string
        path.write_text("".join("[%s]\ntext = %s\n" % (
            json.dumps(line, ensure_ascii=False), json.dumps(content(text).decode(), ensure_ascii=False))
            for line, text in commands.items()), encoding="utf-8")
        flags += ["--commands", str(path)]
    users = case["needs"].get("users")
    if users:
        path = folder / "users.txt"
        for user, password in users.items():
            subprocess.run([program, "passwd", "--quiet", str(path), user], input=password.encode(), check=True,
                           timeout=PATIENCE)
        flags += ["--users", str(path)]
    return flags


@pytest.mark.parametrize("way", ["direct", "relay"])
def test_client_to_serve(program, serve, relay, tmp_path, client_case, interpreter, way):
    case, here, there = client_case, tmp_path / "here", tmp_path / "there"
    fill(here, case["needs"].get("files", {}))
    fill(there, case["needs"].get("other_files", {}))
    server = serve(*serve_flags(case, tmp_path, program), root=there)
    port = server.port
    if way == "relay":
        port = relay(port, seed=case["script"], together=64 if "raw" in case["flow"] else 0)
    arguments = [argument.replace("{port}", str(port)) for argument in case["arguments"]]
    code, output = run([interpreter, "-u", os.path.join(WILD, case["script"])] + arguments, here)
    check(case, code, output, here, there)
    assert not server.parts()


def test_our_client_to_server(program, tmp_path, server_case, interpreter):
    case, here, there = server_case, tmp_path / "here", tmp_path / "there"
    fill(here, case["needs"].get("files", {}))
    fill(there, case["needs"].get("other_files", {}))
    with open(tmp_path / "server.txt", "wb") as log:
        process = subprocess.Popen([interpreter, "-u", os.path.join(WILD, case["script"])] + case["arguments"],
                                   cwd=here, env=clean_environment(), stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=subprocess.STDOUT)
    try:
        values = {"{address}": "127.0.0.1:%d" % wait_for_port(process),
                  "{dialect}": os.path.join(WILD, "dialects", case["dialect"])}
        commands = case.get("our_commands") or [case["our_command"]]
        for command in commands:
            code, output = run([program] + [values.get(argument, argument) for argument in command], there)
            if command is not commands[-1]:
                assert code == 0, output.decode(errors="replace")
        check(case, code, output, here, there)
        assert process.poll() is None, peers.read(tmp_path / "server.txt").decode(errors="replace")
    finally:
        end(process)
