"""Files and remote calls over a plain wire: a 4-byte little-endian length, a JSON header, a raw body.

>>> decoder = framecall.Decoder()
>>> decoder.feed(framecall.encode_frame({"method": "upper", "id": 7, "body_size": 5}, b"hello"))
>>> decoder.next_event()
HeaderReceived(header={'method': 'upper', 'id': 7, 'body_size': 5}, body_size=5)
>>> decoder.next_event()
BodyReceived(data=b'hello')
>>> decoder.next_event()
EndOfMessage()
>>> decoder.next_event()
NEED_DATA
"""

from framecall._client import Client
from framecall._core import (
    MAX_DEPTH,
    BodyReceived,
    ConnectionClosed,
    Decoder,
    EndOfMessage,
    FileInfo,
    HeaderReceived,
    Part,
    Pipeline,
    RawClient,
    Reply,
    Request,
    Stream,
    UdpClient,
    decode_header,
    encode_frame,
    encode_header,
)
from framecall._errors import (
    AlreadyExistsError,
    CancelledError,
    DeadlineExceededError,
    Error,
    MethodNotFoundError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    RemoteError,
    UnavailableError,
)
from framecall._response import Response
from framecall._sentinel import NEED_DATA
from framecall._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from framecall import aio
    from framecall._server import Server

__all__ = [
    "MAX_DEPTH",
    "NEED_DATA",
    "AlreadyExistsError",
    "BodyReceived",
    "CancelledError",
    "Client",
    "ConnectionClosed",
    "DeadlineExceededError",
    "Decoder",
    "EndOfMessage",
    "Error",
    "FileInfo",
    "HeaderReceived",
    "MethodNotFoundError",
    "NotFoundError",
    "Part",
    "PermissionDeniedError",
    "Pipeline",
    "ProtocolError",
    "RawClient",
    "RemoteError",
    "Reply",
    "Request",
    "Response",
    "Server",
    "Stream",
    "UdpClient",
    "UnavailableError",
    "__version__",
    "aio",
    "decode_header",
    "encode_frame",
    "encode_header",
]


def __getattr__(name: str) -> object:
    """Server and aio need asyncio and more, which takes longer to import than all of the rest: when they are asked for."""
    import importlib

    if name == "Server":
        return importlib.import_module("framecall._server").Server
    if name == "aio":
        return importlib.import_module("framecall.aio")
    raise AttributeError(f"module 'framecall' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
