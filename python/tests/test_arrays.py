"""NumPy arrays as bodies, both ways; and without NumPy."""

import asyncio
import collections.abc
import json
import random
import subprocess
import sys
import time
import typing

import framecall
import framecall.aio
import pytest
from framecall import _arrays
from serving import answering

np = pytest.importorskip("numpy")
pytestmark = pytest.mark.filterwarnings("ignore:Data type alias")


@pytest.fixture(scope="module")
def client():
    server = framecall.Server("127.0.0.1:0")

    @server.method
    def scale(body: np.ndarray, factor: float = 1.0):
        return body * factor

    @server.method
    def back(body: np.ndarray) -> np.ndarray:
        return body

    @server.handler
    def same(request):
        return framecall.Response(None, request.array() if not request.params else request.arrays())

    @server.method
    def total(body: "dict[str, np.ndarray]"):
        return {name: float(array.sum()) for name, array in body.items()}

    @server.method
    async def several(n: int):
        return {"a": np.arange(n, dtype="<i4"), "b": np.ones((2, 3))}

    @server.method
    def objects():
        return np.array([object()])

    @server.method
    def produce(n: int):
        for i in range(n):
            yield np.full((2, i), i, dtype=">u2")

    with server, framecall.Client(server.address) as client:
        yield client


ARRAYS = [
    np.arange(6.0).reshape(2, 3),
    np.arange(24, dtype=np.int16).reshape(2, 3, 4),
    np.array(7, dtype=np.uint8),
    np.float32(1.5),
    np.zeros((0, 3)),
    np.zeros((3, 0, 2), dtype="<i8"),
    np.array([1 + 2j]),
    np.array([True, False]),
    np.array(["a", "你好"]),
    np.array([b"ab", b"c"]),
    np.array(["2026-11-26", "1970-01-01"], dtype="datetime64[s]"),
    np.array([1, 2], dtype=">f8"),
    np.array([1, 2], dtype=np.float16),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype.str} {array.shape}")
def test_there_and_back(client, array):
    reply = client.request("back", body=array)
    assert reply.result is None
    got = reply.array()
    assert (got.dtype, got.shape) == (array.dtype, array.shape)
    assert np.array_equal(got, array)
    assert np.array_equal(client.call("same", body=array), array)


def test_values_in_values_out(client):
    array = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(client.call("scale", body=array, factor=2), array * 2)
    with pytest.raises(framecall.RemoteError, match="factor: expected a number"):
        client.call("scale", body=array, factor="2")
    # A body that says nothing of arrays is one of bytes.
    assert np.array_equal(client.call("back", body=b"\x01\x02"), np.array([1, 2], dtype=np.uint8))


def test_nothing_is_copied_on_the_way_in(client):
    reply = client.request("back", body=np.arange(100_000))
    array = reply.array()
    assert array.ctypes.data % 64 == 0
    array[0] = 77  # writable, and the same memory
    assert reply.array()[0] == 77
    assert np.frombuffer(reply.body, np.int64)[0] == 77
    del reply
    assert array[0] == 77 and array[99_999] == 99_999


def test_arrays_that_do_not_lie_in_one_piece_are_copied(client):
    array = np.arange(100).reshape(10, 10)
    for view in (array[::2], array.T, array[:, 3], np.asfortranarray(array), array[::-1]):
        assert np.array_equal(client.call("back", body=view), view)


def test_several_arrays(client):
    arrays = {"a": np.arange(5, dtype=np.int8), "名": np.ones((3, 2)), "empty": np.zeros((0, 4)), "zero": np.float32(2)}
    assert client.call("total", body=arrays) == {"a": 10.0, "名": 6.0, "empty": 0.0, "zero": 2.0}
    back = client.request("same", [1], body=arrays).arrays()
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        assert np.array_equal(back[name], array) and back[name].dtype == array.dtype
        assert back[name].ctypes.data % 64 == 0 or array.size == 0
    value = client.call("several", 3)
    assert np.array_equal(value["a"], [0, 1, 2]) and value["b"].shape == (2, 3)


def test_streams_of_arrays(client):
    for i, part in enumerate(client.stream("produce", [4])):
        assert np.array_equal(part.array(), np.full((2, i), i)) and part.array().dtype == np.dtype(">u2")


