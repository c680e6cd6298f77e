#!/usr/bin/env python3
"""Every suite, one after the other: its table, its JSON, and in the end report.md with pictures. See README.md."""

import argparse
import os
import subprocess
import sys
import time

import measure
import report

HERE = os.path.dirname(os.path.abspath(__file__))
SUITES = ("rpc", "python_rpc", "json_python", "bulk", "files", "growth", "start")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="few short rounds, below three minutes: does everything work?"
    )
    parser.add_argument("--only", default="", help="suites, comma-separated: " + " ".join(SUITES))
    parser.add_argument("--rounds", type=int, help="of every suite (default: its own)")
    parser.add_argument("--cc", default="", help="congestion control, in a network namespace of its own (root)")
    parser.add_argument("--out", default=os.path.join(measure.BUILD, "results"), help="default: %(default)s")
    parser.add_argument("--against", default="", metavar="FOLDER", help="another run, to compare with")
    args = parser.parse_args()
    wanted = args.only.split(",") if args.only else list(SUITES)
    if set(wanted) - set(SUITES):
        parser.error("there is no " + ", ".join(sorted(set(wanted) - set(SUITES))))
    os.makedirs(args.out, exist_ok=True)
    failed, seconds = [], {}
    for suite in wanted:
        print(f"\n== {suite}", flush=True)
        found = os.path.join(args.out, suite + ".json")
        if os.path.exists(found):
            os.unlink(found)  # of an earlier run: if this one fails, nothing shall look like its result
        command = [sys.executable, os.path.join(HERE, suite + ".py"), "--json", found]
        command += ["--quick"] if args.quick else []
        command += ["--rounds", str(args.rounds)] if args.rounds else []
        command += ["--cc", args.cc] if args.cc and suite not in report.NO_NETWORK else []
        began = time.monotonic()
        if subprocess.run(command).returncode:
            failed.append(suite)
        seconds[suite] = time.monotonic() - began
    print("\n" + ", ".join(f"{suite} {taken:.0f} s" for suite, taken in seconds.items()))
    if len(failed) < len(wanted):
        print(report.write(args.out, args.against))
    if failed:
        sys.exit("failed: " + ", ".join(failed))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
