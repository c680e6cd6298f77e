#!/usr/bin/env python3
"""Headers between Python objects and bytes: framecall.encode_header and decode_header beside the standard
library's json, in one run, block after block in turn. See README.md."""

import argparse
import json
import timeit

import measure
from measure import Failed

HEADERS = {
    "RPC call": {"jsonrpc": "2.0", "id": 7, "method": "upper", "params": {"n": 1}, "body_size": 32},
    "upload": {"file_name": "holiday-photo-0042.jpg", "file_size": 3145728},
    "unicode": {
        "file_name": "粘包与解决办法, naïve café 🎉.txt",
        "file_size": 1048576,
        "author": "张伟",
        "tags": ["网络", "Python"],
    },
    "floats": {
        "jsonrpc": "2.0",
        "id": 8,
        "method": "track",
        "params": [
            0.1,
            -273.15,
            3.141592653589793,
            6.02214076e23,
            1e-9,
            52.520008,
            13.404954,
            1.7976931348623157e308,
            0.30000000000000004,
            2.5,
        ],
    },
    "large": {
        "jsonrpc": "2.0",
        "id": 9,
        "result": {
            "files": [
                {
                    "name": f"report-2026-{n:03}.csv",
                    "size": 4096 * n,
                    "mtime": 1767225600 + 61 * n,
                    "public": n % 2 == 0,
                    "owner": None,
                }
                for n in range(74)
            ]
        },
    },
}
WANTED = {"encode": 5, "decode": 3}  # times as fast as json, for what a call has for a header
STATEMENTS = {  # what: (framecall's, the standard library's)
    "encode": ("framecall.encode_header(header)", "json.dumps(header).encode()"),
    "decode": ("framecall.decode_header(data)", "json.loads(data.decode('utf-8'))"),
}


class Case:
    def __init__(self, framecall, name, what):
        self.name, self.what, self.ours, self.theirs = name, what, [], []
        header = HEADERS[name]
        self.data = json.dumps(header).encode()
        self.check(framecall, header)
        values = {"framecall": framecall, "json": json, "header": header, "data": self.data}
        self.timers = [timeit.Timer(statement, globals=values) for statement in STATEMENTS[what]]

    def check(self, framecall, header):
        """Speed at the price of other bytes or other values counts for nothing."""
        if framecall.encode_header(header) != self.data:
            raise Failed(f"{self.name}: encode_header and json.dumps disagree")
        if repr(framecall.decode_header(self.data)) != repr(header):
            raise Failed(f"{self.name}: decode_header and json.loads disagree")

    def run(self, number, seconds):
        """A block of calls of each, in turns as to who is first; nanoseconds per call."""
        sides = list(zip(self.timers, (self.ours, self.theirs)))
        for timer, results in sides if number % 2 == 0 else sides[::-1]:
            count = 1
            while timer.timeit(count) < seconds / 10:
                count *= 2
            count *= 10
            results.append(timer.timeit(count) / count * 1e9)

    def result(self):
        return {
            "name": self.name,
            "what": self.what,
            "bytes": len(self.data),
            "framecall_ns": self.ours,
            "json_ns": self.theirs,
            "ratio": measure.ratio(self.theirs, self.ours),
        }


def judge(cases):
    """Of the header of a call; the others are for a look at what else there is."""
    return [
        measure.target(
            case.name,
            f"{case.what}, times as fast as json",
            [theirs / ours for theirs, ours in zip(case.theirs, case.ours)],
            WANTED[case.what],
        )
        for case in cases
        if case.name == "RPC call"
    ]


def show(report):
    rows = [("", "bytes", "framecall ns", "min-max", "json ns", "min-max", "times as fast")]
    for result in report["rows"]:
        cells = []
        for key in ("framecall_ns", "json_ns"):
            s = measure.summary(result[key])
            cells += ["{:.0f}".format(s["median"]), "{:.0f}-{:.0f}".format(s["min"], s["max"])]
        rows.append(
            (
                "{}, {}".format(result["what"], result["name"]),
                str(result["bytes"]),
                *cells,
                "{:.2f}".format(result["ratio"]),
            )
        )
    print(f"Headers in Python, one thread, {report['rounds']} rounds; medians, ratios within a round")
    print("{cpu}, {cpus} CPUs, Linux {kernel}, load {load}; Python {python}\n".format(**report["machine"]))
    measure.print_table(rows)
    print()
    measure.print_targets(report["targets"])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, help="default: 9")
    parser.add_argument("--quick", action="store_true", help="two rounds: does everything work?")
    parser.add_argument(
        "--seconds", type=float, default=0.05, help="about how long each block takes (default: %(default)s)"
    )
    parser.add_argument("--json", default="", help="write everything that was measured to this file")
    args = parser.parse_args()
    args.rounds = args.rounds or (2 if args.quick else 9)
    if args.rounds < 1 or args.seconds <= 0:
        parser.error("there is nothing to measure")
    try:
        import framecall
    except ImportError as error:
        raise Failed(f"{error}: run it with the Python that has the package") from None

    started = measure.now()
    cases = [Case(framecall, name, what) for what in STATEMENTS for name in HEADERS]
    for number, case in measure.interleaved(args.rounds, cases):
        case.run(number, args.seconds)
    report = {
        "suite": "json_python",
        "when": started,
        "rounds": args.rounds,
        "machine": measure.machine(),
        "versions": {"framecall": framecall.__version__},
        "rows": [case.result() for case in cases],
        "targets": judge(cases),
    }
    show(report)
    if args.json:
        measure.write_json(args.json, report)


if __name__ == "__main__":
    measure.run_script(main)
