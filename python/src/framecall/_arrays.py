"""NumPy arrays in bodies: how they lie is said in the header, in NumPy's own words for dtype and shape. Never pickled.

One array is `dtype` and `shape`; several are `tensors`, `{name: {"dtype", "shape", "data_offsets": [begin, end]}}` with
the keys of safetensors. NumPy is imported when a body asks for it, never before.
"""

from __future__ import annotations

import json
import math
import sys

from framecall._errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ALIGNMENT = 64  # of each of several arrays, counted from the start of the body


def describe(body: Any) -> tuple[Any, str] | None:
    """What to send for an array, or a dict of arrays: a contiguous buffer, and the JSON text that tells how to read it.

    None for everything else. Arrays that are not C-contiguous are copied. TypeError for dtypes that are no plain
    numbers, strings or times.
    """
    numpy = sys.modules.get("numpy")  # who has an array has imported it
    if numpy is None:
        return None
    if isinstance(body, (numpy.ndarray, numpy.generic)):
        array = numpy.asarray(body)
        layout = json.dumps(_layout(array))
        return _bytes_of(numpy, array), layout
    if isinstance(body, dict) and body:
        return _join(numpy, body)
    return None


def _join(numpy: Any, arrays: dict[str, Any]) -> tuple[Any, str]:
    tensors: dict[str, Any] = {}
    end = 0
    for name, array in arrays.items():
        if not isinstance(name, str) or not isinstance(array, (numpy.ndarray, numpy.generic)):
            raise TypeError(f"a body that is a dict must be one of arrays by name: {name!r} is {type(array).__name__}")
        array = numpy.asarray(array)
        begin = -(-end // _ALIGNMENT) * _ALIGNMENT
        end = begin + array.nbytes
        tensors[name] = {**_layout(array), "data_offsets": [begin, end]}
    joined = numpy.zeros(end, numpy.uint8)
    for name, array in arrays.items():
        begin, end = tensors[name]["data_offsets"]
        if end > begin:
            joined[begin:end] = _bytes_of(numpy, numpy.asarray(array))
    return joined, json.dumps({"tensors": tensors})


def _layout(array: Any) -> dict[str, Any]:
    if array.dtype.hasobject or array.dtype.names is not None or array.dtype.subdtype is not None:
        raise TypeError(
            f"an array of dtype {array.dtype} cannot be sent: it has to be of plain numbers, strings or times"
        )
    return {"dtype": array.dtype.str, "shape": list(array.shape)}


def _bytes_of(numpy: Any, array: Any) -> Any:
    contiguous = numpy.ascontiguousarray(array)
    return contiguous.reshape(-1).view(numpy.uint8) if contiguous.nbytes else b""


def value(body: memoryview, layout: dict[str, Any]) -> Any:
    """The array or arrays that `layout` speaks of; `body` itself where NumPy is not installed."""
    try:
        return arrays(body, layout) if "tensors" in layout else array(body, layout)
    except ImportError:
        return body


def array(body: memoryview, layout: dict[str, Any]) -> Any:
    """The array that a body is. Shares its memory."""
    import numpy

    if "dtype" not in layout and "shape" not in layout:
        return numpy.frombuffer(body, numpy.uint8) if body.nbytes else numpy.empty(0, numpy.uint8)
    return _view(numpy, body, layout.get("dtype"), layout.get("shape"))


def arrays(body: memoryview, layout: dict[str, Any]) -> dict[str, Any]:
    """The arrays that a body has, by name. Share its memory."""
    import numpy

    tensors = layout.get("tensors")
    if not isinstance(tensors, dict):
        raise _lie(f"tensors: expected an object, not {tensors!r:.60}")
    found: dict[str, Any] = {}
    for name, one in tensors.items():
        offsets: Any = one.get("data_offsets") if isinstance(one, dict) else None
        if not _is_sizes(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1] <= body.nbytes:
            raise _lie(f"tensors: data_offsets of {name!r:.60}, of a body of {body.nbytes} bytes: {offsets!r:.60}")
        found[name] = _view(numpy, body[offsets[0] : offsets[1]], one.get("dtype"), one.get("shape"))
    return found


def _view(numpy: Any, body: memoryview, dtype: Any, shape: Any) -> Any:
    if not isinstance(dtype, str) or len(dtype) > 40:
        raise _lie(f"dtype: expected a string, not {dtype!r:.60}")
    if not _is_sizes(shape):
        raise _lie(f"shape: expected a list of sizes, not {shape!r:.60}")
    try:
        kind = numpy.dtype(dtype)
    except (TypeError, ValueError, SyntaxError) as error:
        raise _lie(f"dtype: NumPy has none called {dtype!r}") from error
    if kind.hasobject or kind.names is not None or kind.subdtype is not None:
        raise _lie(f"dtype: {dtype!r} is not one of plain numbers, strings or times")
    size = math.prod(shape) * kind.itemsize
    if size != body.nbytes:
        raise _lie(f"dtype {dtype!r} and shape {shape!r:.60} need {size} bytes, the body has {body.nbytes}")
    try:
        if size == 0:
            return numpy.empty(shape, kind)
        return numpy.frombuffer(body, kind).reshape(shape)
    except ValueError as error:  # more dimensions than NumPy has
        raise _lie(f"shape {shape!r:.60}: {error}") from error


def _is_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(size) is int and size >= 0 for size in value)


def _lie(message: str) -> ProtocolError:
    return ProtocolError(message, -32600, 0)
