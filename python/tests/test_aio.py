"""framecall.aio.Client: many calls in flight, cancelled, late, over TLS, in several loops."""

import array
import asyncio
import collections.abc
import gc
import mmap
import os
import socket
import ssl
import subprocess
import threading
import time

import framecall
import framecall.aio
import pytest
from serving import ENDLESS, answering, make_endless_server, make_server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with make_server(root=tmp_path_factory.mktemp("root")) as server:
        yield server


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def test_calls(server, run):
    async def main():
        async with framecall.aio.Client(server.address) as client:
            assert await client.call("add", 2, 3) == 5
            assert await client.call("add", a=2) == 3
            assert bytes(await client.call("upper", body=b"hello")) == b"HELLO"
            reply = await client.request("tell", [1], body=b"x", metadata={"a": "b"}, timeout=5, digest=True)
            assert reply.metadata == {"answered": "yes"} and bytes(reply.body) == b"x"
            assert reply.result["metadata"] == {"a": "b"} and reply.result["timeout"] == 5
            await client.notify("add", 1)
            assert await asyncio.gather(*(client.call("add_later", i) for i in range(500))) == list(range(1, 501))
            async with client.pipeline() as pipeline:
                assert [pipeline.call("add", i) for i in range(10)] == list(range(10))
                assert await pipeline.execute() == list(range(1, 11))
                pipeline.call("fail")
                assert isinstance((await pipeline.execute(return_errors=True))[0], framecall.RemoteError)
                pipeline.call("add", 1)
            with pytest.raises(framecall.RemoteError, match="oops"):
                await client.call("fail")
            with pytest.raises(TypeError, match=r"params\[0\]: set has no JSON"):
                await client.call("add", set())
            assert repr(client) == f"<framecall.aio.Client to {server.address}>"
        with pytest.raises(ValueError, match="the client is closed"):
            await client.call("add", 1)

    run(main())


def test_what_was_sent_before_close_leaves(run):
    """A notification beside a call under way waits for the end of the loop's turn."""

    async def main(listener):
        async with framecall.aio.Client(f"127.0.0.1:{listener.getsockname()[1]}") as client:
            call = asyncio.ensure_future(client.call("wait"))
            loop = asyncio.get_running_loop()
            connection, _ = await loop.run_in_executor(None, listener.accept)
            connection.settimeout(60)
            stream = connection.makefile("rb")
            await loop.run_in_executor(None, stream.read, 10)
            await client.notify("last words")
        with pytest.raises(framecall.UnavailableError):
            await call
        with connection, stream:
            return await loop.run_in_executor(None, stream.read)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        assert b"last words" in run(main(listener))


def test_large_bodies(server, run):
    async def main():
        content = os.urandom(5_000_000)
        async with framecall.aio.Client(server.address) as client:
            bodies = await asyncio.gather(*(client.call("echo", body=content) for _ in range(8)))
            assert all(body == content for body in bodies)
            small = [client.call("echo", body=bytes([i]) * 70_000) for i in range(50)]
            assert [bytes(body[:1]) for body in await asyncio.gather(*small)] == [bytes([i]) for i in range(50)]

    run(main())


