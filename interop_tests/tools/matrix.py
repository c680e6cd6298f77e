"""Who talks to whom: every client of languages.py against every server, in every case.

    python interop_tests/tools/matrix.py [--write]       --write: MATRIX.md, too

Prints a table and what is behind its holes. Exit code 1 if a cell is neither ok nor a hole with a reason.
"""
import argparse
import datetime
import os
import platform
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "testing"))

import languages  # noqa: E402
from languages import CLIENTS, SERVERS  # noqa: E402
from processes import INTEROP  # noqa: E402

# Column of a cell -> the cases behind it.
GROUPS = {"unary": ["upper", "add", "unicode"], "big": ["big"], "errors": ["error"], "stream": ["stream"],
          "upload": ["upload"], "get": ["get"]}
GROUP_TEXTS = {
    "unary": "`upper` with a body; `add` with params by name and by place; `say` with Chinese and astral text",
    "big": "`echo` of 5 MiB",
    "errors": "an unknown method is -32601, and the connection goes on",
    "stream": "`count` to 5, part by part",
    "upload": "100,000 bytes in the tutorial's form; the file is compared on the server's disk",
    "get": "`file.get` of 300,001 bytes; their checksum is compared",
}
# What a row does otherwise than the others do.
REMARKS = {
    "cpp_blocking": "`say` leaves as `\\uxxxx` alone, as framecall writes JSON; the plain clients send raw UTF-8, too.",
    "cpp_async": "`say` as above. Uploads have no asynchronous client: the blocking one sends them.",
    "package_blocking": "`say` as above.",
    "package_asyncio": "`say` as above.",
    "command_line": "Each command has a connection of its own: nothing is said about one that goes on after an error.",
    "rust": "Its library has no SHA-256: `get` compares the size and FNV-1a.",
    "c": "Its library has no SHA-256: `get` compares the size and FNV-1a.",
    "bash": "It cannot shut down one direction of a connection: a call behind the upload, which is answered, confirms it.",
}


class Cell:
    """One client and one server: what was wrong in each group ("": nothing), or why there is nothing to say."""

    def __init__(self, outcomes=None, hole=None):
        self.outcomes, self.hole = outcomes, hole

    def text(self):
        if self.hole is not None:
            return "-"
        return "%d of %d" % (sum(not problem for problem in self.outcomes.values()), len(self.outcomes))

    def problems(self):
        return {group: problem for group, problem in (self.outcomes or {}).items() if problem}


def run_cell(peers, client, server, groups=tuple(GROUPS)):
    """A Cell; a client or a server that cannot run here makes it a hole."""
    try:
        command, running = peers.client(client.key), peers.server(server.key)
    except languages.Missing as missing:
        return Cell(hole=str(missing))
    cases = [case for group in groups for case in GROUPS[group]]
    outcomes = languages.run_cases(command, client.upload, running, cases)
    return Cell({group: "; ".join(filter(None, (outcomes[case] for case in GROUPS[group]))) for group in groups})


def run_all(progress):
    cells = {}
    with tempfile.TemporaryDirectory(prefix="framecall-matrix-") as folder:
        builder = languages.Builder(os.path.join(folder, "build"))
        with languages.Peers(builder, os.path.join(folder, "roots")) as peers:
            for client in CLIENTS:
                progress(client.title)
                for server in SERVERS:
                    cells[client.key, server.key] = run_cell(peers, client, server)
    return cells


class Footnotes:
    """Numbered in the order of their first use; equal texts share a number."""

    def __init__(self):
        self.texts = []

    def mark(self, text):
        if text not in self.texts:
            self.texts.append(text)
        return "[%d]" % (self.texts.index(text) + 1)


def table(cells, footnotes):
    """Rows of texts, the titles first."""
    rows = [["client \\ server"] + [server.title for server in SERVERS]]
    for client in CLIENTS:
        remark = " " + footnotes.mark(REMARKS[client.key]) if client.key in REMARKS else ""
        row = [client.title + remark]
        for server in SERVERS:
            cell = cells[client.key, server.key]
            marks = [footnotes.mark(cell.hole)] if cell.hole is not None else []
            marks += [footnotes.mark("%s: %s" % problem) for problem in cell.problems().items()]
            row.append(" ".join([cell.text(), *marks]))
        rows.append(row)
    return rows


def versions():
    """Version -> titles of the peers that have it."""
    found = {}
    for peer in CLIENTS + SERVERS:
        try:
            titles = found.setdefault(peer.version(), [])
        except languages.Missing as missing:
            titles = found.setdefault("not here: %s" % missing, [])
        if peer.title not in titles:
            titles.append(peer.title)
    return found


def aligned(rows, separator="  "):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [separator.join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows]


def markdown(rows, footnotes):
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    lines = ["# Who talks to whom", "",
             "Written by `python interop_tests/tools/matrix.py --write` on %s, on %s %s. A row is a client, a column a server," % (
                 now, platform.system(), platform.machine()),
             "a cell says how many of these groups of cases passed:", ""]
    lines += ["- **%s**: %s" % (group, GROUP_TEXTS[group]) for group in GROUPS]
    lines += ["", "\"C++\", \"Python\" and \"command line\" are framecall's own; all others are programs of `peers/languages/`, which",
              "know nothing but the standard library of their language.", ""]
    first, *rest = ["| " + " | ".join(row) + " |" for row in rows]
    lines += [first, "|---" * len(rows[0]) + "|", *rest, ""]
    lines += ["- [%d] %s" % item for item in enumerate(footnotes.texts, 1)]
    lines += ["", "| version | of |", "|---|---|"]
    lines += ["| %s | %s |" % (version, "; ".join(titles)) for version, titles in versions().items()]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write MATRIX.md")
    options = parser.parse_args()
    cells = run_all(lambda title: print(title, file=sys.stderr, flush=True))
    footnotes = Footnotes()
    rows = table(cells, footnotes)
    print("\n".join(aligned(rows)))
    print("\n" + "\n".join("[%d] %s" % item for item in enumerate(footnotes.texts, 1)))
    if options.write:
        path = os.path.join(INTEROP, "MATRIX.md")
        with open(path, "w", encoding="utf-8") as f:
            f.write(markdown(rows, footnotes))
        print("\nwritten: " + path)
    sys.exit(1 if any(cell.problems() for cell in cells.values()) else 0)


if __name__ == "__main__":
    main()
