"""From a function's signature to what a server checks and tells about it (OpenRPC)."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import json
import sys
import types
import typing
from typing import Any, Callable, Literal, NamedTuple, Union, get_args, get_origin

from framecall import _arrays

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


def code_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that a callable runs: it has the annotations, and is a generator or a coroutine function or not."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or inspect.isclass(function):
        return function
    return type(function).__call__


def _annotations(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(code_of(function))
    except Exception:  # names that are not there at run time: nothing is checked then
        return {}


class _Body(NamedTuple):
    """What a parameter called `body` gets."""

    kind: str
    """"view", "bytes", or what `make` makes."""
    make: Callable[[memoryview, dict[str, Any]], Any] | None = None


def _expand(annotation: Any) -> Any:
    """What a `type` statement (PEP 695) stands for: NumPy 2.5 defines NDArray by one."""
    while True:
        origin = get_origin(annotation) or annotation
        if type(origin).__name__ != "TypeAliasType":
            return annotation
        annotation = origin.__value__ if origin is annotation else origin.__value__[get_args(annotation)]


def _body(annotation: Any) -> _Body:
    annotation = _expand(annotation)
    if annotation is bytes:
        return _Body("bytes")
    if get_origin(annotation) in _UNIONS:  # T | None: of the kind of T
        rest = [one for one in get_args(annotation) if one is not type(None)]
        return _body(rest[0]) if len(rest) == 1 else _Body("view")
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return _Body("view")
    if annotation is numpy.ndarray or get_origin(annotation) is numpy.ndarray:
        return _Body("made", _of_type(_arrays.array, _scalar(numpy, annotation)))
    if (get_origin(annotation) or annotation) in _DICTS:
        of_value = get_args(annotation)[1:]  # nothing of a bare dict
        return _Body("made", _of_type(_arrays.arrays, _scalar(numpy, of_value[0]) if of_value else None))
    return _Body("view")


def _scalar(numpy: Any, annotation: Any) -> Any:
    """numpy.float32 of NDArray[numpy.float32]; None: any."""
    of_array = get_args(_expand(annotation))
    of_dtype = get_args(of_array[1]) if len(of_array) == 2 else ()
    kind = of_dtype[0] if of_dtype else None
    return kind if isinstance(kind, type) and issubclass(kind, numpy.generic) else None


def _of_type(make: Callable[[memoryview, dict[str, Any]], Any], scalar: Any) -> Any:
    if scalar is None:
        return make

    def make_checked(body: memoryview, layout: dict[str, Any]) -> Any:
        made = make(body, layout)
        for array in made.values() if isinstance(made, dict) else [made]:
            if not issubclass(array.dtype.type, scalar):
                is_array = "dtype" in layout or "tensors" in layout
                got = f"one of {array.dtype}" if is_array else f"{body.nbytes} bytes without a dtype"
                raise ValueError(f"expected an array of {scalar.__name__}, got {got}")
        return made

    return make_checked


def describe(function: Callable[..., Any]) -> dict[str, Any]:
    """The parameters of a function, and what it returns, as the compiled server takes them."""
    annotations = _annotations(function)
    parameters: list[dict[str, Any]] = []
    body = _Body("none")
    body_optional = body_default = False
    any_parameters = False
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            any_parameters = True
            continue
        if name == "body":
            annotation = _expand(annotations.get(name))
            body = _body(annotation)
            body_optional = get_origin(annotation) in _UNIONS and type(None) in get_args(annotation)
            body_default = parameter.default is not parameter.empty
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
    if body.kind != "none" and (any_parameters or positional_only):
        raise TypeError("a function with a parameter `body` gets all of them by name: no *args, **kwargs and no /")
    result = annotations.get("return", Any)
    if get_origin(result) in (collections.abc.Iterator, collections.abc.Generator, collections.abc.AsyncIterator):
        result = get_args(result)[0] if get_args(result) else Any
    summary = (inspect.getdoc(code_of(function)) or "").strip().partition("\n")[0]
    return {
        "parameters": parameters,
        "any_parameters": any_parameters,
        "body": body.kind,
        "body_maker": body.make,
        "body_optional": body_optional,
        "body_default": body_default,
        "summary": summary,
        "result_schema": json.dumps(_describe(result).schema),
    }