def bodies(size):
    """Bodies of `size` bytes, of every kind that Python has, and the layouts that they are sent with."""
    content = os.urandom(size)
    pages = mmap.mmap(-1, size)
    pages[:] = content
    doubles = array.array("d", bytes(size))
    yield content, content, 1
    yield bytearray(content), content, 1
    yield memoryview(content), content, 1
    yield memoryview(content).cast("B", (2, size // 2)), content, 1
    yield pages, content, 1
    yield doubles, bytes(size), 1
    yield memoryview(doubles), bytes(size), 1
    np = pytest.importorskip("numpy")
    one = np.frombuffer(content, ">u2")
    yield memoryview(one), content, 1
    for whole in (one, one.reshape(2, -1), np.frombuffer(content, "M8[s]"), np.frombuffer(content, "S8")):
        yield whole, content, 1
    yield np.asfortranarray(one.reshape(2, -1)), content, 1
    yield {"a": one, "b": one.reshape(2, -1)}, content + content, 2


@pytest.mark.parametrize("size", [8, 65_536 - 8, 65_536, 800_000])
def test_bodies_of_every_kind(server, run, size):
    async def main():
        async with framecall.aio.Client(server.address, timeout=20) as client:
            for body, content, copies in bodies(size):
                reply = await client.request("tell", body=body)
                assert reply.result["size"] >= size * copies
                if size > 64 or copies == 1:
                    assert bytes(reply.body) == content or copies == 2
                async with client.stream("converse", sending=True) as stream:
                    assert await stream.send(1, body=body)
                    await stream.finish_sending()
                    assert sum([part.body.nbytes async for part in stream]) == reply.result["size"]
                assert await client.call("add", 1) == 2

    run(main())


def test_a_body_that_cannot_be_sent_sends_nothing(server, run):
    """What fails in front of the first byte leaves the connection as it was; what fails behind it ends the connection."""

    async def main():
        async with framecall.aio.Client(server.address, timeout=20) as client:
            assert await client.call("add", 1) == 2
            session = client._session
            for wrong in (5, "text", [1], memoryview(bytes(200_000))[::2], {"a": 1}):
                with pytest.raises((TypeError, BufferError)):
                    await client.call("echo", body=wrong)
                with pytest.raises((TypeError, BufferError)):
                    await client.stream("converse", body=wrong).__anext__()
            assert session.in_flight == 0
            waiting = asyncio.ensure_future(client.call("sleep_later", 20))
            assert await client.call("add", 1) == 2 and client._session is session
            try:
                session.transport.write_eof()
                await client.call("echo", body=bytes(100_000))
            except RuntimeError:  # of asyncio; uvloop closes the connection by itself
                pass
            except framecall.UnavailableError:
                pass
            with pytest.raises(framecall.UnavailableError):
                await waiting
            assert session.in_flight == 0 and session.closing
            assert await client.call("add", 1) == 2 and client._session is not session

    run(main())


@pytest.fixture(scope="module")
def endless():
    with make_endless_server() as server:
        yield server


@pytest.mark.parametrize(("method", "params"), ENDLESS)
def test_an_abandoned_stream_is_cancelled(endless, run, method, params):
    async def left_by_break(client):
        async for _ in client.stream(method, params):
            break

    async def left_by_an_exception(client):
        with pytest.raises(KeyError):
            async for _ in client.stream(method, params):
                raise KeyError

    async def forgotten(client):
        stream = client.stream(method, params)
        assert await stream.__anext__()

    async def forgotten_in_a_cycle(client):
        stream = client.stream(method, params)
        assert await stream.__anext__()
        stream.itself = stream
        del stream
        await asyncio.get_running_loop().run_in_executor(None, gc.collect)

    async def left_by_with(client):
        async with client.stream(method, params) as stream:
            assert await stream.__anext__()

    async def cancelled(client):
        stream = client.stream(method, params)
        assert await stream.__anext__()
        stream.cancel()
        assert [part async for part in stream] == [] and stream.metadata == {}

    async def main():
        async with framecall.aio.Client(endless.address, timeout=20) as client:
            for leave in (
                left_by_break,
                left_by_an_exception,
                forgotten,
                forgotten_in_a_cycle,
                left_by_with,
                cancelled,
            ):
                endless.ended.clear()
                await leave(client)
                ended = await asyncio.get_running_loop().run_in_executor(None, endless.ended.wait, 10)
                assert ended, leave.__name__
                assert client._session.in_flight == 0
            assert await client.call("echo", 1) == [1]

    run(main())


def test_a_task_that_sends_and_one_that_reads_begin_one_call(server, run):
    async def main():
        async with framecall.aio.Client(server.address, timeout=20) as client:
            stream = client.stream("converse", sending=True)

            async def send():
                for i in range(10):
                    await stream.send(i)
                await stream.finish_sending()

            async def read():
                return [part.value async for part in stream]

            assert (await asyncio.gather(read(), send()))[0] == list(range(10))

    run(main())


def test_a_stream_has_the_metadata_of_its_reply(server, run):
    async def main():
        async with framecall.aio.Client(server.address) as client:
            stream = client.stream("tell")
            assert stream.metadata == {}
            assert len([part async for part in stream]) == 1
            assert stream.metadata == {"answered": "yes"}

    run(main())


@pytest.mark.parametrize("kind", ["", "_later"])
def test_streams(server, run, kind):
    async def main():
        async with framecall.aio.Client(server.address) as client:
            assert [part.value async for part in client.stream("count" + kind, [5])] == [0, 1, 2, 3, 4]
            stream = client.stream("total" + kind, sending=True)
            for i in range(100):
                assert await stream.send(i)
            await stream.finish_sending()
            assert [part.value async for part in stream] == [4950]
            async with client.stream("converse" + kind, sending=True) as stream:
                await stream.send(1, body=b"x" * 100_000)
                async for part in stream:
                    assert (part.value, part.body.nbytes) == (1, 100_000)
                    await stream.finish_sending()
            with pytest.raises(ValueError):
                await stream.send(1)
            with pytest.raises(framecall.RemoteError):
                async for _ in client.stream("no.such.method"):
                    pass
            assert await client.call("add", 1) == 2

    run(main())


def test_a_stream_that_is_not_read_is_held_back(server, run):
    async def main():
        async with framecall.aio.Client(server.address) as client:
            stream = client.stream("count_later", {"n": 200, "size": 100_000})
            first = await stream.__anext__()
            await asyncio.sleep(0.2)
            assert stream._inbox.unread < 4 << 20
            assert first.value == 0 and [part.value async for part in stream] == list(range(1, 200))
            assert await client.call("add", 1) == 2

    run(main())


def test_a_cancelled_task_cancels_its_call(server, run):
    async def main():
        async with framecall.aio.Client(server.address) as client:
            await client.call("add", 1)
            server.began.clear()
            server.told.clear()
            task = asyncio.ensure_future(client.call("sleep_later", 20))
            assert await asyncio.get_running_loop().run_in_executor(None, server.began.wait, 20)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.get_running_loop().run_in_executor(None, server.told.wait, 20)
            assert client._session.in_flight == 0
            stream = client.stream("converse_later", sending=True)
            await stream.send(1)
            assert (await stream.__anext__()).value == 1
            stream.cancel()
            assert [part async for part in stream] == []
            assert await client.call("add", 1) == 2

    run(main())


def test_a_call_is_a_coroutine(server, run):
    """It is compiled, but tasks and people may do with it what they do with one of `async def`."""

    async def main():
        async with framecall.aio.Client(server.address) as client:
            for connected in (False, True):  # it waits for a connection first, or not
                call = client.call("add", 1)
                assert asyncio.iscoroutine(call) and isinstance(call, collections.abc.Coroutine)
                assert call.__name__ == "call" and call.__qualname__ == "Client.call" and "Client.call" in repr(call)
                assert await call == 2, connected
                with pytest.raises(RuntimeError, match="already awaited"):
                    await call
            assert await asyncio.create_task(client.call("add", 2)) == 3
            assert await asyncio.wait_for(client.call("add", 3), 30) == 4
            assert await asyncio.gather(client.call("add", 4), client.call("add_later", 5)) == [5, 6]
            assert await client.call("sleep", 0) is None

            with pytest.raises(TypeError, match="method"):
                await client.call()
            with pytest.raises(TypeError):
                await client.call(1)
            with pytest.raises(framecall.RemoteError, match="oops") as caught:
                await client.call("fail")
            assert caught.traceback[0].name == "main"

            with pytest.warns(RuntimeWarning, match="coroutine 'Client.call' was never awaited"):
                client.call("add", 1)
            client.call("add", 1).close()  # says that it is not wanted: no warning
            with pytest.raises(ValueError, match="mine"):
                client.call("add", 1).throw(ValueError("mine"))
            call = client.call("add", 1)
            with pytest.raises(TypeError):
                call.throw(1)
            call.close()

            # Closed while it waits: the server is told.
            server.began.clear()
            server.told.clear()
            call = client.call("sleep_later", 20)
            assert asyncio.isfuture(call.send(None))
            assert await asyncio.get_running_loop().run_in_executor(None, server.began.wait, 20)
            call.close()
            assert await asyncio.get_running_loop().run_in_executor(None, server.told.wait, 20)
            assert client._session.in_flight == 0

    run(main())


def test_a_call_that_is_cancelled_while_it_connects(run):
    async def main():
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:  # TLS never begins: nobody answers
            address = f"127.0.0.1:{listener.getsockname()[1]}"
            async with framecall.aio.Client(address, ssl=ssl.create_default_context()) as client:
                task = asyncio.ensure_future(client.call("add", 1))
                connection, _ = await asyncio.get_running_loop().run_in_executor(None, listener.accept)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                connection.close()
                with pytest.raises(TimeoutError, match="could not begin"):
                    await client.call("add", 1, timeout=0.05)

    run(main())


def test_a_call_that_is_late(server, run):
    async def main():
        async with framecall.aio.Client(server.address) as client:
            long = asyncio.ensure_future(client.call("sleep_later", 0.5))
            began = time.monotonic()
            with pytest.raises(TimeoutError):  # whose clock is first does not matter
                await client.call("sleep_later", 20, timeout=0.1)
            assert time.monotonic() - began < 5
            assert await long is None
        with answering() as address:
            async with framecall.aio.Client(address, timeout=0.1) as client:
                with pytest.raises(TimeoutError, match='no reply to "add"'):
                    await client.call("add", 1)

    run(main())


def test_what_breaks(run):
    async def main():
        with serving(drain_timeout=0.05) as server:
            client = framecall.aio.Client(server.address)
            calls = [asyncio.ensure_future(client.call("sleep_later", 20)) for _ in range(10)]
            stream = await client.stream("converse_later", sending=True).__aenter__()
            while client._session.in_flight < 11:
                await asyncio.sleep(0)
            await asyncio.get_running_loop().run_in_executor(None, server.stop)
            for error in await asyncio.gather(*calls, return_exceptions=True):
                # Cancelled: the server could still say so.
                assert isinstance(error, (framecall.UnavailableError, framecall.CancelledError))
            with pytest.raises((framecall.UnavailableError, framecall.CancelledError)):
                await stream.__anext__()
            address = server.address
        with pytest.raises(ConnectionRefusedError, match=r"cannot connect to .* \(2 attempts\)"):
            await framecall.aio.Client(address, attempts=2, backoff=0.01).call("add", 1)
        await client.close()

    run(main())


def test_connects_again_after_a_restart(run):
    async def main():
        with serving() as server:
            client = framecall.aio.Client(server.address)
            assert await client.call("add", 1) == 2
            await asyncio.get_running_loop().run_in_executor(None, server.stop)
        with serving(address=server.address) as server:
            assert (await client.request("add", [1], idempotent=True)).result == 2
        await client.close()

    run(main())


def test_an_idempotent_call_is_sent_twice_at_most_and_pauses_in_between(run):
    """It may be what has ended the server."""
    carried_out = []

    async def lose(reader, writer):
        if await reader.read(1000):
            carried_out.append(time.monotonic())
        writer.close()

    async def main():
        server = await asyncio.start_server(lose, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        async with framecall.aio.Client(f"{host}:{port}", attempts=10, backoff=0.2) as client:
            with pytest.raises(framecall.UnavailableError):
                await client.request("x", idempotent=True)
            assert len(carried_out) == 2
            assert carried_out[1] - carried_out[0] >= 0.1
            with pytest.raises(framecall.UnavailableError):
                await client.request("x", idempotent=True, timeout=0.05)
            assert len(carried_out) == 3, "no time was left for another"
        server.close()

    run(main())


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"\xff\xff\xff\xff", framecall.ProtocolError),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", framecall.ProtocolError),
        (framecall.encode_frame({"id": 1}), framecall.ProtocolError),
        (framecall.encode_frame({"id": None, "error": {"code": -32600, "message": "no"}}), framecall.RemoteError),
    ],
)
def test_replies_that_are_none(run, reply, error):
    async def main():
        with answering(reply) as address:
            async with framecall.aio.Client(address) as client:
                with pytest.raises(error):
                    await client.call("add", 1)

    run(main())


