"""What the program says to somebody who has made a mistake on the command line."""

import json
import os
import pty
import select
import subprocess

import pytest
from processes import PATIENCE, clean_environment


def said(program, *arguments, code=2, **environment):
    """stderr of a command that ends with `code`; stdout is empty."""
    result = subprocess.run(
        [program, *arguments],
        env=dict(clean_environment(), **environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=PATIENCE,
    )
    assert result.returncode == code, (result.returncode, result.stderr.decode())
    assert result.stdout == b""
    return result.stderr.decode()


DURATION = "is not a duration; use seconds such as 10 or 2.5, or 500ms, 2min, 1h"
SIZE = "is not a size; use bytes such as 64, 64K, 1.5M or 2G"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["serve", "--header-timeout", "x"], '--header-timeout: "x" ' + DURATION),
        (["serve", "--idle-timeout", "5 s"], '--idle-timeout: "5 s" ' + DURATION),
        (["serve", "--max-body", "lots"], '--max-body: "lots" ' + SIZE),
        (["serve", "--quota", "5Q"], '--quota: "5Q" ' + SIZE),
        (["call", "127.0.0.1:1", "x", "--timeout", "soon"], '--timeout: "soon" ' + DURATION),
        (["ping", "127.0.0.1:1", "--interval=-1"], '--interval: "-1" ' + DURATION),
        (["get", "127.0.0.1:1", "x", "--offset", "far"], '--offset: "far" ' + SIZE),
        (["udp", "127.0.0.1:1", "x", "--timeout", "1e99"], '--timeout: "1e99" ' + DURATION),
        (["serve", "--max-header", "1"], "--max-header: expected 2 .. 16777215 bytes, got 1"),
        (["serve", "--peer-share", "0"], "--peer-share: expected 1 .. 100 percent, got 0"),
        (["serve", "--threads", "all"], '--threads: expected 0 .. 1024, got "all"'),
        (["serve", "--durability", "most"], '--durability: expected none, close, full, got "most"'),
        (["serve", "--protocols", "smtp"], '--protocols: expected frames, echo, http, got "smtp"'),
        (["frobnicate"], 'there is no command "frobnicate"; framecall --help lists them'),
        (["sevre"], 'there is no command "sevre"; did you mean "serve"?; framecall --help lists them'),
        (["help", "sned"], 'there is no command "sned"; did you mean "send"?; framecall --help lists them'),
        (["serve", "--rot", "x"], 'serve: there is no flag --rot; did you mean "--root"?'),
        (["serve", "--listn=x"], 'serve: there is no flag --listn; did you mean "--listen"?'),
        (["put", "127.0.0.1:1", "x", "--resumee"], 'put: there is no flag --resumee; did you mean "--resume"?'),
        (["serve", "--zzzzzzzzz"], "serve: there is no flag --zzzzzzzzz"),
        ([], "a command is missing; framecall --help lists them"),
    ],
)
def test_a_mistake_is_named(program, arguments, text):
    assert said(program, *arguments) == "framecall: %s\n" % text


def test_a_mistake_in_the_environment_is_named(program):
    assert said(program, "serve", FRAMECALL_MAX_BODY="junk") == 'framecall: FRAMECALL_MAX_BODY: "junk" %s\n' % SIZE
    assert (
        said(program, "serve", FRAMECALL_ACCESS="read,all")
        == 'framecall: FRAMECALL_ACCESS: expected read, write, no-replace, no-remove, got "all"\n'
    )


def test_a_mistake_in_the_configuration_file_is_named(program, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text('[serve]\nmax-body = "junk"\n')
    arguments = ["--config", str(config), "serve"]
    assert said(program, *arguments) == 'framecall: --config: max-body: "junk" %s\n' % SIZE


def test_a_flag_is_preferred_to_the_environment_and_that_to_the_file(program, tmp_path):
    """The one that is read is the one that is named."""
    config = tmp_path / "config.toml"
    config.write_text('[serve]\nmax-body = "file"\n')
    arguments = ["--config", str(config), "serve"]
    wrong = dict(FRAMECALL_MAX_BODY="variable")
    assert 'FRAMECALL_MAX_BODY: "variable"' in said(program, *arguments, **wrong)
    for flag in (["--max-body", "flag"], ["--max-body=flag"]):
        assert '--max-body: "flag"' in said(program, *arguments, *flag, **wrong)


def test_the_table_of_settings_as_json(program):
    output = subprocess.run(
        [program, "serve", "--settings"], env=clean_environment(), stdout=subprocess.PIPE, check=True, timeout=PATIENCE
    ).stdout
    table = {row["name"]: row for row in json.loads(output)}
    assert table["max_body"]["default"] == 64 << 20
    help_text = subprocess.run(
        [program, "serve", "--help"], env=clean_environment(), stdout=subprocess.PIPE, check=True, timeout=PATIENCE
    ).stdout.decode()
    for row in table.values():
        assert (row["flag"] is None) or (row["flag"] in help_text and row["variable"] in help_text), row["name"]


def test_a_root_that_is_missing(program, tmp_path):
    root = str(tmp_path / "none")
    assert (
        said(program, "serve", "--listen", "127.0.0.1:0", "--root", root, code=1)
        == "framecall: --root: %s does not exist; make the folder first, with mkdir\n" % root
    )


def test_a_file_that_is_missing_is_named_once(program, serve, tmp_path):
    text = said(program, "put", serve().address, str(tmp_path / "none"), code=1)
    assert text.count("none") == 1 and "No such file" in text


@pytest.mark.parametrize("command", [[], ["serve"], ["send"]])
def test_help_is_a_command(program, command):
    asked = subprocess.run(
        [program, "help", *command], env=clean_environment(), stdout=subprocess.PIPE, timeout=PATIENCE
    )
    flag = subprocess.run(
        [program, *command, "--help"], env=clean_environment(), stdout=subprocess.PIPE, timeout=PATIENCE
    )
    assert asked.returncode == flag.returncode == 0
    assert asked.stdout == flag.stdout and b"Usage" in asked.stdout


def test_a_host_that_is_not_found(program):
    for command in (
        ["call", "nosuch.invalid:80", "x"],
        ["ls", "nosuch.invalid:80"],
        ["udp", "nosuch.invalid:80", "x"],
        ["chat", "nosuch.invalid:80"],
    ):
        assert "host not found: nosuch.invalid" in said(program, *command, code=3)
    ping = subprocess.run(
        [program, "ping", "nosuch.invalid:80", "-c", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=PATIENCE,
    )  # its statistics are on stdout all the same
    assert (ping.returncode, b"host not found: nosuch.invalid" in ping.stderr) == (3, True)
    assert "host not found: nosuch.invalid" in said(program, "serve", "--listen", "nosuch.invalid:80", code=1)


def test_no_colour_where_none_is_wanted(program, tmp_path):
    """A terminal gets colours, unless NO_COLOR is set."""
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        master, slave = pty.openpty()
        environment = dict(clean_environment(), TERM="xterm-256color", **environment)
        with subprocess.Popen(
            [program, "serve", "--listen", "127.0.0.1:0", "--max-connections", "1000000000"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=slave,
        ) as process:
            process.stdout.readline()
            seen = b""
            while b"max_connections is" not in seen:
                assert select.select([master], [], [], PATIENCE)[0], seen
                seen += os.read(master, 4096)
            process.terminate()
        os.close(slave)
        os.close(master)
        assert (b"\x1b[" in seen) == coloured, seen
        assert b"info" in seen


def test_a_common_limit_of_descriptors_is_no_warning(serve):
    server = serve()
    server.stop()
    assert "max_connections" not in server.log()
