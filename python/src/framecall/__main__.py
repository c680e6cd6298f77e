"""`python -m framecall` is the command line: the program `framecall` that was installed beside this Python."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig


def main() -> None:
    """Becomes the program."""
    places = [
        sysconfig.get_path("scripts"),
        sysconfig.get_path("scripts", f"{os.name}_user"),
        os.path.dirname(sys.executable),
    ]
    program = shutil.which("framecall", path=os.pathsep.join(places)) or shutil.which("framecall")
    if program is None:
        sys.exit("python -m framecall: the program framecall is not installed beside " + sys.executable)
    os.execv(program, ["framecall", *sys.argv[1:]])


if __name__ == "__main__":
    main()