def test_misuse(server):
    for wrong in ("", "127.0.0.1", "127.0.0.1:99999"):
        with pytest.raises(ValueError):
            framecall.aio.Client(wrong)
    for several in ([server.address], (server.address, server.address), None):
        with pytest.raises(TypeError, match="takes a list of addresses"):
            framecall.aio.Client(several)

    async def main(client):
        return await client.call("add", 1)

    client = framecall.aio.Client(server.address)
    assert asyncio.run(main(client)) == 2
    with pytest.raises(RuntimeError, match="another event loop"):
        asyncio.run(main(client))
    with pytest.raises(ValueError, match="max_in_flight: at least 1, not 0"):
        asyncio.run(main(framecall.aio.Client(server.address, max_in_flight=0)))


def test_files(server, run, tmp_path):
    async def main():
        (tmp_path / "a").write_bytes(b"x" * 100_000)
        async with framecall.aio.Client(server.address) as client:
            await client.put(tmp_path / "a", "one")
            assert (await client.stat("one")).size == 100_000
            assert [info.name for info in await client.list("o")] == ["one"]
            assert await client.read("one", length=3) == b"xxx"
            assert await client.get("one", tmp_path / "b") == 100_000
            assert await client.send_file(tmp_path / "a", "two")
            for name in ("one", "two"):
                await client.remove(name)
            with pytest.raises(framecall.NotFoundError):
                await client.stat("one")

    run(main())


