"""Decoder: the frames of vectors.json however they are cut, the rules of its buffer, and a real asyncio connection."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import pathlib
import pickle
import random
import socket
import struct
import sys
import threading
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, Callable

import framecall
import pytest
from framecall import (
    NEED_DATA,
    BodyReceived,
    ConnectionClosed,
    Decoder,
    EndOfMessage,
    HeaderReceived,
    ProtocolError,
    decode_header,
    encode_frame,
    encode_header,
)

VECTORS = json.loads((pathlib.Path(__file__).parents[2] / "interop_tests" / "vectors" / "vectors.json").read_text())
FRAME = encode_frame({"id": 1, "result": None, "body_size": 3}, b"abc")
EVENTS = [HeaderReceived({"id": 1, "result": None, "body_size": 3}, 3), BodyReceived(b"abc"), EndOfMessage()]


# ---- the vectors


def expand(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "".join(item if isinstance(item, str) else item[0] * item[1] for item in value)


def by_name(cases: list[Any]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=[case["name"] for case in cases])


def feed(decoder: Decoder, piece: bytes) -> None:
    decoder.feed(piece)


def read_into(decoder: Decoder, piece: bytes) -> None:
    at = 0
    while at < len(piece):
        view = decoder.get_buffer(-1)
        count = min(len(view), len(piece) - at)
        view[:count] = piece[at : at + count]
        decoder.buffer_updated(count)
        at += count


def take_events(decoder: Decoder, messages: list[list[Any]]) -> Any:
    """Adds what came to the messages, each [header, body, whole]; what the last event was, or the code of the error."""
    while True:
        left, offset = decoder.body_left, decoder.offset
        try:
            event = decoder.next_event()
        except ProtocolError as error:
            with pytest.raises(ProtocolError) as again:
                decoder.next_event()
            assert (str(again.value), again.value.args) == (str(error), error.args)
            return error.code
        if isinstance(event, HeaderReceived):
            messages.append([encode_header(event.header).decode(), b"", False])
            assert decoder.body_left == event.body_size
        elif isinstance(event, BodyReceived):
            assert event.data
            messages[-1][1] += event.data
            assert (decoder.body_left, decoder.offset) == (left - len(event.data), offset + len(event.data))
        elif isinstance(event, EndOfMessage):
            messages[-1][2] = True
            assert decoder.body_left == left == 0
        else:
            return event


def decode(
    pieces: Iterable[bytes], max_header: int, closes: bool, give: Callable[[Decoder, bytes], None], eager: bool
) -> Any:
    decoder = Decoder(max_header)
    messages: list[list[Any]] = []
    end = None
    for piece in pieces:
        give(decoder, piece)
        if eager:
            end = take_events(decoder, messages)
            if end is not NEED_DATA:
                return messages, end
    if closes:
        decoder.close()
    return messages, take_events(decoder, messages)


def cuts(data: bytes) -> Iterator[list[bytes]]:
    yield [data]
    if len(data) <= 300:
        for at in range(1, len(data)):
            yield [data[:at], data[at:]]
        yield [data[at : at + 1] for at in range(len(data))]
        return
    generator = random.Random(len(data))
    for _ in range(12):
        ends = sorted(generator.randrange(len(data)) for _ in range(generator.randrange(1, 6)))
        yield [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)])]
    for at in (1, 3, 4, 5, len(data) // 2, len(data) - 1):
        yield [data[:at], data[at:]]


@by_name(VECTORS["decode"])
def test_decode(case: Any) -> None:
    data = bytes.fromhex(expand(case["hex"]))
    messages = [[expand(m["header"]), bytes.fromhex(expand(m["body"])), True] for m in case["messages"]]
    if "partial" in case:
        messages.append([expand(case["partial"]["header"]), bytes.fromhex(expand(case["partial"]["body"])), False])
    end = case["end"]
    expected = {"closed": ConnectionClosed(), "need_data": NEED_DATA}[end] if isinstance(end, str) else end["error"]
    if expected == "truncated":
        expected = -32055
    closes = expected in (-32055, ConnectionClosed())
    for pieces in cuts(data):
        for give in (feed, read_into):
            for eager in (True, False):
                result, last = decode(pieces, case.get("max_header", 1 << 20), closes, give, eager)
                assert (result, last) == (messages, expected), [len(piece) for piece in pieces]


@by_name(VECTORS["encode"])
def test_encode(case: Any) -> None:
    text, body = expand(case["header_text"]), bytes.fromhex(expand(case["body"]))
    try:
        header = json.loads(text)
    except RecursionError:
        header = decode_header(text.encode())
    assert encode_frame(header, body).hex() == expand(case["hex"])


def test_there_are_vectors() -> None:
    assert len(VECTORS["decode"]) > 50
    assert len(VECTORS["encode"]) > 10


# ---- frames


def test_encode_frame() -> None:
    text = b'{"id": 1, "body_size": 7}'
    for body in (b"1234567", bytearray(b"1234567"), memoryview(b"x1234567")[1:]):
        assert encode_frame({"id": 1, "body_size": 7}, body) == struct.pack("<i", len(text)) + text + b"1234567"
    assert (
        encode_frame(header={"id": 1, "body_size": 7}, body=b"1234567")
        == struct.pack("<i", len(text)) + text + b"1234567"
    )
    assert encode_frame({}) == encode_frame({}, b"") == encode_frame({}, body=bytearray()) == b"\x02\0\0\0{}"
    assert encode_frame({"a": 1}, b"not announced") == b"\x08\0\0\0" + b'{"a": 1}not announced'


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: encode_frame(), TypeError),
        (lambda: encode_frame(body=b""), TypeError),
        (lambda: encode_frame({}, b"", b""), TypeError),
        (lambda: encode_frame({}, b"", body=b""), TypeError),
        (lambda: encode_frame({}, header={}), TypeError),
        (lambda: encode_frame({}, size=1), TypeError),
        (lambda: encode_frame([]), TypeError),
        (lambda: encode_frame({}, "text"), TypeError),
        (lambda: encode_frame({}, None), TypeError),
        (lambda: encode_frame({}, memoryview(b"abcd")[::2]), BufferError),
        (lambda: encode_frame({"a": "x" * (1 << 24)}), ValueError),
        (lambda: Decoder(1 << 24), ValueError),
        (lambda: Decoder(-1), ValueError),
        (lambda: Decoder(1 << 80), ValueError),
        (lambda: Decoder("1"), TypeError),
        (lambda: Decoder(1.5), TypeError),
        (lambda: Decoder(1, 2), TypeError),
        (lambda: Decoder(max_body=1), TypeError),
        (lambda: Decoder().feed("text"), TypeError),
        (lambda: Decoder().get_buffer("1"), TypeError),
        (lambda: Decoder().get_buffer(), TypeError),
        (lambda: Decoder().get_buffer(1 << 80), OverflowError),
        (lambda: Decoder().get_buffer((1 << 63) - 1), MemoryError),
        (lambda: Decoder().buffer_updated("1"), TypeError),
    ],
)
def test_misuse(call: Callable[[], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        call()


def test_the_largest_header_that_can_be_sent() -> None:
    header = {"a": "x" * ((1 << 24) - 1 - len('{"a": ""}'))}
    frame = encode_frame(header)
    assert frame[:4] == b"\xff\xff\xff\0"
    decoder = Decoder(max_header=(1 << 24) - 1)
    decoder.feed(frame)
    assert list(decoder) == [HeaderReceived(header, 0), EndOfMessage()]


# ---- events


def test_events_are_values() -> None:
    events = [HeaderReceived({"a": 1}, 5), BodyReceived(b"abc"), EndOfMessage(), ConnectionClosed()]
    again = [
        HeaderReceived(header={"a": 1}, body_size=5),
        BodyReceived(data=b"abc"),
        EndOfMessage(),
        ConnectionClosed(),
    ]
    others = [
        HeaderReceived({"a": 1}, 6),
        HeaderReceived({"a": 2}, 5),
        BodyReceived(b"abd"),
        NEED_DATA,
        None,
        (),
        (b"abc",),
    ]
    for i, event in enumerate(events):
        assert event == again[i]
        assert (event != again[i]) is False
        assert all(event != other for j, other in enumerate(again) if j != i)
        assert all(event != other for other in others)
        assert eval(repr(event), vars(framecall)) == event
        assert copy.deepcopy(event) == pickle.loads(pickle.dumps(event)) == event
        with pytest.raises(TypeError):
            hash(event)
        with pytest.raises(TypeError):
            event < again[i]  # type: ignore[operator]  # noqa: B015
        with pytest.raises(AttributeError):
            event.other = 1  # type: ignore[union-attr]
        with pytest.raises(TypeError):
            type("Derived", (type(event),), {})
        assert not hasattr(event, "__dict__")
        assert type(event).__module__ == "framecall"
    assert (events[0].header, events[0].body_size, events[1].data) == ({"a": 1}, 5, b"abc")
    with pytest.raises(AttributeError):
        events[0].header = {}
    assert HeaderReceived.__match_args__ == ("header", "body_size")
    assert BodyReceived.__match_args__ == ("data",)
    assert EndOfMessage.__match_args__ == ConnectionClosed.__match_args__ == ()


def test_texts_of_events() -> None:
    assert (
        repr(HeaderReceived({"a": 1}, 5))
        == str(HeaderReceived({"a": 1}, 5))
        == "HeaderReceived(header={'a': 1}, body_size=5)"
    )
    assert repr(BodyReceived(b"x" * 1000)) == f"BodyReceived(data=<1000 bytes: {b'x' * 60!r}...>)"
    assert repr(EndOfMessage()) == "EndOfMessage()"
    assert repr(NEED_DATA) == str(NEED_DATA) == "NEED_DATA"
    header: dict[str, Any] = {}
    header["self"] = HeaderReceived(header, 0)
    assert repr(header["self"]) == "HeaderReceived(header={'self': HeaderReceived(...)}, body_size=0)"
    assert pickle.loads(pickle.dumps(NEED_DATA)) is copy.copy(NEED_DATA) is NEED_DATA


@pytest.mark.parametrize("arguments", [(), (1, 2), ({}, "1"), ({}, 1, 2), ([], 1)])
def test_events_check_their_fields(arguments: Any) -> None:
    with pytest.raises(TypeError):
        HeaderReceived(*arguments)
    with pytest.raises(TypeError):
        BodyReceived(bytearray())  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        EndOfMessage(1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        ConnectionClosed(data=b"")  # type: ignore[call-arg]


def test_a_cycle_through_an_event_is_collected() -> None:
    class Witness:
        pass

    header: dict[str, Any] = {"witness": Witness()}
    header["self"] = HeaderReceived(header, 0)
    gone = weakref.ref(header["witness"])
    del header
    gc.collect()
    assert gone() is None


def test_protocol_errors_can_be_copied() -> None:
    error = ProtocolError("a text", -32700, 5)
    for copied in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(copied) is ProtocolError
        assert (str(copied), copied.code, copied.offset) == ("a text", -32700, 5)
    assert issubclass(ProtocolError, ValueError)
    assert issubclass(ProtocolError, framecall.Error)


# ---- the decoder


def test_iteration_ends_with_the_data() -> None:
    decoder = Decoder()
    assert iter(decoder) is decoder
    assert list(decoder) == []
    decoder.feed(FRAME + FRAME[:-1])
    assert list(decoder) == [*EVENTS, EVENTS[0], BodyReceived(b"ab")]
    assert (decoder.body_left, decoder.offset) == (1, 2 * len(FRAME) - 1)
    decoder.feed(b"c")
    decoder.close()
    assert list(decoder) == [BodyReceived(b"c"), EndOfMessage()]
    assert list(decoder) == []
    assert decoder.next_event() == decoder.next_event() == ConnectionClosed()


def test_errors_are_final() -> None:
    decoder = Decoder()
    decoder.feed(FRAME + b"\x01\0\0\0" + FRAME)
    events = []
    with pytest.raises(ProtocolError) as caught:
        events.extend(decoder)
    assert (caught.value.code, caught.value.offset) == (-32600, len(FRAME))
    for _ in range(100):  # whatever follows changes nothing, and is not kept
        decoder.feed(FRAME * 1000)
        read_into(decoder, FRAME)
        with pytest.raises(ProtocolError) as again:
            decoder.next_event()
        assert again.value.args == caught.value.args
    decoder.close()
    with pytest.raises(ProtocolError) as again:
        list(decoder)
    assert again.value.args == caught.value.args


def test_errors_tell_where() -> None:
    for data, code, offset in (
        (FRAME + b"\x08\0\0\0" + b'{"a": x}', -32700, len(FRAME) + 10),
        (FRAME + b"\x02\0\0\0[]", -32600, len(FRAME) + 4),
        (FRAME + b"\x03\0\0\x80", -32600, len(FRAME)),
        (FRAME + encode_frame({"method": "a", "body_size": -1}), -32600, len(FRAME) + 4),
        (FRAME + FRAME[:2], -32055, len(FRAME) + 2),
        (FRAME + FRAME[:-1], -32055, 2 * len(FRAME) - 1),
    ):
        decoder = Decoder()
        decoder.feed(data)
        decoder.close()
        with pytest.raises(ProtocolError) as caught:
            list(decoder)
        assert (caught.value.code, caught.value.offset) == (code, offset)


def test_nothing_follows_close() -> None:
    decoder = Decoder()
    decoder.close()
    decoder.close()
    for call in (lambda: decoder.feed(b"x"), lambda: decoder.get_buffer(-1)):
        with pytest.raises(ValueError, match="close"):
            call()
    decoder.feed(b"")
    assert decoder.next_event() == ConnectionClosed()


def test_init_again_begins_a_new_stream() -> None:
    decoder = Decoder()
    view = decoder.get_buffer(-1)
    decoder.feed(FRAME[:10])
    decoder.__init__(20)  # type: ignore[misc]
    view[:] = bytes(len(view))  # still safe, but of no use
    decoder.feed(encode_frame({"a": 1}))
    assert list(decoder) == [HeaderReceived({"a": 1}, 0), EndOfMessage()]
    decoder.feed(FRAME)
    with pytest.raises(ProtocolError, match=r"must be 2 \.\. 20"):
        decoder.next_event()


def test_a_subclass_with_arguments_of_its_own() -> None:
    class Mine(Decoder):
        def __init__(self, name: str) -> None:
            self.name = name

    class Other(Decoder):
        def __init__(self, name: str) -> None:
            super().__init__(max_header=100)
            self.me = self

    for decoder in (Mine("x"), Other("x")):
        decoder.feed(FRAME)
        assert list(decoder) == EVENTS
    gone = weakref.ref(decoder)
    del decoder
    gc.collect()
    assert gone() is None


# ---- its buffer


def test_the_usual_way_gives_the_same_view_again() -> None:
    decoder = Decoder()
    first = decoder.get_buffer(-1)
    assert (first.readonly, first.format, first.contiguous, len(first)) == (False, "B", True, 65536)
    for _ in range(10):
        view = decoder.get_buffer(-1)
        assert view is first
        view[: len(FRAME)] = FRAME
        decoder.buffer_updated(len(FRAME))
        assert list(decoder) == EVENTS
    assert len(decoder.get_buffer(0)) == 65536
    assert len(decoder.get_buffer(100_000)) == 100_000


def test_events_between_get_buffer_and_buffer_updated() -> None:
    decoder = Decoder()
    decoder.feed(FRAME * 2)
    assert [decoder.next_event() for _ in range(3)] == EVENTS
    view = decoder.get_buffer(-1)
    assert [decoder.next_event() for _ in range(2)] == EVENTS[:2]
    view[: len(FRAME)] = FRAME
    decoder.buffer_updated(len(FRAME))
    assert list(decoder) == [EVENTS[2], *EVENTS]


def test_buffer_updated_needs_a_buffer() -> None:
    decoder = Decoder()
    for count in (1, -1, 65537):
        with pytest.raises(ValueError, match="buffer_updated"):
            decoder.buffer_updated(count)
    decoder.get_buffer(-1)[: len(FRAME)] = FRAME
    for count in (-1, 65537):
        with pytest.raises(ValueError, match="65536"):
            decoder.buffer_updated(count)
    decoder.buffer_updated(len(FRAME))
    with pytest.raises(ValueError, match="buffer_updated"):
        decoder.buffer_updated(1)
    assert list(decoder) == EVENTS
    decoder.get_buffer(-1)
    decoder.feed(FRAME)
    with pytest.raises(ValueError, match="buffer_updated"):
        decoder.buffer_updated(1)
    assert list(decoder) == EVENTS


def test_a_view_outlives_its_decoder() -> None:
    decoder = Decoder()
    view = decoder.get_buffer(-1)
    part = view[10:20]
    del decoder
    gc.collect()
    view[:] = b"x" * len(view)
    del view
    assert part.tobytes() == b"x" * 10


def test_a_view_that_would_dangle_is_released() -> None:
    decoder = Decoder()
    view = decoder.get_buffer(-1)
    decoder.feed(b"\0" * 100_000)  # grows
    with pytest.raises(ValueError, match="released"):
        view[0] = 1
    decoder = Decoder()
    view = decoder.get_buffer(-1)
    assert len(decoder.get_buffer(1 << 20)) == 1 << 20
    with pytest.raises(ValueError, match="released"):
        len(view)


def test_the_block_stays_while_it_is_in_use() -> None:
    decoder = Decoder()
    part = decoder.get_buffer(-1)[: len(FRAME)]
    part[:] = FRAME
    decoder.buffer_updated(len(FRAME))
    for call in (
        lambda: decoder.feed(b"\0" * 100_000),
        lambda: decoder.get_buffer(1 << 20),
        lambda: decoder.get_buffer(-1),
    ):
        with pytest.raises(BufferError):
            call()
    assert part.tobytes() == FRAME
    assert list(decoder) == EVENTS
    decoder.feed(FRAME)  # fits, so the block need not move
    assert list(decoder) == EVENTS
    del part
    decoder.feed(FRAME * 10_000)
    assert list(decoder) == EVENTS * 10_000


def test_views_that_the_caller_released() -> None:
    decoder = Decoder()
    for _ in range(3):
        with decoder.get_buffer(-1) as view:
            view[: len(FRAME)] = FRAME
        decoder.buffer_updated(len(FRAME))
        assert list(decoder) == EVENTS
    view = decoder.get_buffer(-1)
    part = view[:5]
    view.release()
    assert len(decoder.get_buffer(-1)) == 65536
    part[:] = b"12345"


def test_feeding_a_part_of_its_own_block() -> None:
    decoder = Decoder()
    view = decoder.get_buffer(-1)
    view[10 : 10 + len(FRAME)] = FRAME
    decoder.feed(view[10 : 10 + len(FRAME)])
    assert list(decoder) == EVENTS


def test_use_while_it_is_used() -> None:
    """The garbage collector can run while an event is made, and with it any code."""
    decoder = Decoder()
    text = b'{"a": [' + b", ".join([b"{}"] * 5000) + b"]}"
    refused = 0

    class Intruder:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            nonlocal refused
            try:
                decoder.feed(b"\0" * 10_000_000)
            except RuntimeError:
                refused += 1

    before = gc.get_threshold()
    gc.set_threshold(50)
    try:
        decoder.feed(struct.pack("<i", len(text)) + text)
        Intruder()
        event = decoder.next_event()
    finally:
        gc.set_threshold(*before)
    assert event == HeaderReceived({"a": [{}] * 5000}, 0)
    gc.collect()
    assert refused == (sys.version_info < (3, 12))  # from then on the collector waits for the end of C code


# ---- asyncio


class Receiver(asyncio.BufferedProtocol):
    """As the documentation has it."""

    def __init__(self) -> None:
        self.decoder = Decoder()
        self.get_buffer = self.decoder.get_buffer
        self.events: list[Any] = []
        self.lost: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def buffer_updated(self, nbytes: int) -> None:
        self.decoder.buffer_updated(nbytes)
        self.events.extend(self.decoder)

    def eof_received(self) -> None:
        self.decoder.close()
        self.events.append(self.decoder.next_event())

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None:
            self.lost.set_result(None)
        else:
            self.lost.set_exception(exc)


class DerivedReceiver(Decoder, asyncio.BufferedProtocol):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[Any] = []
        self.lost: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def buffer_updated(self, nbytes: int) -> None:
        super().buffer_updated(nbytes)
        self.events.extend(self)

    def eof_received(self) -> None:
        self.close()
        self.events.append(self.next_event())

    connection_lost = Receiver.connection_lost


async def receive(make: Any, pieces: list[bytes]) -> list[Any]:
    near, far = socket.socketpair()
    near.setblocking(False)

    def send() -> None:
        with far:
            for piece in pieces:
                far.sendall(piece)

    transport, protocol = await asyncio.get_running_loop().create_connection(make, sock=near)
    sender = threading.Thread(target=send)
    sender.start()
    try:
        await asyncio.wait_for(protocol.lost, 60)
    finally:
        transport.close()
        sender.join()
    return protocol.events


@pytest.mark.parametrize("make", [Receiver, DerivedReceiver])
def test_asyncio(make: Any) -> None:
    generator = random.Random(1)
    stream, expected = b"", []
    for i in range(300):
        body = generator.randbytes(generator.choice([0, 1, 100, 70_000, 300_000] if i % 10 == 0 else [0, 1, 100]))
        header = {"method": "m" * generator.randrange(2000), "id": i, "body_size": len(body)}
        stream += encode_frame(header, body)
        expected.append((header, body))
    ends = sorted(generator.randrange(len(stream)) for _ in range(500))
    events = asyncio.run(receive(make, [stream[start:end] for start, end in zip([0, *ends], [*ends, len(stream)])]))
    assert events.pop() == ConnectionClosed()
    messages: list[Any] = []
    for event in events:
        if isinstance(event, HeaderReceived):
            messages.append((event.header, b""))
        elif isinstance(event, BodyReceived):
            messages[-1] = (messages[-1][0], messages[-1][1] + event.data)
    assert messages == expected
    assert events.count(EndOfMessage()) == len(expected)


@pytest.mark.parametrize("make", [Receiver, DerivedReceiver])
def test_asyncio_with_a_peer_that_breaks_the_format(make: Any) -> None:
    async def run() -> None:
        reported = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context["exception"]))
        with pytest.raises(ProtocolError, match="header length"):
            await receive(make, [FRAME + b"GET / HTTP/1.1\r\n\r\n"])
        assert [type(error) for error in reported] == [ProtocolError]

    asyncio.run(run())


def test_blocking_sockets() -> None:
    near, far = socket.socketpair()
    with near, far:
        far.sendall(FRAME * 100)
        far.shutdown(socket.SHUT_WR)
        decoder = Decoder()
        events: list[Any] = []
        while True:
            count = near.recv_into(decoder.get_buffer(-1))
            if count == 0:
                break
            decoder.buffer_updated(count)
            events.extend(decoder)
        decoder.close()
        assert decoder.next_event() == ConnectionClosed()
        assert events == EVENTS * 100


DIALECTS = {
    "default": ("<i", None),
    "big-endian": (">i", None),
    "eight-bytes": ("<q", None),
    "ascii-length": (None, 4),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_frames_of_a_dialect(name):
    header, body = {"method": "upper", "id": 1, "body_size": 5}, b"hello"
    text = framecall.encode_header(header)
    form, digits = DIALECTS[name]
    prefix = struct.pack(form, len(text)) if form else b"%0*d" % (digits, len(text))
    frame = framecall.encode_frame(header, body, dialect=name)
    assert frame == prefix + text + body
    decoder = framecall.Decoder(dialect=name)
    for i in range(len(frame)):
        decoder.feed(frame[i : i + 1])
    events = list(decoder)
    assert events[0] == framecall.HeaderReceived(header, 5) and events[-1] == framecall.EndOfMessage()
    if name == "big-endian":
        with pytest.raises(framecall.ProtocolError):
            default = framecall.Decoder()
            default.feed(frame)
            default.next_event()


def test_a_dialect_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[prefix]\norder = "big"\nwidth = 2\n')
    assert framecall.encode_frame({}, dialect=str(path)) == b"\x00\x02{}"
    decoder = framecall.Decoder(100, dialect=str(path))
    decoder.feed(b"\x00\x02{}")
    assert next(decoder) == framecall.HeaderReceived({}, 0)
    with pytest.raises(ValueError, match="nonsense"):
        framecall.Decoder(dialect="nonsense")
    with pytest.raises(ValueError, match="nonsense"):
        framecall.encode_frame({}, dialect="nonsense")
    with pytest.raises(TypeError):
        framecall.Decoder(dialect=5)
    with pytest.raises(TypeError):
        framecall.encode_frame({}, b"", dialect=5)
    with pytest.raises(ValueError):
        framecall.encode_frame({"a": "x" * 70_000}, dialect=str(path))


def test_raw_lines_and_lengths_of_zero_are_no_frames():
    decoder = framecall.Decoder(dialect="auto")
    decoder.feed(b"get a.txt\n")
    with pytest.raises(framecall.ProtocolError):
        decoder.next_event()
