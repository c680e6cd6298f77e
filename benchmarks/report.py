"""Not a benchmark itself but what becomes of a folder of results, SUITE.json each: report.md and pictures.

benchmarks/report.py FOLDER [--against FOLDER]      the second folder: another run, whose targets stand beside
"""

import argparse
import glob
import json
import os
import statistics
import sys

import measure
import plot

NO_NETWORK = ("json_python", "start")  # no congestion control either
# suite, picture, case, whose rate is divided by the others'
BARS = {
    "rpc": (
        "Calls in C++: framecall's rate, divided by the other's",
        "calls_per_second",
        (
            ("unary-one-core", "framecall", "one call in flight, one core"),
            ("unary", "framecall-c", "one call in flight, not pinned"),
            ("8x16", "framecall-c", "8 connections with 16 calls each"),
            ("1x64", "framecall-c", "one connection with 64 calls"),
            ("1mib", "framecall-c", "1 MiB there and back"),
        ),
    ),
    "python_rpc": (
        "Calls from and to Python: framecall's rate, divided by the other's",
        "calls_per_second",
        (
            ("client", "framecall", "a blocking client, one call in flight"),
            ("client-64", "framecall", "a blocking client, batches of 64"),
            ("asyncio", "aio", "a client on a loop, one call in flight"),
            ("asyncio-64", "aio", "a client on a loop, 64 calls"),
            ("client-1mib", "framecall", "1 MiB there and back"),
            ("server", "def", "def handlers, one call in flight"),
            ("server-64", "def", "def handlers, 64 calls"),
            ("server-8x16", "def", "def handlers, 8 connections with 16 calls each"),
        ),
    ),
    "bulk": (
        "Files of 1 GiB: framecall's rate, divided by the other's",
        "bytes_per_second",
        (
            ("file", "framecall", "framecall send, into a file"),
            ("file", "get", "framecall get, into a file"),
            ("file", "put", "framecall put, into a file, with SHA-256"),
            ("discard", "get-discard", "framecall get, discarded"),
        ),
    ),
}
CURVES = ("connections", "connections-p99", "in-flight", "idle", "files")


def load(folder):
    """{suite: its report}"""
    reports = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
        with open(path) as file:
            report = json.load(file)
        reports[report["suite"]] = report
    return reports


def cell(figure, value):
    """The summary of a figure in a table; bytes a second as GB/s."""
    scale = 1e-9 if "bytes_per_second" in figure else 1
    return "{} ({}-{})".format(*(number(value[key] * scale) for key in ("median", "min", "max")))


def number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(heading, rows):
    lines = ["| " + " | ".join(heading) + " |", "|---" * len(heading) + "|"]
    return lines + ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows] + [""]


def targets(reports, others):
    heading = ["suite", "target", "wanted", "median", "min", "max", "met"]
    rows, differences = [], []
    before = {(name, t["row"], t["what"]): t for name, report in others.items() for t in report["targets"]}
    for name, report in reports.items():
        for t in report["targets"]:
            wanted = "{} {:g}".format("≥" if t["higher"] else "≤", t["wanted"])
            row = [name, f"{t['row']}: {t['what']}", wanted, *(number(t[key]) for key in ("median", "min", "max"))]
            row.append("yes" if t["met"] else "**no**")
            other = before.get((name, t["row"], t["what"]))
            if others:
                known = other and other["median"]  # of a zero there is no percentage
                differs = (t["median"] / other["median"] - 1) * 100 if known else None
                row += [number(other["median"]) if other else "-", f"{differs:+.0f} %" if differs is not None else "-"]
                differences += [abs(differs)] if differs is not None else []
            rows.append(row)
    lines = table(heading + (["other run", "difference"] if others else []), rows)
    met = sum(t["met"] for report in reports.values() for t in report["targets"])
    lines.append(f"{met} of {len(rows)} met.")
    if differences:
        lines[-1] += (
            f" Between the two runs the targets' figures differ by {statistics.median(differences):.0f} % in the median, "
            f"{max(differences):.0f} % at most."
        )
    return [*lines, ""]


def figures_of(row):
    """{figure: its summary}"""
    found = {key: value for key, value in row.items() if isinstance(value, dict) and "median" in value}
    lists = {key: value for key, value in row.items() if isinstance(value, list) and isinstance(value[0], float)}
    return {**found, **{key: measure.summary(value) for key, value in lists.items()}}


def rows_of(report):
    """Tables of one suite: one for each case, with all of its figures."""
    lines = []
    rows = [{"case": row.get("what"), "title": row.get("name"), **row} for row in report["rows"]]
    for case in dict.fromkeys(row["case"] for row in rows):
        made = {title_of(row): figures_of(row) for row in rows if row["case"] == case}
        figures = list(next(iter(made.values())))
        lines += [f"### {case}", ""]
        heading = ["", *(figure.replace("bytes_per_second", "GB/s").replace("_", " ") for figure in figures)]
        lines += table(heading, [[title, *(cell(f, row[f]) for f in figures)] for title, row in made.items()])
    return lines


