"""framecall.Server with methods in Python: arguments, results, errors, threads, loops, and what must go on beside them."""

import asyncio
import collections.abc
import ctypes
import functools
import json
import logging
import subprocess
import sys
import threading
import time
import typing

import framecall
import framecall.aio
import pytest
from serving import make_server


@pytest.fixture
def server():
    server = framecall.Server("127.0.0.1:0")
    yield server
    server.stop()


def start(server):
    server.start()
    return framecall.Client(server.address)


def refusal(client, method, *args, **params):
    with pytest.raises(framecall.RemoteError) as caught:
        client.call(method, *args, **params)
    return caught.value.code, caught.value.message


def test_arguments(server):
    @server.method
    def plain(a, b=2, *, c=3):
        return [a, b, c]

    @server.method
    def open_ended(a, *rest, **others):
        return [a, list(rest), others]

    @server.method
    def nothing():
        pass

    @server.method(name="other.name")
    def named(first, /, second=None):
        return [first, second]

    client = start(server)
    assert client.call("plain", 1) == [1, 2, 3]
    assert client.call("plain", 1, 5, 6) == [1, 5, 6]
    assert client.call("plain", c=9, a="x") == ["x", 2, 9]
    assert client.call("open_ended", 1, 2, 3) == [1, [2, 3], {}]
    assert client.call("open_ended", a=1, z=2) == [1, [], {"z": 2}]
    assert client.call("nothing") is None
    assert client.call("other.name", 1, 2) == [1, 2]
    assert refusal(client, "plain") == (-32602, "a is missing")
    assert refusal(client, "plain", b=1) == (-32602, "a is missing")
    assert refusal(client, "plain", 1, 2, 3, 4) == (-32602, "expected at most 3 parameters, got 4")
    assert refusal(client, "plain", a=1, d=2) == (-32602, "unknown parameter d; expected: a, b, c")
    assert refusal(client, "nothing", x=1) == (-32602, "unknown parameter x; expected: none")
    assert refusal(client, "named")[0] == -32601


CHECKED = [
    (int, [0, -5, 2**80], [1.0, "1", True, None, []], "an integer"),
    (float, [0, 1.5, float("inf")], ["1", True, None], "a number"),
    (bool, [True, False], [0, None, "true"], "true or false"),
    (str, ["", "你好"], [1, None, ["a"]], "a string"),
    (list, [[], [1, "a"]], [{}, "a"], "an array"),
    (dict, [{}, {"a": 1}], [[], None], "an object"),
    (None, [None], [0, False], "null"),
    (typing.Optional[int], [None, 1], ["1", 1.5], "an integer or null"),
    (typing.Union[int, str], [1, "a"], [None, 1.5], "an integer or a string"),
    (typing.List[int], [[], [1, 2]], [[1, "2"], {}, [True]], "an array of an integer"),
    (typing.Dict[str, float], [{}, {"a": 1}], [{"a": "1"}, []], "an object of a number"),
    (typing.Optional[typing.List[str]], [None, ["a"]], [[1], "a"], "an array of a string or null"),
    (typing.Literal["a", "b", 3], ["a", 3], ["c", 4, None, True], '"a" or "b" or 3'),
    (typing.Any, [1, None, {}], [], ""),
    (collections.abc.Sequence, [[1]], [{}], "an array"),
    (object, [1, "x", None], [], ""),
]


@pytest.mark.parametrize(("annotation", "good", "bad", "expected"), CHECKED, ids=lambda value: str(value)[:30])
def test_annotations_are_checked(server, annotation, good, bad, expected):
    def method(value):
        return value

    method.__annotations__["value"] = annotation
    server.method(method)
    client = start(server)
    for value in good:
        assert client.call("method", value) == value
        assert client.call("method", value=value) == value
    for value in bad:
        text = json.dumps(value)
        assert refusal(client, "method", value) == (-32602, f"value: expected {expected}, got {text}")


def test_the_document(server):
    @server.method
    def area(width: float, height: float = 1.0, unit: typing.Literal["m", "cm"] = "m") -> typing.List[float]:
        """The area of a rectangle.

        More text.
        """

    @server.handler
    def raw(request):
        """Takes what comes."""

    document = start(server).call("rpc.discover")
    methods = {one["name"]: one for one in document["methods"]}
    assert methods["area"] == {
        "name": "area",
        "summary": "The area of a rectangle.",
        "params": [
            {"name": "width", "required": True, "schema": {"type": "number"}},
            {"name": "height", "required": False, "schema": {"type": "number"}},
            {"name": "unit", "required": False, "schema": {"enum": ["m", "cm"]}},
        ],
        "result": {"name": "result", "schema": {"type": "array", "items": {"type": "number"}}},
    }
    assert methods["raw"]["summary"] == "Takes what comes."


