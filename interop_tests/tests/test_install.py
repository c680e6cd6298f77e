"""What a user gets: the installed C++ library, found in three ways, and the wheel.

The C++ side is installed from $FRAMECALL_BUILD, else build/release, whose compiler and build type the consumers share.
"""
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from processes import ROOT as SOURCE
from processes import clean_environment

BUILD = os.environ.get("FRAMECALL_BUILD") or os.path.join(SOURCE, "build", "release")
CONSUMER = os.path.join(SOURCE, "cpp", "tests", "consumer")

pytestmark = pytest.mark.skipif(not os.path.exists(os.path.join(BUILD, "build.ninja")), reason="no build tree " + BUILD)


def run(*command, timeout=280, **environment):
    result = subprocess.run(command, env=dict(clean_environment(), **environment), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
    output = result.stdout.decode(errors="replace")
    assert result.returncode == 0, "%s\n%s" % (" ".join(command), output[-20000:])
    return output


def version():
    with open(os.path.join(SOURCE, "python", "src", "framecall", "_version.py")) as f:
        return re.search(r'__version__ = "(.+)"', f.read()).group(1)


def compiler():
    """The one of the build."""
    with open(os.path.join(BUILD, "CMakeCache.txt")) as f:
        return re.search(r"^CMAKE_CXX_COMPILER:\w+=(.+)$", f.read(), re.MULTILINE).group(1)


def compilers():
    """That of the build, and clang, whose coroutines older versions of Asio do not know by themselves."""
    clang = next((name for name in ("clang++", *("clang++-%d" % n for n in range(25, 15, -1))) if shutil.which(name)), None)
    missing = pytest.mark.skip(reason="no clang++")
    return [pytest.param(None, id="own"), pytest.param(clang, id="clang", marks=[] if clang else [missing])]


def expected():
    return '"upper" hello 42 framecall %s\n' % version()


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("install") / "prefix")
    run("cmake", "--install", BUILD, "--prefix", path)
    moved = path + "-moved"  # nothing may remember where it was installed
    os.rename(path, moved)
    return moved


def configure_consumer(build_dir, *options, program=None):
    run("cmake", "-S", CONSUMER, "-B", str(build_dir), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
        "-DCMAKE_CXX_COMPILER=" + (program or compiler()), *options)


@pytest.mark.parametrize("compiler_name", compilers())
def test_find_package(prefix, tmp_path, compiler_name):
    configure_consumer(tmp_path, "-DCMAKE_PREFIX_PATH=" + prefix, program=compiler_name)
    run("cmake", "--build", str(tmp_path))
    assert run(str(tmp_path / "consumer")) == expected()


def test_add_subdirectory(tmp_path):
    """A project that takes the sources in gets the library, without its tests, its program and its install rules."""
    configure_consumer(tmp_path, "-DFRAMECALL_SOURCE=" + SOURCE)
    targets = run("cmake", "--build", str(tmp_path), "--target", "help")
    assert "libframecall.a" in targets
    assert "framecall_tests:" not in targets and "framecall_cli:" not in targets
    run("cmake", "--install", str(tmp_path), "--prefix", str(tmp_path / "prefix"))
    assert not (tmp_path / "prefix").exists()


@pytest.mark.skipif(not shutil.which("pkg-config"), reason="no pkg-config")
@pytest.mark.parametrize("compiler_name", compilers())
def test_pkg_config(prefix, tmp_path, compiler_name):
    folders = [folder for folder, _, files in os.walk(prefix) if "framecall.pc" in files]
    flags = run("pkg-config", "--cflags", "--libs", "framecall", PKG_CONFIG_PATH=":".join(folders))
    program = str(tmp_path / "consumer")
    run(compiler_name or compiler(), "-std=c++20", os.path.join(CONSUMER, "main.cpp"), "-o", program, *shlex.split(flags))
    assert run(program) == expected()


def test_installed_files(prefix):
    installed = {os.path.relpath(os.path.join(folder, name), prefix)
                 for folder, _, files in os.walk(prefix) for name in files}
    public = os.path.join(SOURCE, "cpp", "include")
    ours = {os.path.join("include", os.path.relpath(os.path.join(folder, name), public))
            for folder, _, files in os.walk(public) for name in files}
    assert ours | {"include/framecall/version.hpp"} <= installed
    assert version() in run(os.path.join(prefix, "bin", "framecall"), "--version")
    leaked = [name for name in installed if "gtest" in name or "/tests/" in name or name.endswith(".py")]
    assert not leaked
    for name in installed:
        if name.endswith((".cmake", ".pc", ".hpp")):
            with open(os.path.join(prefix, name)) as f:
                assert SOURCE not in f.read(), name
        coroutines = name.endswith(("async_client.hpp", "awaitable.hpp"))
        if name.endswith(".hpp") and "third_party" not in name and not coroutines:
            with open(os.path.join(prefix, name)) as f:
                assert not re.search("include [<\"](asio|spdlog|fmt|CLI)", f.read()), name


@pytest.mark.timeout(900)  # all of it is compiled, where ccache knows nothing
def test_wheel(tmp_path):
    """The source archive makes the wheel, and the wheel works with nothing else installed."""
    pytest.importorskip("scikit_build_core")
    pytest.importorskip("pybind11")
    # The same flags and compiler as the other builds: then ccache knows nearly every file.
    work = os.path.join(BUILD, os.pardir, "wheel_test")
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    make_sdist = "import sys; from scikit_build_core.build import build_sdist as b; print('\\n' + b(sys.argv[1]))"
    run("sh", "-c", 'cd "$1" && exec "$2" -c "$3" "$4"', "-", SOURCE, sys.executable, make_sdist, work)
    archive, = [name for name in os.listdir(work) if name.endswith(".tar.gz")]
    assert archive == "framecall-%s.tar.gz" % version()
    run("tar", "-xzf", os.path.join(work, archive), "-C", work)
    run(sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", work,
        "--config-settings=cmake.define.FRAMECALL_WERROR=ON", os.path.join(work, archive[:-len(".tar.gz")]),
        CXX=compiler(), timeout=800)
    wheel, = [os.path.join(work, name) for name in os.listdir(work) if name.endswith(".whl")]
    assert os.path.getsize(wheel) < 3 << 20

    venv = str(tmp_path / "venv")
    run(sys.executable, "-m", "venv", venv)
    python = os.path.join(venv, "bin", "python")
    run(python, "-m", "pip", "install", "--no-index", wheel)
    names = run(python, "-c", "import importlib.metadata as m; print(*m.files('framecall'), sep='\\n')").split()
    assert "framecall/py.typed" in names and "framecall/_core.pyi" in names
    assert [name for name in names if re.fullmatch(r"framecall/_core\..*\.so", name)]
    assert not [name for name in names if name.endswith((".hpp", ".a", ".cpp", ".cmake"))]
    show = "import framecall, importlib.metadata as m; print(framecall.__version__, m.version('framecall'))"
    assert run(python, "-c", show).split() == [version(), version()]
    program = os.path.join(venv, "bin", "framecall")
    assert version() in run(program, "--version")
    needed = run("ldd", program)
    assert "libfmt" not in needed and "libspdlog" not in needed
