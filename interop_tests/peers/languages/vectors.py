# -*- coding: utf-8 -*-
"""Does client.py read and write frames as vectors.json says? CPython 2.7 and 3.6 upwards.

    python vectors.py FILE    prints what agrees, and what is outside of its JSON; exit code 1 for other differences
"""
from __future__ import print_function

import binascii
import collections
import io
import json
import re
import sys

import client

sys.setrecursionlimit(10000)  # for headers of 1000 levels
# Cases that json of one version or another reads otherwise, by name: they alone may disagree, and are printed.
OUTSIDE = [
    ("nesting without a limit of 1000", r"1001 levels"),
    ("Python 2.7 takes surrogates as UTF-8", r"not UTF-8: encoded surrogate"),
    ("bodies above 64 MiB", r"largest (file|body)_size"),
]


def text(value):
    """A text, or a list of texts and [text, count], as one text."""
    parts = value if isinstance(value, list) else [value]
    return "".join(part[0] * part[1] if isinstance(part, list) else part for part in parts)


def read_all(data, max_header):
    """The messages in `data`, each as the header's JSON and the body's hex, and behind them how it ends."""
    stream, read = io.BytesIO(data), []
    while True:
        try:
            header, body = client.read_frame(stream, max_header)
        except EOFError:
            return read + ["closed"]
        except client.FrameError as problem:
            return read + [problem.code]
        read.append([json.dumps(header), binascii.hexlify(body).decode("ascii")])


def main():
    with io.open(sys.argv[1], encoding="ascii") as f:
        vectors = json.load(f)
    agreed, outside, failed = collections.Counter(), collections.OrderedDict(), False

    def judge(kind, name, got, wanted):
        reasons = [reason for reason, pattern in OUTSIDE if re.match(pattern, name)]
        if got == wanted:
            agreed[kind] += 1
        elif reasons:
            outside.setdefault(reasons[0], []).append('"%s"' % name)
        else:
            print(("%s %s: expected %r, got %r" % (kind, name, wanted, got))[:500])
        return got == wanted or bool(reasons)

    for case in vectors["decode"]:
        got = read_all(binascii.unhexlify(text(case["hex"])), case.get("max_header", client.MAX_HEADER))
        end = case["end"]["error"] if isinstance(case["end"], dict) else case["end"]
        if end == "need_data":  # this reader learns of it when the stream ends
            end = "closed" if got[-1] == "closed" else "truncated"
        wanted = [[text(message["header"]), text(message["body"])] for message in case["messages"]]
        failed |= not judge("decode", case["name"], got, wanted + [end])
    for case in vectors["encode"]:
        header = json.loads(text(case["header_text"]), object_pairs_hook=collections.OrderedDict)
        frame = client.frame(json.dumps(header).encode("ascii"), binascii.unhexlify(text(case["body"])))
        got = binascii.hexlify(frame).decode("ascii")
        failed |= not judge("encode", case["name"], got, text(case["hex"]))
    reasons = ["%s (%s)" % (reason, ", ".join(names)) for reason, names in outside.items()]
    print("vectors: %d decode, %d encode agree; %d outside: %s" % (
        agreed["decode"], agreed["encode"], sum(map(len, outside.values())), "; ".join(reasons)))
    sys.exit(failed)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: vectors.py FILE", file=sys.stderr)
        sys.exit(2)
    main()