def test_bodies(server):
    @server.method
    def view(body, n: int = 0):
        assert isinstance(body, memoryview) and not body.readonly
        return body[n:]

    @server.method
    def as_bytes(n: int, body: bytes):
        assert type(body) is bytes
        return body[:n]

    @server.method
    def both(body: bytes):
        return framecall.Response(len(body), bytearray(body), metadata={"a": "b"}, digest=True)

    @server.method
    async def later(body: bytes):
        return memoryview(body * 2)

    client = start(server)
    large = bytes(range(256)) * 10_000
    for content in (b"", b"hello", large):
        assert bytes(client.request("view", [0], body=content).body) == content
        assert bytes(client.request("as_bytes", {"n": 10**9}, body=content).body) == content
        reply = client.request("both", body=content)
        assert (reply.result, bytes(reply.body), reply.metadata) == (len(content), content, {"a": "b"})
        assert bytes(client.request("later", body=content).body) == content * 2
    assert bytes(client.call("view", 3, body=b"hello")) == b"lo"
    assert client.call("view") is None
    with pytest.raises(TypeError, match="all of them by name"):
        server_of_none = framecall.Server("127.0.0.1:0")
        server_of_none.method(lambda body, *rest: None, name="x")


def test_errors(server, caplog):
    class Unprintable(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    @server.method
    def unprintable():
        raise Unprintable

    @server.method
    def unwritable():
        return {"a": [1, {2, 3}]}

    @server.method
    async def broken():
        raise LookupError("missing\nmore" + "x" * 5000)

    @server.method
    def exits():
        sys.exit(3)

    @server.method
    def own():
        raise framecall.RemoteError(7, "mine", {"key": [1]})

    client = start(server)
    code, message = refusal(client, "unprintable")
    assert code == -32603 and message == "Unprintable, whose text could not be made: RuntimeError"
    assert refusal(client, "unwritable") == (-32603, "the result['a'][1]: set has no JSON")
    code, message = refusal(client, "broken")
    assert code == -32603 and message.startswith("missing\nmorexxx") and len(message) < 1100
    assert refusal(client, "exits") == (-32603, "3")
    assert refusal(client, "own") == (7, "mine")
    assert client.call("echo", 1) == [1]
    logged = [(record.getMessage(), record.exc_info[0].__name__) for record in caplog.records]
    assert logged == [
        ("method unprintable failed", "Unprintable"),
        ("method unwritable failed", "TypeError"),
        ("method broken failed", "LookupError"),
        ("method exits failed", "SystemExit"),
    ]


class BadData(framecall.RemoteError):
    def __init__(self):
        super().__init__(5, "mine", {"a": {1}})


class BadCode(framecall.RemoteError):
    def __init__(self):
        super().__init__(5, "mine")
        self.code = 2**70


class NoSuper(framecall.RemoteError):
    def __init__(self):
        pass


class Other(BaseException):
    pass


def deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


RAISED = [
    (lambda: framecall.NotFoundError("no such user"), (-32045, "no such user")),
    (lambda: framecall.NotFoundError(), (-32045, "")),
    (lambda: framecall.AlreadyExistsError("x", data={"k": 1}), (-32046, "x")),
    (lambda: framecall.PermissionDeniedError("x"), (-32047, "x")),
    (lambda: framecall.PermissionDeniedError(-32056, "who are you?"), (-32056, "who are you?")),
    (lambda: framecall.DeadlineExceededError(message="x"), (-32044, "x")),
    (lambda: framecall.CancelledError("x"), (-32041, "x")),
    (lambda: framecall.MethodNotFoundError("x"), (-32601, "x")),
    (lambda: framecall.RemoteError(2**63 - 1, "x"), (2**63 - 1, "x")),
    (lambda: framecall.RemoteError(2**70, "x"), (-32603, "code: an integer of 64 bits, not 0x400000000000000000")),
    (lambda: framecall.RemoteError("x"), (-32603, "RemoteError(code, message, data): the code comes first, as an")),
    (lambda: framecall.RemoteError(1, "a\udc80"), (1, "a\\udc80")),
    (lambda: framecall.RemoteError(1, 77), (1, "77")),
    (lambda: framecall.RemoteError(1, "x", deep(2000)), (-32603, "RemoteError cannot be sent: nested deeper")),
    (BadData, (-32603, "BadData cannot be sent: data['a']: set has no JSON")),
    (BadCode, (-32603, "BadCode cannot be sent: code: an integer of 64 bits, not 118059")),
    (NoSuper, (-32603, "NoSuper cannot be sent: code: an integer of 64 bits, not None")),
    (NotImplementedError, (-32603, "NotImplementedError")),
    (lambda: SystemExit(3), (-32603, "3")),
    (KeyboardInterrupt, (-32603, "KeyboardInterrupt")),
    (GeneratorExit, (-32603, "GeneratorExit")),
    (Other, (-32603, "Other")),
    (StopAsyncIteration, (-32603, "")),
]


def make_raising():
    """Handlers of every kind that raise RAISED[i]."""
    # One thread, which the next call meets as the last one left it.
    server = framecall.Server("127.0.0.1:0", handler_threads=1, debug=True)

    @server.method
    def plain(i: int):
        raise RAISED[i][0]()

    @server.method
    async def later(i: int):
        raise RAISED[i][0]()

    @server.method
    async def much_later(i: int):
        await asyncio.sleep(0.001)
        raise RAISED[i][0]()

    @server.method
    def parts(i: int):
        yield 1
        raise RAISED[i][0]()

    @server.method
    async def parts_later(i: int):
        yield 1
        await asyncio.sleep(0.001)
        raise RAISED[i][0]()

    @server.method
    def add(a: int):
        return a + 1

    @server.method
    async def add_later(a: int):
        await asyncio.sleep(0.001)
        return a + 1

    return server


def check_raised(client, i):
    code, message = RAISED[i][1]
    for method in ("plain", "later", "much_later", "parts", "parts_later"):
        with pytest.raises(framecall.RemoteError) as caught:
            list(client.stream(method, [i], timeout=20)) if "parts" in method else client.call(method, i, timeout=20)
        assert caught.value.code == code, method
        assert caught.value.message.startswith(message), method
        assert client.call("add", 1, timeout=20) == 2
        assert client.call("add_later", 1, timeout=20) == 2


def test_whatever_a_handler_raises_ends_its_own_call_only():
    with make_raising() as server, framecall.Client(server.address) as client:
        for i in range(len(RAISED)):
            check_raised(client, i)


def test_no_handler_ends_the_loop_of_the_program():
    server = make_raising()

    def work():
        with framecall.Client(server.address) as client:
            for i in range(len(RAISED)):
                if RAISED[i][0] is not KeyboardInterrupt:  # that one is Ctrl-C, and the program's
                    check_raised(client, i)

    async def main():
        async with server:
            await asyncio.get_running_loop().run_in_executor(None, work)

    asyncio.run(main())


def test_a_loop_ends_with_handlers_that_do_not_want_to():
    server = framecall.Server("127.0.0.1:0", drain_timeout=0.05)
    began = threading.Event()

    @server.method
    async def stubborn():
        began.set()
        try:
            await asyncio.sleep(100)
        finally:
            raise SystemExit

    server.start()
    with framecall.Client(server.address) as client:
        client.notify("stubborn")
        assert began.wait(20)
    server.stop()


def test_texts_that_are_no_unicode():
    logging.disable(logging.ERROR)  # a report of the tests cannot be sent with such a text
    try:
        from framecall._server import failure

        assert failure("x", ValueError("a\udc80"), False) == (-32603, "a\\udc80", {"type": "ValueError"})
    finally:
        logging.disable(logging.NOTSET)


def test_a_generator_does_not_run_before_it_is_refused(server):
    ran = []

    @server.method
    def parts():
        ran.append(1)
        yield 1

    @server.method
    async def parts_later():
        ran.append(1)
        yield 1

    @server.handler
    def given(request):
        ran.append(1)
        yield 1

    client = start(server)
    for method in ("parts", "parts_later", "given"):
        code, message = refusal(client, method)
        assert code == -32600 and '"stream": true' in message
        assert ran == [], method


def test_what_a_generator_returns_is_the_result(server):
    @server.method
    def parts(n: int, value: typing.Any = None):
        yield from range(n)
        return value

    @server.method
    def parts_and_more():
        yield 1
        return framecall.Response("end", b"body", metadata={"a": "b"})

    @server.method
    def parts_and_nonsense():
        yield 1
        return {1, 2}

    @server.method
    def iterates():
        return iter([1])

    client = start(server)
    assert [part.value for part in client.stream("parts", [2, "end"])] == [0, 1, "end"]
    assert [part.value for part in client.stream("parts", [0, [5]])] == [[5]]
    assert [part.value for part in client.stream("parts", [2])] == [0, 1]
    stream = client.stream("parts_and_more")
    assert [(part.value, bytes(part.body)) for part in stream] == [(1, b""), ("end", b"body")]
    assert stream.metadata == {"a": "b"}
    with pytest.raises(framecall.RemoteError, match="set has no JSON"):
        list(client.stream("parts_and_nonsense"))
    with pytest.raises(framecall.RemoteError, match="has no JSON"):
        client.call("iterates")


def test_metadata_is_a_dict_of_strings(server):
    @server.method
    def wrong(kind: int):
        return framecall.Response(1, metadata=[{"a": 1}, ["a"], {1: "a"}, "a"][kind])

    client = start(server)
    for kind in range(4):
        assert "must be a dict of strings" in refusal(client, "wrong", kind)[1]
    assert framecall.Response(1, metadata={}).metadata == {}


LIMIT = 1 << 20  # of max_header, by default
TOO_LARGE = r"{} bytes of {} make a header of \d+ bytes: max_header is 1048576; send it as the body"


@pytest.fixture
def copious(server):
    """Methods whose answers have as many bytes of JSON as they are asked for."""

    @server.method
    def result(n: int):
        return "x" * (n - 2)

    @server.method
    async def later(n: int):
        return "x" * (n - 2)

    @server.method
    def metadata(n: int):
        return framecall.Response(1, metadata={"a": "x" * (n - 9)})

    @server.method
    def data(n: int):
        raise framecall.RemoteError(7, "mine", "x" * n)

    @server.method
    def message(n: int):
        raise framecall.RemoteError(7, "x" * n)

    @server.method
    def parts(n: int):
        yield 1
        yield "x" * (n - 2)

    @server.method
    async def parts_later(n: int):
        yield 1
        yield "x" * (n - 2)

    return server


def test_an_answer_that_no_header_has_room_for_is_refused_where_it_is_made(copious):
    client = start(copious)
    for method, what in (("result", "result"), ("later", "result"), ("metadata", "metadata")):
        assert client.request(method, [LIMIT - 1000]).metadata is not None
        for size in (LIMIT, 17 << 20):
            with pytest.raises(framecall.RemoteError, match=TOO_LARGE.format(size, what)) as caught:
                client.call(method, size)
            assert caught.value.code == -32048 and caught.value.data["limit"] == LIMIT
            assert caught.value.data["got"] > size
    for method in ("parts", "parts_later"):
        stream = client.stream(method, [LIMIT])
        assert next(stream).value == 1
        with pytest.raises(framecall.RemoteError, match=TOO_LARGE.format(LIMIT, "result")):
            next(stream)
    for method in ("data", "message"):
        with pytest.raises(framecall.RemoteError) as caught:
            client.call(method, 2 * LIMIT)
        assert caught.value.code == 7
    assert client.call("rpc.stats")["connections"] <= 3  # none of them was lost but those of the streams


def test_a_call_that_no_header_has_room_for_is_refused_where_it_is_made(server):
    @server.handler(stream=True)
    def total(request):
        return sum(len(part.value) for part in request.parts())

    large = "x" * LIMIT
    client = start(server)
    for args, params in (((large,), {}), ((), {"a": large})):
        with pytest.raises(ValueError, match=TOO_LARGE.format(r"\d+", "params")):
            client.call("echo", *args, **params)
        with pytest.raises(ValueError, match='call of "echo": ' + TOO_LARGE.format(r"\d+", "params")):
            client.request("echo", args or params)
        with pytest.raises(ValueError, match="params"):
            client.notify("echo", *args, **params)
        with pytest.raises(ValueError, match="params"):
            client.pipeline().call("echo", *args, **params)
        with pytest.raises(ValueError, match="params"):
            client.stream("total", args or params)
    with pytest.raises(ValueError, match=TOO_LARGE.format(r"\d+", "metadata")):
        client.call("echo", metadata={"a": large})
    stream = client.stream("total", sending=True)
    with pytest.raises(ValueError, match=TOO_LARGE.format(r"\d+", "item")):
        stream.send(large)
    assert stream.send("abc")
    stream.finish_sending()
    assert [part.value for part in stream] == [3]
    assert client.call("echo", 1) == [1]

    async def main():
        async with framecall.aio.Client(server.address) as client:
            assert await client.call("echo", 1) == [1]
            session = client._session
            for call in (client.call("echo", large), client.request("echo", [large]), client.notify("echo", large)):
                with pytest.raises(ValueError, match=TOO_LARGE.format(r"\d+", "params")):
                    await call
            with pytest.raises(ValueError, match=TOO_LARGE.format(r"\d+", "metadata")):
                await client.call("echo", metadata={"a": large})
            stream = client.stream("total", sending=True)
            with pytest.raises(ValueError, match=TOO_LARGE.format(r"\d+", "item")):
                await stream.send(large)
            assert await stream.send("abc")
            await stream.finish_sending()
            assert [part.value async for part in stream] == [3]
            assert client._session is session and session.in_flight == 0

    asyncio.run(main())


def test_larger_headers_by_agreement():
    server = framecall.Server("127.0.0.1:0", max_header=4 * LIMIT)
    large = "x" * (3 * LIMIT)
    with server, framecall.Client(server.address, max_header=4 * LIMIT) as client:
        assert client.call("echo", large) == [large]


def test_optional_bodies(server):
    @server.method
    def optional(body: typing.Optional[bytes]):
        return None if body is None else len(body)

    @server.method
    def default(body: bytes = b"abc"):
        return len(body)

    @server.method
    def nothing(body=None, x: int = 0):
        return [body is None, x]

    client = start(server)
    assert client.call("optional") is None and client.call("optional", body=b"x") == 1
    assert client.call("default") == 3 and client.call("default", body=b"x") == 1
    assert client.call("nothing", 5) == [True, 5] and client.call("nothing", x=5, body=b"x") == [False, 5]


def test_callables_of_every_kind(server):
    class Scaler:
        def __init__(self, factor):
            self.factor = factor

        def __call__(self, x: int):
            """Scales."""
            return x * self.factor

        def bound(self, x: int):
            return x + self.factor

    class Later(Scaler):
        async def __call__(self, x: int):
            await asyncio.sleep(0)
            return x * self.factor

    class Parts(Scaler):
        def __call__(self, n: int):
            yield from range(n)

    async def add_later(a: int, b: int):
        return a + b

    def add(a: int, b: int):
        return a + b

    server.method(functools.partial(add, 10))
    server.method(functools.partial(functools.partial(add_later), b=5))
    server.method("scaled")(Scaler(3))
    server.method(Later(4), name="scaled_later")
    server.method("parts")(Parts(0))
    server.method(Scaler(5).bound)
    server.method("wrapped")(functools.wraps(add)(lambda *args: add(*args)))
    server.handler("told")(functools.partial(lambda request, more: [request.method, more], more=1))

    @server.method("named")
    def one():
        return 1

    @server.handler("other.named", stream=True)
    def two(request):
        return sum(part.value for part in request.parts())

    for nameless in (Scaler(1), functools.partial(Scaler(1))):
        with pytest.raises(TypeError, match=r"Scaler has no name of its own: use @server.method\(\"name\"\)"):
            server.method(nameless)
    with pytest.raises(TypeError, match="two names"):
        server.method("a", name="b")

    client = start(server)
    assert client.call("add", 1) == 11
    assert client.call("add_later", 1) == 6
    assert client.call("scaled", 2) == 6 and client.call("scaled_later", 2) == 8
    assert refusal(client, "scaled", "x") == (-32602, 'x: expected an integer, got "x"')
    assert refusal(client, "scaled_later", "x")[0] == refusal(client, "add", "x")[0] == -32602
    assert [part.value for part in client.stream("parts", [3])] == [0, 1, 2]
    assert client.call("bound", 1) == 6
    assert client.call("wrapped", 1, 2) == 3
    assert client.call("told") == ["told", 1]
    assert client.call("named") == 1
    assert {one["name"]: one["summary"] for one in client.call("rpc.discover")["methods"] if "summary" in one}[
        "scaled"
    ] == "Scales."


def test_a_traceback_only_for_development():
    server = framecall.Server("127.0.0.1:0", debug=True)

    @server.method
    def fail():
        raise ValueError("oops")

    with server, framecall.Client(server.address) as client, pytest.raises(framecall.RemoteError) as caught:
        client.call("fail")
    assert caught.value.type == "ValueError"
    assert (
        "Traceback" in caught.value.data["traceback"] and 'raise ValueError("oops")' in caught.value.data["traceback"]
    )


def test_a_built_in_is_replaced_by_name_only(tmp_path):
    server = framecall.Server("127.0.0.1:0", root=tmp_path)

    @server.method("rpc.health", replace_builtin=True)
    def health():
        return "mine"

    @server.handler("file.put", replace_builtin=True)
    def put(request):
        return len(request.body)

    with pytest.raises(ValueError, match="cannot be replaced: no built-in method has this name"):
        server.method("rpc.mine", replace_builtin=True)(health)
    with server, framecall.Client(server.address) as client:
        assert client.call("rpc.health") == "mine"
        assert client.call("file.put", body=b"four") == 4
        assert client.call("rpc.ping") == "pong"


def test_misuse():
    server = framecall.Server("127.0.0.1:0")
    with pytest.raises(TypeError, match="must be a function"):
        server.method(5)
    for name in ("rpc.mine", "file.mine"):
        with pytest.raises(ValueError, match="belong to the protocol"):
            server.method(name=name)(print)
    with server:
        with pytest.raises(ValueError, match="before the server starts"):
            server.method(lambda: None)
        with pytest.raises(ValueError, match="started before"):
            server.start()
    server.stop()
    for wrong in (
        {"max_body": -1},
        {"threads": 1025},
        {"handler_threads": 0},
        {"max_header": 2**40},
        {"max_header": 2**24},
        {"idle_timeout": -1},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            framecall.Server("127.0.0.1:0", **wrong)
    with pytest.raises(TypeError):
        framecall.Server("127.0.0.1:0", max_body=1.5)
    with pytest.raises(TypeError):
        framecall.Request()


def test_limits_have_names():
    server = framecall.Server("127.0.0.1:0", max_body=1000)

    @server.method
    def size(body):
        return body.nbytes

    with server, framecall.Client(server.address) as client:
        assert client.call("size", body=bytes(1000)) == 1000
        with pytest.raises(framecall.RemoteError, match="max_body is 1000") as caught:
            client.call("size", body=bytes(1001))
        assert caught.value.data == {"status": "RESOURCE_EXHAUSTED", "limit": 1000, "got": 1001}


# ---- side by side


PINGER = """
import sys, time, framecall
client = framecall.Client(sys.argv[1])
client.call("rpc.ping")
print("ready", flush=True)
sys.stdin.readline()
worst = 0.0
end = time.perf_counter() + 1.5
while time.perf_counter() < end:
    began = time.perf_counter()
    client.call("rpc.ping")
    worst = max(worst, time.perf_counter() - began)
    time.sleep(0.005)
print(worst)
"""


def test_a_ping_is_answered_while_a_handler_holds_the_lock(server):
    """A second process pings: this one cannot run Python meanwhile."""
    inside = threading.Event()

    @server.method
    def hold(seconds: float):
        inside.set()
        ctypes.PyDLL(None).usleep(int(seconds * 1e6))  # a C function that does not give the lock back

    client = start(server)
    command = [sys.executable, "-c", PINGER, server.address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as pinger:
        assert pinger.stdout.readline() == "ready\n"
        pinger.stdin.write("go\n")
        pinger.stdin.flush()
        client.call("hold", 2.0)
        assert inside.is_set()
        assert float(pinger.stdout.read()) < 0.05
    assert pinger.returncode == 0


def test_slow_handlers_hold_up_no_others(server):
    @server.method
    def sleep(seconds: float):
        time.sleep(seconds)

    @server.method
    def quick():
        return threading.get_ident()

    client = start(server)
    threads = [threading.Thread(target=client.call, args=("sleep", 1.0)) for _ in range(10)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for _ in range(20):
        client.call("quick")
    assert time.monotonic() - began < 0.8
    for thread in threads:
        thread.join()
    assert time.monotonic() - began < 3  # 10 if they came one after the other


def test_more_calls_than_threads():
    server = framecall.Server("127.0.0.1:0", handler_threads=2)
    gate = threading.Semaphore(0)
    most = [0, 0]
    lock = threading.Lock()

    @server.method
    def wait():
        with lock:
            most[0] += 1
            most[1] = max(most)
        gate.acquire()
        with lock:
            most[0] -= 1

    @server.method
    async def later():
        return 1

    with server, framecall.Client(server.address) as client:
        threads = [threading.Thread(target=client.call, args=("wait",)) for _ in range(10)]
        for thread in threads:
            thread.start()
        while most[0] < 2:
            time.sleep(0.001)
        assert client.call("later") == 1
        assert client.call("rpc.ping") == "pong"
        for _ in threads:
            gate.release()
        for thread in threads:
            thread.join(20)
    assert most == [0, 2]


def test_order_on_one_connection_does_not_matter_but_every_call_is_answered(server):
    @server.method
    def swap(i: int):
        if i % 7 == 0:
            time.sleep(0.003)
        return i

    @server.method
    async def swap_later(i: int):
        await asyncio.sleep(0.001 * (i % 3))
        return i

    client = start(server)
    for method in ("swap", "swap_later"):
        pipeline = client.pipeline()
        for i in range(1000):
            pipeline.call(method, i)
        assert pipeline.execute() == list(range(1000))


def test_a_call_that_calls_another_server(server):
    other = framecall.Server("127.0.0.1:0")

    @other.method
    def double(x: int):
        return 2 * x

    @server.method
    def quadruple(x: int):
        return client_of_other.call("double", client_of_other.call("double", x))

    with other:
        client_of_other = framecall.Client(other.address)
        client = start(server)
        assert [client.call("quadruple", i) for i in range(20)] == [4 * i for i in range(20)]


def test_a_call_of_itself(server):
    @server.method
    def factorial(n: int):
        return 1 if n < 2 else n * client.call("factorial", n - 1)

    client = start(server)
    assert client.call("factorial", 10) == 3628800


# ---- its life


def test_async_with():
    async def main():
        server = make_server()
        loop = asyncio.get_running_loop()
        seen = []

        @server.method
        async def where():
            seen.append(asyncio.get_running_loop())

        async with server, framecall.aio.Client(server.address) as client:
            await client.call("where")
            assert await asyncio.gather(*(client.call("add_later", i) for i in range(200))) == list(range(1, 201))
        assert seen == [loop]

    asyncio.run(main())


def test_stop_waits_for_what_is_under_way():
    server = make_server()
    with framecall.Client(server.address) as client:
        results = []
        with server:
            calls = [
                threading.Thread(target=lambda m: results.append(client.call(m, 0.5)), args=(method,))
                for method in ("sleep", "sleep_later")
            ]
            for call in calls:
                call.start()
            while client.call("rpc.stats")["calls"] < 3:
                pass
        for call in calls:
            call.join(20)
    assert results == [None, None]


def test_stop_does_not_wait_for_ever():
    server = make_server(drain_timeout=0.1)
    with framecall.Client(server.address) as client:
        server.start()
        call = threading.Thread(target=lambda: pytest.raises((framecall.Error, OSError), client.call, "sleep", 3))
        call.start()
        while client.call("rpc.stats")["calls"] < 2:
            pass
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 2.5
        call.join()


def test_the_log(caplog):
    caplog.set_level(logging.INFO, "framecall")
    with make_server() as server, framecall.RawClient(server.address) as peer:
        peer.send(b"nonsense that is no frame")
        while peer.receive():
            pass
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any("refused" in line or "-32600" in line or "header" in line for line in lines), lines
    assert f"listening on {server.address}" in [record.getMessage() for record in caplog.records]


def test_datagrams_reach_methods(server):
    @server.method
    def double(x: int):
        return 2 * x

    address = server.listen_udp("127.0.0.1:0")
    server.start()
    with framecall.UdpClient(address) as client:
        answer = client.request(framecall.encode_frame({"id": 1, "method": "double", "params": [21]}))
    assert framecall.decode_header(answer[4:]) == {"jsonrpc": "2.0", "id": 1, "result": 42}


def test_nothing_is_kept_of_calls(server):
    import gc
    import weakref

    class Thing:
        pass

    refs = []

    @server.method
    def make(body):
        thing = Thing()
        refs.append(weakref.ref(thing))
        return framecall.Response(None, bytes(100_000))

    client = start(server)
    before = None
    for i in range(300):
        client.call("make", body=bytes(1000))
        if i == 100:
            gc.collect()
            before = len(gc.get_objects())
    gc.collect()
    assert all(ref() is None for ref in refs)
    assert len(gc.get_objects()) - before < 500
