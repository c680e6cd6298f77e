"""The exceptions, told apart by what the caller can do next."""

from __future__ import annotations


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
    """-32700: not JSON. -32600: not a header. -32055: closed inside a message."""
    offset: int
    """Bytes from the start of what was read (of the stream for a Decoder) to the fault."""

    def __init__(self, message: str, code: int, offset: int) -> None:
        super().__init__(message, code, offset)  # all of them, so that copies and pickles are whole
        self.code = code
        self.offset = offset

    def __str__(self) -> str:
        return str(self.args[0])
