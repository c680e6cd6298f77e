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

from framecall._core import (
    MAX_DEPTH,
    BodyReceived,
    ConnectionClosed,
    Decoder,
    EndOfMessage,
    HeaderReceived,
    RawClient,
    UdpClient,
    decode_header,
    encode_frame,
    encode_header,
)
from framecall._errors import Error, ProtocolError
from framecall._sentinel import NEED_DATA
from framecall._server import Server
from framecall._version import __version__

__all__ = [
    "MAX_DEPTH",
    "NEED_DATA",
    "BodyReceived",
    "ConnectionClosed",
    "Decoder",
    "EndOfMessage",
    "Error",
    "HeaderReceived",
    "ProtocolError",
    "RawClient",
    "Server",
    "UdpClient",
    "__version__",
    "decode_header",
    "encode_frame",
    "encode_header",
]
