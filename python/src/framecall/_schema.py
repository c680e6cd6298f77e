"""From a function's signature to what a server checks and tells about it (OpenRPC)."""

from __future__ import annotations

import collections.abc
import inspect
import json
import sys
import types
import typing
from typing import Any, Callable, Literal, NamedTuple, Union, get_args, get_origin

_NULL, _BOOL, _INT, _FLOAT, _STR, _LIST, _DICT = (1 << i for i in range(7))
_ANY = (1 << 7) - 1
_UNIONS = (Union, getattr(types, "UnionType", Union))

Check = Callable[[Any], bool]


class _Kind(NamedTuple):
    """What a parameter takes."""

    kinds: int
    """Of JSON values: the bits above."""
    check: Check | None
    """Of what the kind alone does not tell."""
    expected: str
    """In words."""
    schema: dict[str, Any]
    """JSON Schema."""


_SIMPLE: dict[Any, _Kind] = {
    Any: _Kind(_ANY, None, "anything", {}),
    None: _Kind(_NULL, None, "null", {"type": "null"}),
    type(None): _Kind(_NULL, None, "null", {"type": "null"}),
    bool: _Kind(_BOOL, None, "true or false", {"type": "boolean"}),
    int: _Kind(_INT, None, "an integer", {"type": "integer"}),
    float: _Kind(_INT | _FLOAT, None, "a number", {"type": "number"}),
    str: _Kind(_STR, None, "a string", {"type": "string"}),
    list: _Kind(_LIST, None, "an array", {"type": "array"}),
    dict: _Kind(_DICT, None, "an object", {"type": "object"}),
}
_LISTS = (list, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
_DICTS = (dict, collections.abc.Mapping)


def _kind_of(value: Any) -> int:
    if value is None:
        return _NULL
    for kind, bit in ((bool, _BOOL), (int, _INT), (float, _FLOAT), (str, _STR), (list, _LIST), (dict, _DICT)):
        if isinstance(value, kind):
            return bit
    return 0


def _fits(kind: _Kind) -> Check:
    check = kind.check
    if check is None:
        return lambda value: bool(_kind_of(value) & kind.kinds)
    return lambda value: bool(_kind_of(value) & kind.kinds) and check(value)


def _describe(annotation: Any) -> _Kind:
    """Annotations that JSON has no word for are taken as anything: the function itself has to look."""
    if annotation in _LISTS:
        return _SIMPLE[list]
    if annotation in _DICTS:
        return _SIMPLE[dict]
    try:
        if annotation in _SIMPLE:
            return _SIMPLE[annotation]
    except TypeError:  # not hashable
        return _SIMPLE[Any]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is typing.Annotated:
        return _describe(arguments[0])
    if origin in _UNIONS:
        return _union([_describe(one) for one in arguments])
    if origin is Literal:
        values = [one for one in arguments if one is None or isinstance(one, (bool, int, str))]
        words = " or ".join(map(json.dumps, values))
        kinds = 0
        for one in values:
            kinds |= _kind_of(one)
        return _Kind(kinds, lambda value: any(value == one for one in values), words, {"enum": values})
    if origin in _LISTS and len(arguments) == 1:
        item = _describe(arguments[0])
        fits = _fits(item)
        return _Kind(
            _LIST,
            None if item.schema == {} else lambda value: all(map(fits, value)),
            f"an array of {item.expected}",
            {"type": "array", "items": item.schema},
        )
    if origin in _DICTS and len(arguments) == 2:
        item = _describe(arguments[1])
        fits = _fits(item)
        return _Kind(
            _DICT,
            None if item.schema == {} else lambda value: all(map(fits, value.values())),
            f"an object of {item.expected}",
            {"type": "object", "additionalProperties": item.schema},
        )
    return _SIMPLE[Any]


def _union(several: list[_Kind]) -> _Kind:
    kinds = 0
    for one in several:
        kinds |= one.kinds
    if any(one.schema == {} for one in several):
        return _SIMPLE[Any]
    fits = [_fits(one) for one in several]
    check = (lambda value: any(fit(value) for fit in fits)) if any(one.check for one in several) else None
    expected = " or ".join(one.expected for one in several)
    return _Kind(kinds, check, expected, {"anyOf": [one.schema for one in several]})


def _annotations(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except Exception:  # names that are not there at run time: nothing is checked then
        return {}


def _body(annotation: Any) -> str:
    """What a parameter called `body` gets: view, bytes, array, arrays."""
    if annotation is bytes:
        return "bytes"
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return "view"
    if annotation is numpy.ndarray or get_origin(annotation) is numpy.ndarray:
        return "array"
    if get_origin(annotation) is dict:
        return "arrays"
    return "view"


def describe(function: Callable[..., Any]) -> dict[str, Any]:
    """The parameters of a function, and what it returns, as the compiled server takes them."""
    annotations = _annotations(function)
    parameters: list[dict[str, Any]] = []
    body = "none"
    any_parameters = False
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            any_parameters = True
            continue
        if name == "body":
            body = _body(annotations.get(name))
            continue
        kind = _describe(annotations.get(name, Any))
        parameters.append(
            {
                "name": sys.intern(name),
                "required": parameter.default is parameter.empty,
                "by_name": parameter.kind == parameter.KEYWORD_ONLY,
                "kinds": kind.kinds,
                "check": kind.check,
                "expected": kind.expected,
                "schema": json.dumps(kind.schema),
            }
        )
    positional_only = any(one.kind == one.POSITIONAL_ONLY for one in inspect.signature(function).parameters.values())
    if body != "none" and (any_parameters or positional_only):
        raise TypeError("a function with a parameter `body` gets all of them by name: no *args, **kwargs and no /")
    result = annotations.get("return", Any)
    if get_origin(result) in (collections.abc.Iterator, collections.abc.Generator, collections.abc.AsyncIterator):
        result = get_args(result)[0] if get_args(result) else Any
    summary = (inspect.getdoc(function) or "").strip().partition("\n")[0]
    return {
        "parameters": parameters,
        "any_parameters": any_parameters,
        "body": body,
        "summary": summary,
        "result_schema": json.dumps(_describe(result).schema),
    }