def test_what_cannot_be_sent(client):
    for wrong in (np.array([object()]), np.array([(1, 2.0)], dtype="i4,f8"), {"a": np.array([None])}):
        with pytest.raises(TypeError, match="cannot be sent"):
            client.call("back", body=wrong)
    with pytest.raises(TypeError, match="must be one of arrays by name"):
        client.call("back", body={"a": 1})
    with pytest.raises(framecall.RemoteError, match="cannot be sent"):
        client.call("objects")


def test_numbers_of_numpy_are_numbers():
    server = framecall.Server("127.0.0.1:0")

    @server.method
    def number(which: int):
        return NUMBERS[which]

    @server.method
    def inside():
        return {"mean": np.float32(0.5), "count": [np.int64(3)], "any": np.bool_(True)}

    @server.method
    def odd():
        return [np.complex64(1)]

    @server.method
    def parts():
        yield np.int32(1)
        return framecall.Response(np.float16(2), metadata={"a": "b"})

    with server, framecall.Client(server.address) as client:
        for i, number in enumerate(NUMBERS):
            value = client.call("number", i)
            assert value == number and type(value) in (bool, int, float)
            assert client.call("echo", number, [number]) == [number, [number]]
            assert client.request("echo", {"a": number}).result == {"a": number}
        assert client.call("inside") == {"mean": 0.5, "count": [3], "any": True}
        assert [part.value for part in client.stream("parts")] == [1, 2]
        with pytest.raises(framecall.RemoteError, match="complex64"):
            client.call("odd")
        with pytest.raises(TypeError, match=r"params\[0\]\['z'\]: datetime64 has no JSON"):
            client.call("echo", {"a": np.int8(1), "z": np.datetime64("2026-11-30")})


NUMBERS = [np.int8(-5), np.uint64(2**64 - 1), np.float16(0.5), np.float32(1.5), np.float64(0.1), np.bool_(False)]


def test_annotations_of_arrays_are_checked():
    from numpy.typing import NDArray

    server = framecall.Server("127.0.0.1:0")

    @server.method
    def exact(body: NDArray[np.float32]):
        return str(body.dtype)

    @server.method
    def wide(body: NDArray[np.floating]):
        return str(body.dtype)

    @server.method
    def several(body: dict[str, NDArray[np.float32]]):
        return sorted(body)

    @server.method
    def optional(body: typing.Optional[np.ndarray] = None):
        return None if body is None else str(body.dtype)

    @server.method
    def nullable(body: typing.Optional[NDArray[np.int64]]):
        return None if body is None else str(body.dtype)

    with server, framecall.Client(server.address) as client:
        single, double, whole = np.ones(2, np.float32), np.ones(2), np.ones(2, np.int64)
        assert (
            client.call("exact", body=single) == "float32" and client.call("exact", body=single.astype(">f4")) == ">f4"
        )
        assert client.call("wide", body=double) == "float64" and client.call("wide", body=single) == "float32"
        assert client.call("several", body={"a": single}) == ["a"]
        for method, body in (
            ("exact", whole),
            ("exact", b"1234"),
            ("wide", whole),
            ("several", {"a": single, "b": whole}),
        ):
            with pytest.raises(
                framecall.RemoteError, match=r"expected an array of float(32|ing), got (one of|4 bytes)"
            ) as caught:
                client.call(method, body=body)
            assert caught.value.code == -32602
        assert client.call("optional") is None and client.call("optional", body=whole) == "int64"
        assert client.call("nullable") is None and client.call("nullable", body=whole) == "int64"
        assert client.call("optional", body=np.zeros(0, np.int8)) == "int8"
        with pytest.raises(framecall.RemoteError, match="expected an array of int64, got one of float32"):
            client.call("nullable", body=single)


def test_every_spelling_of_a_dict_gets_the_arrays():
    spellings = [
        dict,
        dict[str, np.ndarray],
        typing.Dict,  # noqa: UP006
        typing.Dict[str, np.ndarray],  # noqa: UP006
        typing.Mapping,
        collections.abc.Mapping[str, np.ndarray],
        typing.Optional[dict],
    ]

    def product_as(annotation):
        def product(body):
            return {"c": body["a"] @ body["b"]}

        product.__annotations__["body"] = annotation
        return product

    server = framecall.Server("127.0.0.1:0")
    for i, annotation in enumerate(spellings):
        server.method(f"product{i}")(product_as(annotation))
    with server, framecall.Client(server.address) as client:
        a, b = np.ones((2, 3)), np.ones((3, 4))
        for i in range(len(spellings)):
            assert np.array_equal(client.call(f"product{i}", body={"a": a, "b": b})["c"], a @ b)


