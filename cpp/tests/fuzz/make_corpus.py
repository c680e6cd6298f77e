"""Seeds for the fuzz programs out of interop_tests/vectors/vectors.json, the shipped dialects and what is written here.

python3 make_corpus.py DIRECTORY      writes DIRECTORY/NAME/* for each program NAME
"""

import hashlib
import json
import os
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".."))
LARGEST = 4096


def expand(value):
    """A text, or a list of texts and [text, count], as one text."""
    if isinstance(value, str):
        return value
    return "".join(item if isinstance(item, str) else item[0] * item[1] for item in value)


def decoder_seeds(vectors):
    """Every stream in one piece and in small ones, each way; fuzz_decoder.cpp tells what the first bytes mean."""
    for number, case in enumerate(vectors["decode"]):
        stream = bytes.fromhex(expand(case["hex"]))
        ends = 0 if case["end"] == "need_data" else 8
        yield bytes([ends, 0]) + stream
        yield bytes([number % 5 + ends, 3, 1, 5, 40]) + stream


def json_seeds(vectors):
    for case in vectors["decode"]:
        yield bytes.fromhex(expand(case["hex"]))[4:]
    for case in vectors["encode"]:
        yield expand(case["header_text"]).encode("ascii")


def frame(header, body=b""):
    text = json.dumps(header).encode()
    return len(text).to_bytes(4, "little") + text + body


LAYOUTS = [
    {"dtype": "<f4", "shape": [2, 3]},
    {"dtype": "S0", "shape": [100000]},
    {"dtype": "V0", "shape": [1 << 40]},
    {"dtype": "<f8", "shape": [1] * 65},
    {"dtype": "<M8[s]", "shape": []},
    {"tensors": {"a": {"dtype": "<f4", "shape": [2], "data_offsets": [0, 8]}, "b": {"dtype": "|u1", "shape": [0]}}},
]


def call_seeds(vectors):
    """Headers alone."""
    yield from json_seeds(vectors)
    for layout in LAYOUTS:
        for number in (1, "x", 2**70, 1.5):
            call = {"id": number, "method": "same", "params": [1, "\u4f60"], "timeout_ms": 5, "stream": True}
            yield json.dumps({**call, **layout}).encode()
    yield b'{"id": "\x7f\x7f", "method": "\\u0000", "more": true, "metadata": {"connection": "close"}}'


def reply_seeds(vectors):
    """Streams of answers; fuzz_replies.cpp tells what the first bytes mean."""
    answers = [
        frame({"jsonrpc": "2.0", "id": 1, "result": None}),
        frame({"id": 1, "result": {"a": [1]}, "body_size": 5}, b"hello"),
        frame({"id": 1, "result": 1, "more": True, "body_size": 40}, b"x" * 40) + frame({"id": 1, "result": None}),
        frame({"id": None, "error": {"code": -32600, "message": "no", "data": {"limit": 1, "got": 2}}}),
        frame({"id": "a", "error": {"code": 2**70, "message": 5}}),
        frame({"id": 1, "result": 1, "body_size": 2, "digest": {"sha-256": "AAAA"}}, b"ab"),
        frame({"id": 1, "result": 1, "body_size": 1 << 62}),
        frame({"id": 1, "result": 1, "metadata": {"connection": "close"}}),
        *(frame({"id": 1, "result": 1, "body_size": 24, **layout}, bytes(24)) for layout in LAYOUTS),
    ]
    for first in (0, 2, 4, 7):
        for answer in [*answers, b"".join(answers)]:
            yield bytes([first, 0]) + answer
            yield bytes([first, 2, 1, 30]) + answer
    for case in vectors["decode"]:
        yield b"\4\3\1\5\50" + bytes.fromhex(expand(case["hex"]))


def first_bytes_seeds(vectors):
    for text in (
        b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HEAD / HTTP/1.0\r\n\r\n",
        b"POST /\r\n\r\n",
        b"GET x",
        b"GET /healthz?a HTTP/1.1\r\n\r\n",
        b"\x16\x03\1\0\0\1",
        b"hello\n",
        b"get a.txt",
        b"0012{}",
        b"GET /" + b"a" * 8200 + b" HTTP/1.1\r\n\r\n",
        b"PUT",
        b"\2\0\0\0{}",
    ):
        for choice in range(32):
            yield bytes([choice]) + text
    for case in vectors["decode"]:
        yield b"\3" + bytes.fromhex(expand(case["hex"]))


def file_seeds(vectors):
    """Dialects, users and tables of commands; fuzz_files.cpp tells what the first byte means."""
    dialects = os.path.join(ROOT, "cpp", "dialects")
    for name in sorted(os.listdir(dialects)):
        with open(os.path.join(dialects, name), "rb") as f:
            yield b"\0" + f.read()
    yield b'\0[prefix]\nkind = "decimal"\nwidth = 1\n'
    hashed = b"scrypt$16384$8$1$AAAAAAAAAAAAAAAAAAAAAA==$" + b"A" * 43 + b"="
    yield b"\1# comment\n\nann:" + hashed + b"\nbob:scrypt$2$1$1$$\n"
    yield b"\1ann:secret\n"
    yield b'\2["disk free"]\nrun = ["df", "-h"]\n[motd]\ntext = "welcome\\n"\n'
    yield b'\2[a]\nrun = []\n[b]\nrun = "ls"\ntext = 5\n'


PROGRAMS = {
    "fuzz_calls": call_seeds,
    "fuzz_decoder": decoder_seeds,
    "fuzz_files": file_seeds,
    "fuzz_first_bytes": first_bytes_seeds,
    "fuzz_json": json_seeds,
    "fuzz_replies": reply_seeds,
}


def main(directory):
    with open(os.path.join(ROOT, "interop_tests", "vectors", "vectors.json"), encoding="ascii") as f:
        vectors = json.load(f)
    for name, seeds in PROGRAMS.items():
        os.makedirs(os.path.join(directory, name), exist_ok=True)
        for seed in seeds(vectors):
            if len(seed) <= LARGEST:
                with open(os.path.join(directory, name, hashlib.sha1(seed).hexdigest()), "wb") as f:
                    f.write(seed)


if __name__ == "__main__":
    main(sys.argv[1])
