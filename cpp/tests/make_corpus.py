"""Seeds for the fuzz programs out of interop_tests/vectors.json.

python3 make_corpus.py DIRECTORY      writes DIRECTORY/fuzz_decoder/* and DIRECTORY/fuzz_json/*
"""

import hashlib
import json
import os
import sys

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


def main(directory):
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "..", "..", "interop_tests", "vectors.json"), encoding="ascii") as f:
        vectors = json.load(f)
    for name, seeds in [("fuzz_decoder", decoder_seeds), ("fuzz_json", json_seeds)]:
        os.makedirs(os.path.join(directory, name), exist_ok=True)
        for seed in seeds(vectors):
            if len(seed) <= LARGEST:
                with open(os.path.join(directory, name, hashlib.sha1(seed).hexdigest()), "wb") as f:
                    f.write(seed)


if __name__ == "__main__":
    main(sys.argv[1])