def test_a_body_that_is_no_array_is_called_so():
    from numpy.typing import NDArray

    server = framecall.Server("127.0.0.1:0")

    @server.method
    def double(body: NDArray[np.float32]):
        return body * 2

    with server, framecall.Client(server.address) as client:
        for body in (b"", b"12345678"):
            message = f"expected an array of float32, got {len(body)} bytes without a dtype"
            with pytest.raises(framecall.RemoteError, match=message):
                client.call("double", body=body)


def test_echo_keeps_the_arrays(client):
    for array in ARRAYS:
        back = client.request("echo", body=array).array()
        assert back.dtype == array.dtype and back.shape == array.shape and np.array_equal(back, array)
    back = client.call("echo", body={"a": np.ones(3), "b": np.zeros((2, 2), "i1")})
    assert back["a"].shape == (3,) and back["b"].dtype == np.int8


LIES = [
    {"dtype": "<f8", "shape": [4]},
    {"dtype": "<f8", "shape": [2**70]},
    {"dtype": "<f8", "shape": [-3]},
    {"dtype": "<f8", "shape": [3.0]},
    {"dtype": "<f8", "shape": [True, 3]},
    {"dtype": "<f8", "shape": 3},
    {"dtype": "<f8"},
    {"shape": [3]},
    {"dtype": "|O", "shape": [3]},
    {"dtype": "O8", "shape": [3]},
    {"dtype": "i4,f4", "shape": [3]},
    {"dtype": "(2,)f4", "shape": [3]},
    {"dtype": "nonsense", "shape": [3]},
    {"dtype": "<f8" * 100, "shape": [3]},
    {"dtype": ["<f8"], "shape": [3]},
    {"dtype": 8, "shape": [3]},
    {"dtype": "<U0", "shape": [3]},
    {"dtype": "<f16", "shape": [1]},
    {"dtype": "M8[Y/0]", "shape": [3]},
    {"dtype": "M8[0s]", "shape": [3]},
    {"dtype": "|V24\0", "shape": [1]},
    {"dtype": "|u1", "shape": [24] + [1] * 70},
    {"tensors": [1]},
    {"tensors": {"a": {"dtype": "<f8", "shape": [3]}}},
    {"tensors": {"a": {"dtype": "<f8", "shape": [3], "data_offsets": [0, 25]}}},
    {"tensors": {"a": {"dtype": "<f8", "shape": [3], "data_offsets": [8, 0]}}},
    {"tensors": {"a": {"dtype": "<f8", "shape": [3], "data_offsets": [-8, 16]}}},
    {"tensors": {"a": {"dtype": "<f8", "shape": [2], "data_offsets": [0, 24]}}},
    {"tensors": {"a": 5}},
    {"tensors": {name: {"dtype": "|u1", "shape": [24], "data_offsets": [0, 24]} for name in "ab"}},
    {
        "tensors": {
            name: {"dtype": "|u1", "shape": [9], "data_offsets": [at, at + 9]} for name, at in (("a", 8), ("b", 0))
        }
    },
]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: json.dumps(lie)[:50])
def test_replies_that_lie(lie):
    reply = framecall.encode_frame({"id": 1, "result": None, "body_size": 24, **lie}, bytes(24))
    with answering(reply) as address, framecall.Client(address) as client:
        answer = client.request("x")
        with pytest.raises(framecall.ProtocolError):
            answer.arrays() if "tensors" in lie else answer.array()
        assert answer.body == bytes(24)
    with answering(reply) as address, framecall.Client(address) as client, pytest.raises(framecall.ProtocolError):
        client.call("x")


def test_callers_that_lie(client):
    address = client._addresses[0]
    _host, _, _port = address.rpartition(":")
    for lie in (lie for lie in LIES if "tensors" not in lie):
        frame = framecall.encode_frame({"id": 1, "method": "back", "body_size": 24, **lie}, bytes(24))
        with framecall.RawClient(address) as peer:
            peer.send(frame)
            answer = framecall.decode_header(peer.receive(65536)[4:])
            assert answer["error"]["code"] == -32602 and answer["error"]["message"].startswith("body: ")


# The size of one is 0, so no body is needed for any number of them; numpy.empty() would make each as large as a character.
NOTHING = ["S0", "U0", "V0", "S", "U", "a", "V", "bytes", "str", "void"]