def title_of(row):
    return row["title"] + (f", {measure.size_text(row['bytes'])}" if row["case"] in ("put", "get") else "")


def within_rounds(rows, one, other, figure):
    """The median of the ratios of each round; None when one is not there."""
    found = {row["contender"]: [r[figure] for r in row["rounds"]] for row in rows}
    pairs = list(zip(found.get(one, ()), found.get(other, ())))
    return statistics.median(a / b for a, b in pairs) if pairs and all(b for _, b in pairs) else None


def pictures(reports):
    """{name: SVG}"""
    made = {}
    for suite, (title, figure, cases) in BARS.items():
        groups = []
        for case, ours, heading in cases if suite in reports else ():
            rows = [row for row in reports[suite]["rows"] if row["case"] == case and figure in row]
            ratios = [(row["title"], within_rounds(rows, ours, row["contender"], figure)) for row in rows]
            others = [(label, ratio) for label, ratio in ratios if ratio and "framecall" not in label]
            if others:
                groups.append((heading, sorted(others, key=lambda one: one[1])))
        if groups:
            made[suite] = plot.bars(title, groups)
    growth = reports.get("growth", {"rows": []})["rows"]

    def curve(case, across, figure):
        names = {(case, "asio"): "raw Asio", (case, "framecall"): "framecall"}
        names[case + "-after-calls", "framecall"] = "after a call on each"
        series = {}
        for row in growth:
            name = names.get((row["case"], row["contender"]))
            if name and row[figure]["median"] > 0:
                series.setdefault(name, []).append((row[across], row[figure]["median"]))
        return {name: sorted(points) for name, points in series.items()}

    plans = {
        "connections": ("Busy connections, one call in flight on each", "connections", "calls_per_second", "calls/s"),
        "connections-p99": ("Busy connections, one call in flight on each", "connections", "p99_us", "p99, µs"),
        "in-flight": ("Calls in flight on one connection", "in_flight", "calls_per_second", "calls/s"),
        "idle": ("Memory of the server, idle connections", "connections", "mib_in_all", "MiB in all"),
    }
    for name, (title, across, figure, up) in plans.items():
        case = name.replace("-p99", "")
        series = curve(case, across, figure)
        if series:
            made[name] = plot.curves(title, across.replace("_", " "), up, series)
    files = {}
    for row in reports.get("files", {"rows": []})["rows"]:
        files.setdefault(row["title"], []).append((row["bytes"], row["bytes_per_second"]["median"] / 1e6))
    if files:
        files = {name: sorted(points) for name, points in files.items()}
        made["files"] = plot.curves(
            "Files over one connection, from Python", "size of a file", "MB/s", files, sizes=True
        )
    return made


def write(folder, against=""):
    reports = load(folder)
    others = load(against) if against else {}
    for path, found in ((folder, reports), (against, others)):
        if path and not found:
            sys.exit(f"report.py: there are no results in {path}")
    first = next(iter(reports.values()))
    machine = "{cpu}, {cpus} CPUs, Linux {kernel}, Python {python}".format(**first["machine"])
    lines = [f"# Results of {first['when'][:10]}", "", machine + ".", ""]
    versions = {name: number for report in reports.values() for name, number in report["versions"].items() if number}
    lines += ["Versions: " + ", ".join(f"{name} {number}" for name, number in sorted(versions.items())) + ".", ""]
    lines += ["A figure is a median, with the least and the most of its rounds.", ""]
    lines += ["## Targets", "", *targets(reports, others)]
    drawn = pictures(reports)
    for name in (*BARS, *CURVES):  # of an earlier run: nothing shall look like a result of this one
        path = os.path.join(folder, name + ".svg")
        if name not in drawn and os.path.exists(path):
            os.unlink(path)
    for name, svg in drawn.items():
        with open(os.path.join(folder, name + ".svg"), "w") as file:
            file.write(svg)
    for suite, report in reports.items():
        algorithm = f", {report['congestion_control']}" if suite not in NO_NETWORK else ""
        lines += [f"## {suite}", "", f"Began {report['when']}, load {report['machine']['load']}{algorithm}.", ""]
        lines += [f"Left out: {key}, {reason}." for key, reason in report.get("skipped", {}).items()]
        shown = [name for name in drawn if name == suite or (suite == "growth" and name not in (*BARS, "files"))]
        for name in shown:
            lines += ["", f"![{name}]({name}.svg)"]
        lines += ["", *rows_of(report)]
    path = os.path.join(folder, "report.md")
    with open(path, "w") as file:
        file.write("\n".join(lines).rstrip() + "\n")
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--against", default="", metavar="FOLDER", help="another run")
    args = parser.parse_args()
    print(write(args.folder, args.against))


if __name__ == "__main__":
    main()
