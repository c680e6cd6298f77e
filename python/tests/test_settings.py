"""The settings table of the server, and what is made from it: keywords, the reference page, the help."""

import importlib.util
import inspect
import json
import math
import pathlib
import typing

import framecall
import pytest
from framecall import _core, _server

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
TABLE = {row["name"]: row for row in json.loads(_core.settings_json())}
IN_PYTHON = {name: row for name, row in TABLE.items() if row["python"]}


def parameters():
    signature = inspect.signature(framecall.Server)
    return {name: one for name, one in signature.parameters.items() if name not in _server._NOT_SETTINGS}


def make_settings():
    spec = importlib.util.spec_from_file_location("make_settings", SOURCE / "docs" / "make_settings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_keywords_are_those_of_the_table():
    assert list(parameters()) == list(IN_PYTHON)
    for name, one in parameters().items():
        assert one.kind is inspect.Parameter.KEYWORD_ONLY
        default = list(one.default) if isinstance(one.default, tuple) else one.default
        assert default == IN_PYTHON[name]["python_default"], name


@pytest.mark.parametrize("name", [name for name, row in IN_PYTHON.items() if row["least"] is not None])
def test_a_keyword_has_the_unit_and_the_type_of_its_row(name):
    row, annotation = IN_PYTHON[name], str(parameters()[name].annotation)
    assert annotation.partition(" | ")[0] == ("float" if row["type"] == "seconds" else "int")
    assert annotation.endswith(" | None") == (row["python_default"] is None)
    if row["python_default"] is not None and row["type"] == "seconds":
        assert isinstance(parameters()[name].default, float)


def test_choices_are_those_of_the_table():
    for name, choices in (
        ("protocols", _server._Protocol),
        ("access", _server._Access),
        ("durability", _server._Durability),
    ):
        assert list(typing.get_args(choices)) == TABLE[name]["choices"]


@pytest.mark.parametrize("name", [name for name, row in IN_PYTHON.items() if row["least"] is not None])
def test_a_number_out_of_range_is_refused_by_name(name):
    row = IN_PYTHON[name]
    above = (row["most"] + 1) if row["most"] is not None else 1 << 63
    with pytest.raises(ValueError, match=f"^{name}: expected .*, got {above}$"):
        framecall.Server("127.0.0.1:0", **{name: above})
    with pytest.raises(ValueError, match=f"^{name}: expected .*, got -1"):
        framecall.Server("127.0.0.1:0", **{name: -1})
    if row["least"] > 0:
        with pytest.raises(ValueError, match=f"^{name}: expected .*, got 0$"):
            framecall.Server("127.0.0.1:0", **{name: 0})
    with pytest.raises(TypeError):
        framecall.Server("127.0.0.1:0", **{name: "1"})


def test_a_duration_that_is_no_number_of_seconds():
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match=r"^idle_timeout: expected 0 \.\. 1000000000 seconds, got (nan|inf)$"):
            framecall.Server("127.0.0.1:0", idle_timeout=value)


def test_the_least_and_the_most_of_a_number_are_taken():
    """Also 0, where it means that there is no limit, or the default."""
    for name, row in IN_PYTHON.items():
        if row["least"] is not None and not name.endswith("threads"):
            for value in (row["least"], (1 << 63) - 1 if row["most"] is None else row["most"]):
                framecall.Server("127.0.0.1:0", **{name: value})
    framecall.Server("127.0.0.1:0", threads=0)


def test_none_is_the_default():
    framecall.Server("127.0.0.1:0", **dict.fromkeys(IN_PYTHON))


def test_a_word_that_is_not_allowed():
    with pytest.raises(ValueError, match=r'^durability: expected none, close, full, got "most"$'):
        framecall.Server("127.0.0.1:0", durability="most")
    with pytest.raises(ValueError, match=r'^access: expected read, write, no-replace, no-remove, got "delete"$'):
        framecall.Server("127.0.0.1:0", access=["read", "delete"])
    with pytest.raises(ValueError, match=r"^protocols: expected frames, echo, http, got none$"):
        framecall.Server("127.0.0.1:0", protocols=[])


def test_users_need_a_dialect_with_a_login(tmp_path):
    with pytest.raises(ValueError, match=r'^users: the dialect "default" has no login'):
        framecall.Server("127.0.0.1:0", users=tmp_path / "users")


def test_commands_of_a_file(tmp_path):
    (tmp_path / "commands").write_text('[motd]\ntext = "hello"\n')
    server = framecall.Server("127.0.0.1:0", dialect="lesson-command", commands=tmp_path / "commands")
    with server, framecall.RawClient(server.address, timeout=30) as client:
        client.send(b"motd\n")
        assert b"hello" in client.receive()


def test_a_keyword_that_does_not_exist():
    with pytest.raises(TypeError, match="max_bodi"):
        framecall.Server("127.0.0.1:0", max_bodi=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="there is no setting 'max_bodi'"):
        _core.Server({"max_bodi": 1}, [])
    with pytest.raises(TypeError, match="there is no setting 'tutorial'"):
        _core.Server({"tutorial": True}, [])


def test_the_page_and_the_keywords_are_up_to_date():
    made = make_settings()
    assert made.PAGE.read_text(encoding="utf-8") == made.page(), "run ./dev settings"
    assert made.SERVER.read_text(encoding="utf-8") == made.server(), "run ./dev settings"
