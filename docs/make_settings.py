"""Writes docs/SETTINGS.md and the keywords of framecall.Server from the settings table of the server: `./dev settings`."""

import json
import pathlib
import re
import sys

from framecall import _core

SOURCE = pathlib.Path(__file__).resolve().parent.parent
PAGE = SOURCE / "docs" / "SETTINGS.md"
SERVER = SOURCE / "python" / "src" / "framecall" / "_server.py"

HEADING = """\
# Settings of a server

Every setting of `framecall serve`, of the C++ `ServerOptions` and of Python's `framecall.Server`. `./dev settings` writes this page
from the table in `cpp/src/server/operate/settings.cpp`.

A flag is preferred to its environment variable, and that to a file of `framecall --config`. The keyword of Python has the name of the
flag, with underscores. C++ has the limits as members of `ServerOptions`, under the same names. A number outside of its range is an
error that names the setting as it was written, the value, and the range.

Flags, variables and files take sizes as bytes, or with `K`, `M`, `G`, `T` (powers of 1,024); durations in seconds, or with `ms`,
`min`, `h`. Python takes bytes and seconds as numbers, and None for the default.

| flag | environment | Python | default | allowed |
|---|---|---|---|---|
"""

BEGIN = "        # The settings table's, written by `./dev settings`.\n"
END = "        # The end of them.\n"
PATH = "str | os.PathLike[str]"
CHOICES = {"protocols": "Sequence[_Protocol]", "access": "Sequence[_Access]", "durability": "_Durability"}
TYPES = {
    "bytes": "int",
    "count": "int",
    "percent": "int",
    "seconds": "float",
    "text": "str",
    "path": PATH,
    "flag": "bool",
}


def table():
    return json.loads(_core.settings_json())


def allowed(row):
    if row["choices"]:
        return ", ".join(row["choices"])
    if row["least"] is None:
        return ""
    unit = {"bytes": " bytes", "seconds": " s", "percent": " %"}.get(row["type"], "")
    if row["most"] is None:
        return f"{row['least']:,} or more{unit}"
    return f"{row['least']:,} .. {row['most']:,}{unit}"


def shown_default(row):
    text = row["default_text"] + (" s" if row["type"] == "seconds" else " %" if row["type"] == "percent" else "")
    if row["python_default"] != row["default"]:
        text += f" (Python: {row['python_default']})"
    return text


def page():
    lines, texts = [], []
    for row in table():
        flag = f"`{row['flag']}`" if row["flag"] else ""
        variable = f"`{row['variable']}`" if row["variable"] else ""
        keyword = f"`{row['name']}`" if row["python"] else ""
        lines.append(f"| {flag} | {variable} | {keyword} | {shown_default(row)} | {allowed(row)} |\n")
        details = " " + row["details"] if row["details"] else ""
        texts.append(f"- **{row['name']}**: {row['help']}.{details}\n")
    return HEADING + "".join(lines) + "\n" + "".join(texts)


def python_default(row):
    value = row["python_default"]
    if isinstance(value, list):
        return (
            "(" + "".join(f'"{one}", ' for one in value).rstrip() + ")"
            if len(value) == 1
            else str(tuple(value)).replace("'", '"')
        )
    if isinstance(value, str):
        return json.dumps(value)
    if row["type"] == "seconds":
        return str(float(value))
    for shift in (20, 10):
        if row["type"] == "bytes" and value and value % (1 << shift) == 0:
            return f"{value >> shift} << {shift}"
    return str(value)


def keywords():
    lines = []
    for row in table():
        if row["python"]:
            kind = CHOICES.get(row["name"]) or TYPES[row["type"]]
            kind += " | None" if row["python_default"] is None else ""
            lines.append(f"        {row['name']}: {kind} = {python_default(row)},\n")
    return "".join(lines)


def server():
    """The text of _server.py, with these keywords."""
    text = SERVER.read_text(encoding="utf-8")
    return re.sub(f"(?<={re.escape(BEGIN)}).*?(?={re.escape(END)})", lambda _: keywords(), text, flags=re.DOTALL)


def main():
    wanted = {PAGE: page(), SERVER: server()}
    for path, text in wanted.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(SOURCE)}")


if __name__ == "__main__":
    sys.exit(main())
