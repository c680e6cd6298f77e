"""vectors.json: up to date, agreed to by reference.py, and its refusals by a running server."""
import json
import os
import socket
import struct
import subprocess
import sys

import make_vectors
import peers
import pytest
import reference
from processes import PATIENCE, ROOT, clean_environment

with open(make_vectors.path(), encoding="ascii") as f:
    VECTORS = json.load(f)


def expand(value):
    """A text, or a list of texts and [text, count], as one text."""
    if isinstance(value, str):
        return value
    return "".join(item if isinstance(item, str) else item[0] * item[1] for item in value)


def expand_message(message):
    return expand(message["header"]), bytes.fromhex(expand(message["body"]))


def as_texts(messages):
    return [(json.dumps(header), body) for header, body in messages]


def by_name(cases):
    return pytest.mark.parametrize("case", cases, ids=[case["name"] for case in cases])


def test_file_is_up_to_date():
    with open(make_vectors.path(), encoding="ascii") as f:
        assert f.read() == make_vectors.text(), "run make_vectors.py"


def test_seeds_of_the_fuzz_programs(tmp_path):
    """They are made of the vectors and of the shipped dialects."""
    fuzz = os.path.join(ROOT, "cpp", "tests", "fuzz")
    subprocess.run([sys.executable, os.path.join(fuzz, "make_corpus.py"), str(tmp_path)], env=clean_environment(), check=True,
                   timeout=PATIENCE)
    programs = sorted(name[:-4] for name in os.listdir(fuzz) if name.startswith("fuzz_") and name.endswith(".cpp"))
    assert sorted(os.listdir(tmp_path)) == programs
    assert all(os.listdir(tmp_path / name) for name in programs)


def test_one_case_on_each_line():
    """Readers without JSON rely on it: peers/languages/vectors.sh."""
    with open(make_vectors.path(), encoding="ascii") as f:
        lines = f.read().split("\n")
    for kind, last in (("decode", "end"), ("encode", "hex")):
        begin = lines.index(' "%s": [' % kind) + 1
        cases = [json.loads(line.rstrip(",")) for line in lines[begin:lines.index(" ],", begin)]]
        assert cases == VECTORS[kind]
        assert {(list(case)[0], list(case)[-1]) for case in cases} == {("name", last)}


@by_name(VECTORS["decode"])
def test_decode(case):
    data = bytes.fromhex(expand(case["hex"]))
    messages, cut, end = reference.decode(data, case.get("max_header", reference.MAX_HEADER))
    assert as_texts(messages) == [expand_message(m) for m in case["messages"]]
    expected = [expand_message(case["partial"])] if "partial" in case else []
    assert as_texts([cut] if cut else []) == expected
    if case["end"] == "need_data":  # the reference knows the end of the stream only
        assert end in ("truncated", "closed")
    else:
        assert end == (case["end"] if isinstance(case["end"], str) else case["end"]["error"])


@by_name([case for case in VECTORS["decode"] if len(expand(case["hex"])) <= 4000])
def test_every_shorter_stream(case):
    """A decoder must not know the future: what a part of a stream says, the whole of it says too."""
    data = bytes.fromhex(expand(case["hex"]))
    limit = case.get("max_header", reference.MAX_HEADER)
    whole, _, whole_end = reference.decode(data, limit)
    for count in range(len(data)):
        messages, _, end = reference.decode(data[:count], limit)
        assert as_texts(messages) == as_texts(whole[:len(messages)])
        assert end in ("closed", "truncated") or (end, len(messages)) == (whole_end, len(whole))


@by_name(VECTORS["encode"])
def test_encode(case):
    header, body = json.loads(expand(case["header_text"])), bytes.fromhex(expand(case["body"]))
    assert reference.encode(header, body).hex() == expand(case["hex"])


@by_name([case for case in VECTORS["decode"]
          if case["end"] in ("closed", {"error": "truncated"}) and "max_header" not in case])
def test_receive_from_a_socket(case):
    data = bytes.fromhex(expand(case["hex"]))[:100000]
    messages, _, end = reference.decode(data)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)
        for message in messages:
            assert as_texts([reference.receive(theirs)]) == as_texts([message])
        if end == "closed":
            assert reference.receive(theirs) == []
        else:
            with pytest.raises(reference.ProtocolError, match="truncated"):
                reference.receive(theirs)


def refused_vectors():
    return [c for c in VECTORS["decode"]
            if isinstance(c["end"], dict) and c["end"]["error"] != "truncated" and not c["messages"]]


@pytest.mark.parametrize("max_header", sorted({c.get("max_header", 0) for c in refused_vectors()}))
def test_server_refuses(serve, max_header):
    """Every stream that begins with a bad frame gets the code that the vectors state, then the close."""
    server = serve(*(["--max-header", max_header] if max_header else []))
    wrong = []
    for case in refused_vectors():
        if case.get("max_header", 0) == max_header:
            try:
                code = peers.refusal(server.port, bytes.fromhex(expand(case["hex"])))["code"]
            except (AssertionError, OSError) as failure:
                code = repr(failure)
            if code != case["end"]["error"]:
                wrong.append("%s: %s instead of %s" % (case["name"], code, case["end"]["error"]))
    assert not wrong, "\n".join(wrong)
    if not max_header:
        peers.goes_on(server)


def answer_to(port, case):
    with peers.connect(port) as sock:
        for message in case["send"]:
            if not peers.send_all(sock, frame_of(message)):
                break
        return peers.finish(sock)


def frame_of(message):
    header = message["header"].encode()
    return struct.pack("<i", len(header)) + header + bytes.fromhex(expand(message["body"]))


@by_name(VECTORS["uploads"])
def test_uploads(serve, case, tmp_path):
    server = serve()
    said = answer_to(server.port, case)
    if "error" in case:
        assert peers.error_of(said)["code"] == case["error"]
    else:
        assert said == b""
    assert stored_by(server) == {name: expand(content) for name, content in case["stored"].items()}


def stored_by(server):
    return {name: peers.read(os.path.join(server.root, name)).hex() for name in os.listdir(server.root)
            if name != ".framecall"}


@by_name(VECTORS["dialects"])
def test_dialects(serve, case):
    server = serve("--dialect", case["dialect"])
    for name, content in case["files"].items():
        with open(os.path.join(server.root, name), "wb") as f:
            f.write(bytes.fromhex(expand(content)))
    with peers.connect(server.port) as sock:
        assert peers.send_all(sock, bytes.fromhex(expand(case["send"])))
        assert peers.finish(sock).hex() == expand(case["receive"])
    assert stored_by(server) == {name: expand(content) for name, content in case["stored"].items()}
