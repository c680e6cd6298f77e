"""NumPy arrays as bodies, both ways; and without NumPy."""

import json
import subprocess
import sys

import framecall
import framecall.aio
import pytest
from serving import answering

np = pytest.importorskip("numpy")


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
    {"dtype": "|u1", "shape": [24] + [1] * 70},
    {"tensors": [1]},
    {"tensors": {"a": {"dtype": "<f8", "shape": [3]}}},
    {"tensors": {"a": {"dtype": "<f8", "shape": [3], "data_offsets": [0, 25]}}},
    {"tensors": {"a": {"dtype": "<f8", "shape": [3], "data_offsets": [8, 0]}}},
    {"tensors": {"a": {"dtype": "<f8", "shape": [3], "data_offsets": [-8, 16]}}},
    {"tensors": {"a": {"dtype": "<f8", "shape": [2], "data_offsets": [0, 24]}}},
    {"tensors": {"a": 5}},
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
    for lie in LIES[:18]:
        frame = framecall.encode_frame({"id": 1, "method": "back", "body_size": 24, **lie}, bytes(24))
        with framecall.RawClient(address) as peer:
            peer.send(frame)
            answer = framecall.decode_header(peer.receive(65536)[4:])
            assert answer["error"]["code"] == -32602 and answer["error"]["message"].startswith("body: ")


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
