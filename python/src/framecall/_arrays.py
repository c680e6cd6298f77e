"""NumPy arrays in bodies. The header holds NumPy's own words for dtype and shape. Nothing is pickled.

One array is `dtype` and `shape`; several are `tensors`, `{name: {"dtype", "shape", "data_offsets": [begin, end]}}` with
the keys of safetensors. NumPy is imported when a body asks for it, never before.

A layout comes from a peer. Every size in it is checked against the bytes that arrived before NumPy sees it, and every
array that is handed out covers exactly those bytes.
"""

from __future__ import annotations

import json
import re
import reprlib
import sys

from framecall._errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ALIGNMENT = 64  # of each of several arrays, counted from the start of the body
_MAX_DIMENSIONS = 64  # of NumPy 2; NumPy 1 has 32
_MAX_EMPTY = (
    1 << 24
)  # bytes that the other dimensions of an empty array may stand for: its sums are as large as they are

# One type, with a size and a unit of time at most. What else numpy.dtype() reads is several types in one, and fractions of
# units: "M8[Y/0]" divides by zero and ends the process.
_DTYPE = re.compile(r"[<>=|]?[A-Za-z?]{1,12}[0-9]{0,10}(\[([1-9][0-9]{0,8})?[A-Za-zμ]{1,2}\])?")
_KINDS = {"b": 1, "i": 8, "u": 8, "f": 8, "c": 16, "m": 8, "M": 8, "S": 1 << 31, "U": 1 << 31, "V": 1 << 31}
"""What may be sent: NumPy's letter and the most bytes of one. Long doubles have bytes that belong to no number, and that
nobody writes."""


def describe(body: Any) -> tuple[Any, str] | None:
    """What to send for an array, or a dict of arrays: a contiguous buffer, and the JSON text that tells how to read it.

    None for everything else. Arrays that are not C-contiguous are copied. TypeError for dtypes other than plain numbers,
    strings and times.
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
    if not _is_plain(array.dtype):
        raise TypeError(
            f"an array of dtype {array.dtype} cannot be sent: it has to be of plain numbers, strings or times"
        )
    return {"dtype": array.dtype.str, "shape": list(array.shape)}


def _bytes_of(numpy: Any, array: Any) -> Any:
    contiguous = numpy.ascontiguousarray(array)
    return contiguous.reshape(-1).view(numpy.uint8) if contiguous.nbytes else b""


def _is_plain(dtype: Any) -> bool:
    if dtype.hasobject or dtype.names is not None or dtype.subdtype is not None:
        return False
    return bool(0 < dtype.itemsize <= _KINDS.get(dtype.kind, 0))


def value(body: memoryview, layout: dict[str, Any]) -> Any:
    """The array or arrays that `layout` describes; `body` itself where NumPy is not installed."""
    try:
        return arrays(body, layout) if "tensors" in layout else array(body, layout)
    except ImportError:
        return body


def array(body: memoryview, layout: dict[str, Any]) -> Any:
    """The array that a body is. Shares its memory."""
    import numpy

    if "dtype" not in layout and "shape" not in layout:
        return _view(numpy, body, "|u1", [body.nbytes])
    return _view(numpy, body, layout.get("dtype"), layout.get("shape"))


def arrays(body: memoryview, layout: dict[str, Any]) -> dict[str, Any]:
    """The arrays that a body has, by name. Share its memory; no byte belongs to two of them."""
    import numpy

    tensors = layout.get("tensors")
    if not isinstance(tensors, dict):
        raise _lie(f"tensors: expected an object, not {_shown(tensors)}")
    ranges = {name: _range(name, one, body.nbytes) for name, one in tensors.items()}
    end = 0
    for name, (begin, one_end) in sorted(ranges.items(), key=lambda item: item[1]):
        if begin < end and begin < one_end:
            raise _lie(f"tensors: data_offsets of {_shown(name)} begin inside those of another array")
        end = max(end, one_end)
    return {
        name: _view(numpy, body[begin:end], tensors[name].get("dtype"), tensors[name].get("shape"))
        for name, (begin, end) in ranges.items()
    }


def _range(name: str, tensor: Any, most: int) -> tuple[int, int]:
    offsets: Any = tensor.get("data_offsets") if isinstance(tensor, dict) else None
    if not _is_sizes(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1] <= most:
        raise _lie(f"tensors: data_offsets of {_shown(name)}, of a body of {most} bytes: {_shown(offsets)}")
    return offsets[0], offsets[1]


def _view(numpy: Any, body: memoryview, dtype: Any, shape: Any) -> Any:
    kind = _dtype(numpy, dtype)
    if not _is_sizes(shape):
        raise _lie(f"shape: expected a list of at most {_MAX_DIMENSIONS} sizes, not {_shown(shape)}")
    if not _fits(shape, kind.itemsize, body.nbytes):
        raise _lie(f"dtype {dtype!r} and shape {_shown(shape)} do not fit a body of {body.nbytes} bytes")
    try:
        made = numpy.frombuffer(body, kind).reshape(shape) if body.nbytes else numpy.zeros(shape, kind)
    except ValueError as error:  # more dimensions than NumPy has
        raise _lie(f"shape {_shown(shape)}: {error}") from error
    if made.nbytes != body.nbytes:
        raise _lie(f"dtype {dtype!r} and shape {_shown(shape)} make {made.nbytes} bytes of {body.nbytes}")
    return made


def _dtype(numpy: Any, name: Any) -> Any:
    if not isinstance(name, str) or len(name) > 40:
        raise _lie(f"dtype: expected a string, not {_shown(name)}")
    if _DTYPE.fullmatch(name) is None:
        raise _lie(f"dtype: {name!r} is not one of plain numbers, strings or times")
    try:
        kind = numpy.dtype(name)
    except Exception as error:  # also a DeprecationWarning, where warnings are errors
        raise _lie(f"dtype: NumPy has none called {name!r}") from error
    if not _is_plain(kind):
        raise _lie(f"dtype: {name!r} is not one of plain numbers, strings or times")
    return kind


def _fits(shape: list[int], itemsize: int, size: int) -> bool:
    """Whether they need exactly `size` bytes. Stops multiplying above it: a long shape has a product of a million digits."""
    most = size or _MAX_EMPTY
    product = itemsize
    for one in shape:
        product *= one or 1
        if product > most:
            return False
    return (0 if 0 in shape else product) == size


def _is_sizes(value: Any) -> bool:
    if not isinstance(value, list) or len(value) > _MAX_DIMENSIONS:
        return False
    return all(type(size) is int and size >= 0 for size in value)


def _shown(value: Any) -> str:
    return f"{reprlib.repr(value):.60}"


def _lie(message: str) -> ProtocolError:
    return ProtocolError(message, -32600, 0)
