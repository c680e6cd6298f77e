"""The exceptions, told apart by what the caller can do next.

the network failed          OSError and its kin: ConnectionRefusedError, TimeoutError; UnavailableError
the peer broke the format   ProtocolError
the call failed over there  RemoteError; subclasses for the codes that Python has a name for
misuse by the caller        TypeError, ValueError
"""

from __future__ import annotations

import operator
import sys

TYPE_CHECKING = False  # typing's own constant would cost the import of typing, longer than all of framecall
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any


_MAX_DEPTH = 1000  # as MAX_DEPTH; the compiled part needs this module first
_END = object()


class Error(Exception):
    """What framecall itself raises about the other side. Misuse by the caller is ValueError or TypeError instead."""

    __module__ = "framecall"


class ProtocolError(Error, ValueError):
    """The peer broke the format. The connection is of no use any more: report it.

    >>> try:
    ...     framecall.decode_header(b"[1]")
    ... except framecall.ProtocolError as error:
    ...     print(error.code, error.offset, error)
    -32600 0 the header is JSON but not an object
    """

    __module__ = "framecall"

    code: int
    """-32700: not JSON. -32600: not a header. -32055: closed inside a message, or a damaged body."""
    offset: int
    """Bytes from the start of what was read (of the stream for a Decoder) to the fault."""

    def __init__(self, message: str, code: int, offset: int) -> None:
        super().__init__(message, code, offset)  # all of them, so that copies and pickles are whole
        self.code = code
        self.offset = offset

    def __str__(self) -> str:
        return str(self.args[0])


class UnavailableError(Error, ConnectionError):
    """The connection broke, or its server refused further calls, with a call under way: whether it was carried out is not
    known. Has an `errno`."""

    __module__ = "framecall"

    def __str__(self) -> str:
        return str(self.args[1]) if len(self.args) > 1 else super().__str__()


class RemoteError(Error):
    """The server answered with an error; the connection can be used further. A handler that raises one answers with it.

    `code` is an integer of 64 bits: TypeError or ValueError for anything else.

    >>> error = framecall.RemoteError(-32045, "no such user", {"status": "NOT_FOUND"})
    >>> error.code, error.message, error.data
    (-32045, 'no such user', {'status': 'NOT_FOUND'})
    """

    __module__ = "framecall"

    code: int
    """Of JSON-RPC (-32601: no such method), of a status (PROTOCOL.md, section 4), or the application's own."""
    message: str
    """For people."""
    data: Any
    """What the server added: None, or what json.loads makes of it; usually a dict."""

    def __init__(self, code: int, message: str = "", data: Any = None) -> None:
        if isinstance(code, str):
            raise TypeError(f"RemoteError(code, message, data): the code comes first, as an integer, not {code!r:.60}")
        super().__init__(message)
        self.code = operator.index(code)
        if not -(2**63) <= self.code < 2**63:
            raise ValueError(f"code: an integer of 64 bits, not {self.code:#x}")
        self.message = message
        self.data = data

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.code, self.message, self.data)

    def __str__(self) -> str:
        return f"{self.message} ({self.code})" if self.message else f"error {self.code}"

    @property
    def type(self) -> str | None:
        """The name of the exception that the handler raised, if the server says it."""
        name = self.data.get("type") if isinstance(self.data, dict) else None
        return name if isinstance(name, str) else None

    @property
    def status(self) -> str | None:
        """The name of the code, "NOT_FOUND", if the server says it."""
        name = self.data.get("status") if isinstance(self.data, dict) else None
        return name if isinstance(name, str) else None


class _StatusError(RemoteError):
    """A RemoteError whose class has a code. A handler may leave it out: `raise framecall.NotFoundError("no such user")`."""

    _own_code: int

    def __init__(self, code: int | str | None = None, message: str = "", data: Any = None) -> None:
        if isinstance(code, str):
            if message:
                raise TypeError(f"{type(self).__name__}: either (message, data=...) or (code, message, data)")
            super().__init__(self._own_code, code, data)
        else:
            super().__init__(self._own_code if code is None else code, message, data)


class MethodNotFoundError(_StatusError, LookupError):
    """-32601: the server has no such method."""

    __module__ = "framecall"
    _own_code = -32601


class NotFoundError(_StatusError, FileNotFoundError):
    """-32045 NOT_FOUND: no such file, or whatever was asked for.

    >>> error = framecall.NotFoundError("no such user")
    >>> error.code, error.message
    (-32045, 'no such user')
    """

    __module__ = "framecall"
    _own_code = -32045


class AlreadyExistsError(_StatusError, FileExistsError):
    """-32046 ALREADY_EXISTS."""

    __module__ = "framecall"
    _own_code = -32046


class PermissionDeniedError(_StatusError, PermissionError):
    """-32047 PERMISSION_DENIED, and -32056 UNAUTHENTICATED."""

    __module__ = "framecall"
    _own_code = -32047


class DeadlineExceededError(_StatusError, TimeoutError):
    """-32044 DEADLINE_EXCEEDED: the server saw the timeout pass first."""

    __module__ = "framecall"
    _own_code = -32044


class CancelledError(_StatusError):
    """-32041 CANCELLED: the call was cancelled."""

    __module__ = "framecall"
    _own_code = -32041


_BY_CODE: dict[int, type[RemoteError]] = {
    -32601: MethodNotFoundError,
    -32041: CancelledError,
    -32044: DeadlineExceededError,
    -32045: NotFoundError,
    -32046: AlreadyExistsError,
    -32047: PermissionDeniedError,
    -32056: PermissionDeniedError,
}


def remote_error(code: int, message: str, data: Any) -> RemoteError:
    """The exception for an error reply."""
    return _BY_CODE.get(code, RemoteError)(code, message, data)


def unsendable(error: RemoteError) -> str | None:
    """Why `error`, whose attributes may be anything, cannot be an error reply; None if it can."""
    code = getattr(error, "code", None)
    if not isinstance(code, int) or not -(2**63) <= code < 2**63:
        return f"code: an integer of 64 bits, not {code!r:.60}"
    return find_unserialisable(getattr(error, "data", None), "data")


def find_unserialisable(value: Any, path: str) -> str | None:
    """Where in `value` the first thing without a JSON text is, and what it is; None if there is none."""
    levels: list[Iterator[tuple[str, Any]]] = [
        iter([(path, value)])
    ]  # what is left of each: a value may be nested deeper than Python's calls may
    while levels:
        path, one = next(levels[-1], ("", _END))
        if one is _END:
            levels.pop()
        elif isinstance(one, dict):
            for key in one:
                if not (key is None or isinstance(key, (str, bool, int, float))):
                    return f"{path}: the key {key!r:.60} is {type(key).__name__}, not str"
            levels.append(_named(path, one.items()))
        elif isinstance(one, (list, tuple)):
            levels.append(_named(path, enumerate(one)))
        elif not (one is None or isinstance(one, (str, bool, int, float)) or _is_number(one)):
            return f"{path}: {type(one).__name__} has no JSON"
        if len(levels) > _MAX_DEPTH:
            return "nested deeper than 1000 levels, or circular"
    return None


def _named(path: str, items: Iterable[tuple[Any, Any]]) -> Iterator[tuple[str, Any]]:
    return ((f"{path}[{key!r}]", item) for key, item in items)


def _is_number(value: Any) -> bool:
    """One of NumPy's that is sent as a number."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.generic) and isinstance(value.item(), (bool, int, float))


def name_path(value: Any, path: str, error: TypeError) -> TypeError:
    """`error`, raised for something in `value`, with the place where it is."""
    return TypeError(find_unserialisable(value, path) or str(error))
