"""Changes one character of the codec at a time, and looks whether a test notices.

    python interop_tests/mutants.py [COUNT] [SEED]      20 mutants; about half an hour on two cores

Works in a copy of the source under build/mutants. Prints each mutant and what killed it; those that live have to be explained
or covered. Exit code 1 if more than one in twenty lives.
"""
import os
import random
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(HERE)
COPY = os.path.join(SOURCE, "build", "mutants")
FILES = ["cpp/src/frame.cpp", "cpp/src/call.cpp", "cpp/src/json_text.cpp", "cpp/src/json.cpp"]
CHANGES = {"<": ">", ">": "<", "+": "-", "-": "+", "!": " ", "0": "1", "1": "0", "2": "3", "4": "5", "8": "9", "&": "|"}
# What a changed line would hold that does the same as the line itself: no test can tell.
THE_SAME = {
    "if (layout.size() > 3)": "no layout has three characters",
    "if (data.size() > 3)": "nor has the data of an error",
    "std::int64_t{1} << 41": "any cap above all limits will do",
    "window_.data() < input_.data() - input_.size()": "copies what need not be copied",
    "hashed_from = ": "from which size on keys are hashed is a matter of speed",
    "body_.size() > small_body": "which bodies share a block is a matter of speed",
}
UNIT_TESTS = ("Buffer*:Call*:Decoder*:Dialect*:Digest*:Encode*:Frame*:Header*:Json*:Calls*:Client.*:Stream*:*Json*:*Vectors*:"
              "Conversation*:Server*")


def code_places(text):
    """Positions of characters that may be changed: in code, not in comments, includes, templates or arrows, nor in how much
    of a peer's text a message quotes."""
    places = []
    start = 0
    for line in text.splitlines(True):
        code = re.sub(r'"(\\.|[^"\\])*"|\'(\\.|[^\'\\])\'', lambda match: "_" * len(match.group()), line)
        code = code.split("//")[0]
        if not code.lstrip().startswith(("#", "namespace", "template", "using")) and "static_cast<" not in code \
                and "printable(" not in code and "std::array<" not in code and "optional<" not in code and "vector<" not in code:
            for i, character in enumerate(code):
                around = code[max(i - 1, 0):i + 2]
                plain = not any(pair in around for pair in ("->", "<<", ">>", "++", "--", "<=", ">=", "&&", "-1")) \
                    and not re.search(r"[A-Za-z_]\d|\d[xX]|&[A-Za-z_*)]|[A-Za-z_>] ?&", around)
                if character in CHANGES and plain:
                    places.append(start + i)
        start += len(line)
    return places


def run(*command, seconds=600):
    try:
        return subprocess.run(command, cwd=COPY, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=seconds).returncode == 0
    except subprocess.TimeoutExpired:  # it hangs: that is noticed, too
        return False


def build():
    return run("cmake", "--build", "--preset", "release", "--target", "framecall_tests", "framecall_cli")


def killer():
    """The name of what notices the mutant, None: nothing."""
    tests = os.path.join(COPY, "build", "release", "bin", "framecall_tests")
    if not run(tests, "--gtest_brief=1", "--gtest_fail_fast", "--gtest_filter=" + UNIT_TESTS, seconds=120):
        return "framecall_tests"
    for name in ("test_vectors", "test_calls", "test_bad_input", "test_wild"):
        if not run(sys.executable, "-m", "pytest", "-q", "-x", "-n2", "interop_tests/%s.py" % name, seconds=300):
            return name
    return None


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    shutil.rmtree(COPY, ignore_errors=True)
    subprocess.run(["git", "clone", "-q", SOURCE, COPY], check=True)
    if not run("cmake", "--preset", "release") or not build() or killer():
        sys.exit("the source itself does not build, or fails")
    choose = random.Random(seed)
    lived = made = 0
    while made < count:
        name = FILES[made % len(FILES)]
        path = os.path.join(COPY, name)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        place = choose.choice(code_places(text))
        line = text.count("\n", 0, place) + 1
        mutant = text[:place] + CHANGES[text[place]] + text[place + 1:]
        if any(part in mutant.splitlines()[line - 1] for part in THE_SAME):
            continue
        with open(path, "w", encoding="utf-8") as f:
            f.write(mutant)
        try:
            if not build():
                continue  # the compiler noticed: no mutant
            made += 1
            by = killer()
            lived += by is None
            print("%2d  %-40s %s" % (made, by or "LIVES", "%s:%d  %s -> %s" % (name, line, text.splitlines()[line - 1].strip(),
                                                                             mutant.splitlines()[line - 1].strip())), flush=True)
        finally:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
    print("%d of %d mutants killed" % (made - lived, made))
    sys.exit(lived * 20 > made)


if __name__ == "__main__":
    main()