def ask(address, header, body=b""):
    """The header and the body of the answer."""
    with framecall.RawClient(address) as peer:
        peer.send(framecall.encode_frame({"id": 1, **header, "body_size": len(body)}, body))
        received = peer.receive(1 << 20)
        while len(received) < 4 + int.from_bytes(received[:4], "little"):
            received += peer.receive(1 << 20)
        size = int.from_bytes(received[:4], "little")
        answer = framecall.decode_header(received[4 : 4 + size])
        received = received[4 + size :]
        while len(received) < answer.get("body_size", 0):
            received += peer.receive(1 << 20)
        return answer, received


@pytest.mark.parametrize("dtype", NOTHING)
def test_no_caller_gets_the_memory_of_others(client, dtype):
    for method, params in (("back", {}), ("same", {}), ("same", [1])):
        layout = {"dtype": dtype, "shape": [100_000]}
        if params == [1]:
            layout = {"tensors": {"a": {**layout, "data_offsets": [0, 0]}}}
        answer, body = ask(client._addresses[0], {"method": method, "params": params, **layout})
        assert body == b""
        assert "dtype" in answer["error"]["message"]


@pytest.mark.parametrize("dtype", NOTHING)
def test_no_server_makes_arrays_of_memory_that_nobody_wrote(dtype):
    reply = framecall.encode_frame({"id": 1, "result": None, "dtype": dtype, "shape": [100_000]})
    with answering(reply) as address, framecall.Client(address) as client, pytest.raises(framecall.ProtocolError):
        client.call("x")

    async def main(address):
        async with framecall.aio.Client(address) as client:
            await client.call("x")

    with answering(reply) as address, pytest.raises(framecall.ProtocolError):
        asyncio.run(main(address))


def test_bytes_that_belong_to_no_number_are_not_sent(client):
    for dtype in ("longdouble", "clongdouble"):
        with pytest.raises(TypeError, match="cannot be sent"):
            client.call("back", body=np.empty(3, dtype))
    with pytest.raises(TypeError, match="cannot be sent"):
        client.call("back", body=np.zeros(3, "V0"))
    answer, _ = ask(client._addresses[0], {"method": "scale", "dtype": "<f16", "shape": [4]}, bytes(64))
    assert "<f16" in answer["error"]["message"]


def test_an_empty_array_does_not_stand_for_a_large_one():
    for shape in ([1 << 40, 0], [0, 1 << 62, 1 << 62], [1 << 70, 0]):
        with pytest.raises(framecall.ProtocolError, match="do not fit"):
            _arrays.array(memoryview(b""), {"dtype": "<f8", "shape": shape})
    assert _arrays.array(memoryview(b""), {"dtype": "<f8", "shape": [0, 100_000]}).shape == (0, 100_000)


LONG = {
    "shape": {"dtype": "|u1", "shape": [10**9] * 90_000},
    "shape of ones": {"dtype": "|u1", "shape": [1] * 330_000},
    "shape of digits": {"dtype": "|u1", "shape": [10**4000] * 240},
    "shape that is none": {"dtype": "|u1", "shape": [[]] * 250_000},
    "dtype": {"dtype": "f" * 1_000_000, "shape": [1]},
    "dtype that is none": {"dtype": [[]] * 250_000, "shape": [1]},
    "tensors": {
        "tensors": {str(i): {"dtype": "|u1", "shape": [0], "data_offsets": [0, 0]} for i in range(14_000)},
    },
    "tensors that overlap": {
        "tensors": {str(i): {"dtype": "|u1", "shape": [1], "data_offsets": [0, 1]} for i in range(14_000)},
    },
    "data_offsets": {"tensors": {"a": {"dtype": "|u1", "shape": [1], "data_offsets": [0] * 330_000}}},
    "tensors that are none": {"tensors": [[]] * 250_000},
}


@pytest.mark.parametrize("name", LONG)
def test_a_long_header_does_not_hold_the_interpreter(name):
    began = time.perf_counter()
    try:
        _arrays.value(memoryview(b"x"), LONG[name])
    except framecall.ProtocolError as error:
        assert len(str(error)) < 300
    assert time.perf_counter() - began < 1  # the slowest takes 0.1 s, a quadratic one from 4 s up


