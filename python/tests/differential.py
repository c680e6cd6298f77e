"""Compares framecall's JSON with that of the running Python, on random values and texts, in both directions.

    python python/tests/differential.py --count 10000000

Every header is written by json.dumps and by encode_header: the bytes must be equal, or the refusals. Every text, most
of them damaged, is read by json.loads and by decode_header: both must take it and read the same, or both must refuse it.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import json
import sys
import time
from typing import Any

import framecall
from random_json import Generator


def outcome_of_dumps(value: Any) -> Any:
    try:
        return json.dumps(value).encode("utf-8")
    except (TypeError, ValueError) as error:
        return type(error).__name__, str(error)


def outcome_of_encode(value: Any) -> Any:
    try:
        return framecall.encode_header(value)
    except (TypeError, ValueError) as error:
        return type(error).__name__, str(error)


def outcome_of_loads(data: bytes) -> Any:
    """The value's repr(), which tells types, the order of keys, NaN, signs of zero and lone surrogates; or the code
    that framecall's error should have."""
    try:
        value = json.loads(data.decode("utf-8"))
    except ValueError:
        return -32700
    return repr(value) if isinstance(value, dict) else -32600


def outcome_of_decode(data: bytes) -> Any:
    try:
        return repr(framecall.decode_header(data))
    except framecall.ProtocolError as error:
        return error.code


def compare(count: int, seed: int) -> tuple[collections.Counter[str], list[str]]:
    """`count` headers written and `count` texts read: how they came out, and the differences."""
    generator = Generator(seed)
    counts: collections.Counter[str] = collections.Counter()
    differences = []
    for _ in range(count):
        header = generator.header()
        theirs, ours = outcome_of_dumps(header), outcome_of_encode(header)
        counts["encoded" if isinstance(theirs, bytes) else "refused to encode"] += 1
        if theirs != ours:
            differences.append(f"encode {header!r}\n  json      {theirs!r}\n  framecall {ours!r}")
        text = generator.text()
        theirs, ours = outcome_of_loads(text), outcome_of_decode(text)
        counts["decoded" if isinstance(theirs, str) else "refused to decode"] += 1
        if theirs != ours:
            differences.append(f"decode {text!r}\n  json      {theirs!r}\n  framecall {ours!r}")
    return counts, differences


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000_000, help="headers, and texts (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()

    block = 20_000
    sizes = [block] * (arguments.count // block) + [arguments.count % block]
    seeds = range(arguments.seed, arguments.seed + len(sizes))
    started = time.monotonic()
    total: collections.Counter[str] = collections.Counter()
    found = 0
    with concurrent.futures.ProcessPoolExecutor(arguments.processes) as pool:
        for seed, (counts, differences) in zip(seeds, pool.map(compare, sizes, seeds)):
            total += counts
            for difference in differences[: max(0, 20 - found)]:
                print(f"seed {seed}: {difference}", flush=True)
            found += len(differences)
    seconds = time.monotonic() - started
    print(f"Python {sys.version.split()[0]}, {seconds:.0f} s")
    for what, count in sorted(total.items()):
        print(f"{count:12,} {what}")
    print(f"{found:12,} differences")
    return 1 if found or not total else 0


if __name__ == "__main__":
    sys.exit(main())
