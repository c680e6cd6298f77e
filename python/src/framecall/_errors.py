"""The exceptions, told apart by what the caller can do next.

the network failed          OSError and its kin: ConnectionRefusedError, TimeoutError; UnavailableError
the peer broke the format   ProtocolError
the call failed over there  RemoteError; subclasses for the codes that Python has a name for
misuse by the caller        TypeError, ValueError
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own constant would cost the import of typing, longer than all of framecall
if TYPE_CHECKING:
    from typing import Any


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
    """The server answered with an error; the connection goes on. A handler that raises one answers with it.

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
        super().__init__(message)
        self.code = code
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


class MethodNotFoundError(RemoteError, LookupError):
    """-32601: the server has no such method."""

    __module__ = "framecall"


class NotFoundError(RemoteError, FileNotFoundError):
    """-32045 NOT_FOUND: no such file, or whatever was asked for."""

    __module__ = "framecall"


class AlreadyExistsError(RemoteError, FileExistsError):
    """-32046 ALREADY_EXISTS."""

    __module__ = "framecall"


class PermissionDeniedError(RemoteError, PermissionError):
    """-32047 PERMISSION_DENIED, and -32056 UNAUTHENTICATED."""

    __module__ = "framecall"


class DeadlineExceededError(RemoteError, TimeoutError):
    """-32044 DEADLINE_EXCEEDED: the server saw the timeout pass first."""

    __module__ = "framecall"


class CancelledError(RemoteError):
    """-32041 CANCELLED: the call was given up."""

    __module__ = "framecall"


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


def find_unserialisable(value: Any, path: str) -> str | None:
    """Where in `value` the first thing without a JSON text is, and what it is; None if there is none."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return None
    if isinstance(value, dict):
        for key, item in value.items():
            if not (key is None or isinstance(key, (str, bool, int, float))):
                return f"{path}: the key {key!r:.60} is {type(key).__name__}, not str"
            found = find_unserialisable(item, f"{path}[{key!r}]")
            if found:
                return found
        return None
    if isinstance(value, (list, tuple)):
        return next(filter(None, (find_unserialisable(item, f"{path}[{i}]") for i, item in enumerate(value))), None)
    return f"{path}: {type(value).__name__} has no JSON"


def name_path(value: Any, path: str, error: TypeError) -> TypeError:
    """`error`, raised for something in `value`, with the place where it is."""
    return TypeError(find_unserialisable(value, path) or str(error))