def random_layout(random):
    sizes = [0, 1, 2, 3, 8, 24, 64, 2**31, 2**63, 2**64, -1, True, 1.0, None, "3"]
    dtypes = [
        *NOTHING,
        "<f8",
        ">f4",
        "<f16",
        "<c8",
        "|b1",
        "?",
        "S8",
        "<U2",
        "V3",
        "M8[s]",
        "M8[3s]",
        "m8",
        "O",
        "i4,i4",
    ]

    def shape():
        return [random.choice(sizes[: random.choice((4, 7, 15))]) for _ in range(random.choice((0, 1, 1, 2, 3, 65)))]

    def offset():
        return random.choice(sizes) if random.random() < 0.1 else random.randrange(25)

    def one():
        dtype = (
            random.choice(dtypes) if random.random() < 0.9 else "".join(random.choices("fiSUVM8[]0123<>|/,()sY", k=4))
        )
        return {"dtype": dtype, "shape": shape()}

    if random.random() < 0.5:
        return one()
    return {"tensors": {name: {**one(), "data_offsets": [offset(), offset()]} for name in "abc"[: random.randrange(4)]}}


def test_every_array_that_is_handed_out_covers_the_bytes_that_came():
    body = bytearray(24)
    begin = np.frombuffer(body, np.uint8).ctypes.data
    dice = random.Random(20261130)
    made = 0
    for _ in range(20_000):
        layout = random_layout(dice)
        size = dice.choice((0, 8, 24))
        try:
            value = _arrays.value(memoryview(body)[:size], layout)
        except framecall.ProtocolError:
            continue
        made += 1
        arrays = list(value.values()) if isinstance(value, dict) else [value]
        assert sum(array.nbytes for array in arrays) <= size
        if isinstance(value, np.ndarray):
            assert value.nbytes == size
        for array in arrays:
            assert array.nbytes == array.size * array.itemsize and array.flags.c_contiguous
            assert array.nbytes == 0 or begin <= array.ctypes.data <= begin + size - array.nbytes
    assert made > 200


def test_the_header_says_it_in_numpys_words(client):
    with framecall.RawClient(client._addresses[0]) as peer:
        header = {"id": 1, "method": "back", "body_size": 8, "dtype": "<i4", "shape": [1, 2]}
        peer.send(framecall.encode_frame(header, bytes(8)))
        answer = peer.receive(65536)
        size = int.from_bytes(answer[:4], "little")
        assert framecall.decode_header(answer[4 : 4 + size]) == {
            "jsonrpc": "2.0",
            "id": 1,
            "result": None,
            "body_size": 8,
            "dtype": "<i4",
            "shape": [1, 2],
        }


WITHOUT = """
import sys
sys.modules["numpy"] = None
import framecall
server = framecall.Server("127.0.0.1:0")
@server.handler
def give(request):
    return framecall.Response(None, b"12345678")
with server, framecall.Client(server.address) as client:
    assert bytes(client.call("upper", body=b"a")) == b"A"
    reply = client.request("give")
    try:
        reply.array()
    except ImportError:
        print("ok")
"""


def test_without_numpy():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("ok\n", "")


HUGE = """
import resource, sys, threading, time
import numpy as np, framecall

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

size = int(sys.argv[2]) << 20
if sys.argv[1] == "serve":
    server = framecall.Server("127.0.0.1:0", max_body=size)
    @server.method
    def back(body: np.ndarray):
        return body
    with server:
        before = peak()
        print(server.address, flush=True)
        sys.stdin.readline()
        print((peak() - before) / (size >> 20), flush=True)
else:
    array = np.arange(size // 8)
    with framecall.Client(sys.argv[3], max_body=size) as client:
        client.call("echo", 1)
        before = peak()
        back = client.call("back", body=array)
        print((peak() - before) / (size >> 20), np.array_equal(back, array), flush=True)
"""


def round_trip(mebibytes):
    """Peak memory of both sides above their start, in copies of the array."""
    command = [sys.executable, "-c", HUGE]
    with subprocess.Popen(
        [*command, "serve", str(mebibytes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        address = server.stdout.readline().strip()
        client = subprocess.run(
            [*command, "call", str(mebibytes), address], stdout=subprocess.PIPE, text=True, timeout=120, check=True
        )
        server.stdin.write("\n")
        server.stdin.flush()
        of_server = float(server.stdout.readline())
    of_client, same = client.stdout.split()
    assert same == "True"
    return float(of_client), of_server


def test_one_copy_of_a_large_array_on_each_side():
    of_client, of_server = round_trip(128)
    assert of_client < 1.25 and of_server < 1.25
