"""Changes one character of the codec at a time, and looks whether a test notices.

    python interop_tests/tools/mutants.py [COUNT] [SEED]      20 mutants; about a quarter of an hour on two cores

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
SOURCE = os.path.dirname(os.path.dirname(HERE))
COPY = os.path.join(SOURCE, "build", "mutants")
FILES = ["cpp/src/wire/frame.cpp", "cpp/src/wire/call.cpp", "cpp/src/text/json_text.cpp", "cpp/src/text/json.cpp"]
CHANGES = {"<": ">", ">": "<", "+": "-", "-": "+", "!": " ", "0": "1", "1": "0", "2": "3", "4": "5", "8": "9", "&": "|"}
# What a changed line would hold that does the same as the line itself: no test can tell.
THE_SAME = {
    # how much is done at once, and by which of two ways
    "read_size = ": "of one read: a matter of speed",
    "ahead_size = 34": "more than any prefix, too",
    "ahead_size = 25": "more than any prefix, too",
    "window_.data() < input_.data() - input_.size()": "copies what need not be copied",
    "window_.data() > input_.data() + input_.size()": "copies what need not be copied",
    "hashed_from": "from which size on keys are hashed is a matter of speed",
    "small_body = ": "which bodies share a block is a matter of speed",
    "body_.size() > small_body": "which bodies share a block is a matter of speed",
    "first(small ? 5 : 5)": "copies a large body once more",
    "std::size_t size = 1;": "a byte more than is used",
    # values that nobody reads
    "char32_t code_point = 1": "decode_utf8() writes it",
    "int exponent = 1": "from_chars() writes it",
    "double value = 1": "from_chars() writes it",
    "std::int64_t narrow = 1": "from_chars() writes it",
    "std::uint64_t wide = 1": "from_chars() writes it",
    "std::int64_t exponent = 1": "one place is nothing beside 300",
    "number.substr(1, e)": "one place is nothing beside 300",
    "exponent + point + lead": "a few places are nothing beside 300",
    "point - lead > 1": "one place is nothing beside 300",
    "std::size_t integer_size = 0": "how long a 0 is: shorter than the limit",
    # cases that there are not
    "layout.size() > 3": "no layout has three characters",
    "data.size() > 3": "nor has the data of an error",
    "metadata.size() <= 3": "nor have metadata",
    "std::int64_t{1} << 41": "any cap above all limits will do",
    "std::int64_t{1} << 50": "any cap above all limits will do",
    "std::int64_t{1} << 61": "longer than any mantissa, too",
    "size = 0; size <= bytes.size()": "no bytes at all always may become a frame, and the next turn forgets it",
    "prefix_.width - 0u": "a NUL, which opens no header, would be behind such a length",
    "(c < 0x21)": "of what is below 0x80 find_special() stops only at 0x7f and below 0x20",
    "(c < 0x30)": "of what is below 0x80 find_special() stops only at 0x7f and below 0x20",
    "*at++) < 0x81": "every character beyond ASCII has a byte of 0xc2 or more",
    "*at++) < 0x90": "every character beyond ASCII has a byte of 0xc2 or more",
    "(byte(0) & 0x1f) << 12": "the bit is 0 in all of 0xe0 .. 0xef",
    "(code_point + 0xd800) << 10": "differs above the bits that UTF-8 has room for",
    'value < 1 ? "-Infinity"': "no infinite value is between 0 and 1",
}


def changed(text, place):
    """The character to put in its place."""
    return "=" if text.startswith("!=", place) else CHANGES[text[place]]


def code_places(text):
    """Positions of characters that may be changed: digits of numbers, `!`, and operators, which clang-format sets between
    blanks; not in comments, includes or templates, nor in how large a buffer is or how much of a peer's text a message quotes."""
    places = []
    start = 0
    for line in text.splitlines(True):
        code = re.sub(r'"(\\.|[^"\\])*"|\'(\\.|[^\'\\])\'', lambda match: "_" * len(match.group()), line)
        code = re.sub(r"\b[A-Za-z_]\w*", lambda match: "_" * len(match.group()), code.split("//")[0])
        if not code.lstrip().startswith("#") and "printable(" not in line and not re.search(r"\bchar \w+\[", line):
            for i, character in enumerate(code):
                plain = character == "!" or (code[i - 1:i + 2] == " %s " % character if character in "<>+-&"
                                             else code[i + 1:i + 2] not in ("x", "X"))
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


def build(target):
    return run("cmake", "--build", "--preset", "release", "--target", target)


def killer():
    """The name of what notices the mutant, None: nothing."""
    tests = os.path.join(COPY, "build", "release", "bin", "framecall_tests")
    if not run(tests, "--gtest_brief=1", "--gtest_fail_fast", seconds=120):
        return "framecall_tests"
    if not build("framecall_cli"):
        sys.exit("the program does not build, though its tests do")
    for name in ("test_vectors", "test_calls", "test_bad_input", "test_wild"):
        if not run(sys.executable, "-m", "pytest", "-q", "-x", "-n2", "interop_tests/tests/%s.py" % name, seconds=300):
            return name
    return None


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    shutil.rmtree(COPY, ignore_errors=True)
    subprocess.run(["git", "clone", "-q", SOURCE, COPY], check=True)
    # One file at a time: next to nothing has to be compiled again.
    if not run("cmake", "--preset", "release", "-DCMAKE_UNITY_BUILD=OFF") or not build("framecall_tests") or killer():
        sys.exit("the source itself does not build, or fails")
    choose = random.Random(seed)
    lived = made = 0
    tried = set()
    while made < count:
        name = FILES[made % len(FILES)]
        path = os.path.join(COPY, name)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        place = choose.choice(code_places(text))
        line = text.count("\n", 0, place) + 1
        mutant = text[:place] + changed(text, place) + text[place + 1:]
        if (name, place) in tried or any(part in mutant.splitlines()[line - 1] for part in THE_SAME):
            continue
        tried.add((name, place))
        with open(path, "w", encoding="utf-8") as f:
            f.write(mutant)
        try:
            if not build("framecall_tests"):
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
