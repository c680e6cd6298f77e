"""THREATS.md names tests that exist."""
import os
import pathlib
import re

from processes import INTEROP, ROOT


def defined(path, name):
    """Whether a test of that name is in the file."""
    with open(path) as file:
        text = file.read()
    if path.endswith(".py"):
        return "\ndef %s(" % name in text
    return re.search(r"^TEST\w*\(%s, %s\)" % tuple(name.split(".")), text, re.MULTILINE) is not None


def place(name):
    if name.endswith(".cpp"):
        return next(map(str, pathlib.Path(ROOT, "cpp", "tests").rglob(name)), name)
    return os.path.join(INTEROP, "tests", name) if name.startswith("hostile/") else os.path.join(ROOT, name)


def test_every_row_names_tests_that_exist():
    with open(os.path.join(ROOT, "THREATS.md")) as file:
        rows = [line for line in file if line.startswith("| ") and not line.startswith(("| An attacker |", "| An attacker,"))]
    wrong, names = [], set()
    for row in rows:
        found = re.findall(r"`([\w./]+)::([\w.]+)`", row.split(" | ")[-1])
        wrong += [] if found else [row]
        names.update(found)
    wrong += sorted("%s::%s" % one for one in names if not os.path.exists(place(one[0])) or not defined(place(one[0]), one[1]))
    assert not wrong, "\n".join(wrong)
    assert len(rows) > 40