def test_unix_sockets(run, tmp_path):
    async def main():
        with serving(address=f"unix:{tmp_path}/s") as server:
            async with framecall.aio.Client(server.address) as client:
                assert await client.call("add", 1) == 2

    run(main())


def test_tls(server, run, tmp_path):
    """Through a proxy of the standard library that ends TLS."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    host, _, port = server.address.rpartition(":")

    async def pump(reader, writer):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def proxy(reader, writer):
        up_reader, up_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer), return_exceptions=True)

    async def main():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        listener = await asyncio.start_server(proxy, "127.0.0.1", 0, ssl=context)
        address = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        trusted = ssl.create_default_context(cafile=certificate)
        async with framecall.aio.Client(address, ssl=trusted, server_hostname="localhost") as client:
            content = os.urandom(2_000_000)
            assert await client.call("echo", body=content) == content
            assert await asyncio.gather(*(client.call("add", i) for i in range(200))) == list(range(1, 201))
            with pytest.raises(ValueError, match="TLS"):
                await client.list()
        async with framecall.aio.Client(address, ssl=True, server_hostname="localhost", attempts=1) as client:
            with pytest.raises(ssl.SSLCertVerificationError):
                await client.call("add", 1)
        listener.close()

    run(main())


def test_four_loops_in_four_threads(server):
    """10,000 calls each, up to 64 in flight."""
    problems = []

    async def main(base):
        async with framecall.aio.Client(server.address) as client:

            async def work(first):
                for i in range(first, 10_000, 64):
                    if await client.call("add", base, i) != base + i:
                        problems.append((base, i))

            await asyncio.gather(*(work(first) for first in range(64)))

    def run_loop(n):
        try:
            asyncio.run(main(n * 100_000))
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=run_loop, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert problems == []


def test_a_storm_of_cancelled_tasks_leaks_nothing(server, run):
    async def storm(client, count):
        tasks = [asyncio.ensure_future(client.call("sleep_later", 20)) for _ in range(count)]
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in results)
        assert client._session.in_flight == 0

    def memory():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    async def main():
        async with framecall.aio.Client(server.address) as client:
            await client.call("add", 1)
            await storm(client, 2000)  # what is allocated once
            gc.collect()
            before, size, futures = descriptors(), memory(), count_futures()
            for _ in range(10):
                await storm(client, 1000)
            assert await client.call("add", 1) == 2
            gc.collect()
            assert descriptors() <= before  # those of earlier tests may end meanwhile
            assert count_futures() <= futures + 5
            assert memory() - size < 20 << 20

    run(main())


def count_futures():
    return sum(isinstance(one, asyncio.Future) for one in gc.get_objects())


def test_a_client_that_is_forgotten_leaves_nothing(server):
    async def main():
        client = framecall.aio.Client(server.address)
        await client.call("add", 1)
        client._session.transport.abort()
        await client._session.ended

    asyncio.run(main())
    gc.collect()
    before = descriptors()
    for _ in range(5):
        asyncio.run(main())
    gc.collect()
    assert descriptors() == before
    assert not [one for one in gc.get_objects() if type(one).__name__ == "_Session" and one.closing is False]
