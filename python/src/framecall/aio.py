"""The client for asyncio: many calls in flight over one connection.

>>> import asyncio
>>> server = framecall.Server("127.0.0.1:0")
>>> @server.method
... async def add(a: int, b: int) -> int:
...     return a + b
>>> async def main():
...     async with server, framecall.aio.Client(server.address) as client:
...         print(await client.call("add", 2, 3))
...         print(await asyncio.gather(*(client.call("add", i, 1) for i in range(5))))
>>> asyncio.run(main())
5
[1, 2, 3, 4, 5]
"""

from __future__ import annotations

import asyncio
import collections
import errno
import socket
from typing import TYPE_CHECKING, Any

from framecall import _client, _core
from framecall._errors import UnavailableError

if TYPE_CHECKING:
    import os
    import ssl as ssl_module
    from collections.abc import Callable, Coroutine
    from typing import TypeVar

    _Result = TypeVar("_Result")

__all__ = ["Client", "Pipeline", "Stream"]


class _Session(_core.Session, asyncio.BufferedProtocol):
    """One connection: the loop moves the bytes, the compiled part understands them."""

    def __init__(
        self,
        shown: str,
        max_header: int,
        max_body: int,
        timeout: float | None,
        max_in_flight: int,
        dialect: str | os.PathLike[str],
    ) -> None:
        super().__init__(shown, max_header, max_body, timeout, max_in_flight, dialect)
        self.max_in_flight = max_in_flight
        self._waiting: collections.deque[asyncio.Future[None]] = collections.deque()  # for their turn
        self._shown = shown
        self._loop = asyncio.get_running_loop()
        self._alarm: asyncio.TimerHandle | None = None
        self._writable: asyncio.Future[None] | None = None
        self.transport: Any = None
        self.ended: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.attach(self._loop, asyncio.Future, transport, self._set_alarm, self._hold)

    def eof_received(self) -> bool:
        return False  # which closes

    def connection_lost(self, error: Exception | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        reason = f"{type(error).__name__}: {error}" if error else "closed by the server"
        self.lose(getattr(error, "errno", None) or errno.ECONNRESET, reason)
        self.resume_writing()
        self._let_in()
        if not self.ended.done():
            self.ended.set_result(None)

    # ---- limits

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()
        self.blocked = True

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None
        self.blocked = False

    async def writable(self) -> None:
        """Waits while the server is slow to take what was said."""
        while self._writable is not None:
            await asyncio.shield(self._writable)

    async def room(self) -> None:
        """Waits while max_in_flight calls are under way, in turn."""
        turn = self._loop.create_future()
        self._waiting.append(turn)
        self.call_when_room(self._let_in)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._let_in()  # it was our turn: the next one's
            raise

    def _let_in(self) -> None:
        room = len(self._waiting) if self.closing else self.max_in_flight - self.in_flight
        while self._waiting and room > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                room -= 1
        if self._waiting:
            self.call_when_room(self._let_in)

    def _hold(self, held: bool) -> None:
        """Streams have more parts than were read: the server has to wait."""
        if self.transport.is_closing():
            return
        if held:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()
            self._loop.call_soon(self.deliver)

    def _set_alarm(self, seconds: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_later(max(seconds, 0), self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self.expire()


class Client(_core.AsyncClient):
    """Calls the methods of one server from an asyncio loop: one connection, any number of calls in flight.

    `address` is "HOST:PORT", "[IPV6]:PORT" or "unix:PATH"; ValueError for anything else. Connects with the first call, and
    again when the connection was lost. `timeout`: seconds for a call that has none of its own, connecting included; None: no
    limit. `attempts`, `backoff`, `max_backoff`, `max_header`, `max_body`, `dialect`: as with framecall.Client. `ssl`: a
    context of the standard library's ssl, or True, for servers behind TLS; `server_hostname`: the name in their certificate.

    For one loop and its thread; another loop needs a Client of its own. A cancelled task cancels its call. Works with every
    loop that has create_connection(), uvloop among them.

    Above about `max_in_flight` calls at a time the others wait here for their turn. A server does not read on when it has
    128 (unless its --max-in-flight says otherwise), and so would not see that one is cancelled.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout: float | None = 30.0,
        attempts: int = 3,
        backoff: float = 0.05,
        max_backoff: float = 2.0,
        max_header: int = 1 << 20,
        max_body: int = 1 << 30,
        max_in_flight: int = 100,
        dialect: str | os.PathLike[str] = "default",
        ssl: ssl_module.SSLContext | bool | None = None,
        server_hostname: str | None = None,
    ) -> None:
        if not isinstance(address, str):
            raise TypeError(f"address: one str, not {address!r:.60}; framecall.Client takes a list of addresses")
        # For files, and to judge the arguments.
        self._files = _client.Client(
            address,
            timeout=timeout,
            attempts=attempts,
            backoff=backoff,
            max_backoff=max_backoff,
            max_header=max_header,
            max_body=max_body,
            dialect=dialect,
        )
        self._address = address
        self._timeout = timeout
        self._attempts = attempts
        self._backoff = (backoff, max_backoff)
        self._limits = (max_header, max_body, timeout, max_in_flight, dialect)
        self._ssl = ssl
        self._server_hostname = server_hostname
        self._session: _Session | None = None
        self._sessions: set[_Session] = set()  # the ones that still wait for answers, too
        self._connecting: asyncio.Future[_Session] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<framecall.aio.Client to {self._address}{', closed' if self._closed else ''}>"

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection: calls under way raise UnavailableError. May be called again; a call afterwards raises
        ValueError."""
        self._closed = True
        self._files.close()
        sessions = list(self._sessions)
        for session in sessions:
            if not session.transport.is_closing():
                session.flush()  # what was begun in this turn of the loop
            session.transport.close()
        for session in sessions:
            await asyncio.wait([session.ended], timeout=1)  # TLS says goodbye; nobody waits for long
            session.transport.abort()

    # ---- calls

    async def request(
        self,
        method: str,
        params: list[Any] | tuple[Any, ...] | dict[str, Any] | None = None,
        *,
        body: Any = None,
        timeout: float | None = None,
        metadata: dict[str, str] | None = None,
        idempotent: bool = False,
        digest: bool = False,
    ) -> _core.Reply:
        """As framecall.Client.request()."""
        limit = self._timeout if timeout is None else timeout
        clock = asyncio.get_running_loop().time
        end = None if limit is None else clock() + limit
        left = timeout
        tries = 0
        while True:
            try:
                return await self._request(method, params, body=body, timeout=left, metadata=metadata, digest=digest)
            except UnavailableError:
                if not idempotent or self._closed:
                    raise
                tries += 1
                left = None if end is None else end - clock()
                pause = _core.pause_before_retry(tries, self._attempts, *self._backoff, left)
                if pause is None:
                    raise
            await asyncio.sleep(pause)
            left = None if end is None else end - clock()

    async def notify(
        self,
        method: str,
        /,
        *args: Any,
        body: Any = None,
        timeout: float | None = None,
        metadata: dict[str, str] | None = None,
        **params: Any,
    ) -> None:
        """As framecall.Client.notify()."""
        session = await self._ready(timeout)
        session.start_notify(method, *args, body=body, timeout=timeout, metadata=metadata, **params)

    def pipeline(self) -> Pipeline:
        """Many calls in one go. asyncio.gather() of call() does the same."""
        return Pipeline(self)

    def stream(
        self,
        method: str,
        params: list[Any] | tuple[Any, ...] | dict[str, Any] | None = None,
        *,
        body: Any = None,
        timeout: float | None = None,
        metadata: dict[str, str] | None = None,
        digest: bool = False,
        sending: bool = False,
    ) -> Stream:
        """A call that is answered part by part: `async for part in client.stream(...)`. It begins when it is iterated over,
        sent to, or entered with `async with`. `sending`: parts go the other way, too, see Stream.send(). `timeout` counts for
        all of it; None: the client's does.

        A stream that is not read holds up what else comes over the connection, above 1 MiB.
        """
        options = {"body": body, "timeout": timeout, "metadata": metadata, "digest": digest, "sending": sending}
        return Stream(self, method, params, options)

    # ---- files: on threads of the loop's default executor

    async def put(
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        *,
        resume: bool = False,
        replace: bool = True,
        progress: Callable[[int, int], object] | None = None,
    ) -> str:
        """As framecall.Client.put(), on a thread of the loop's executor; `progress` is called there."""
        return await self._on_thread(
            lambda files: files.put(path, name, resume=resume, replace=replace, progress=progress)
        )

    async def get(
        self,
        name: str,
        path: str | os.PathLike[str] | None = None,
        *,
        resume: bool = False,
        offset: int = 0,
        length: int | None = None,
        max_size: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> int:
        """As framecall.Client.get(), on a thread of the loop's executor; `progress` is called there."""
        return await self._on_thread(
            lambda files: files.get(
                name, path, resume=resume, offset=offset, length=length, max_size=max_size, progress=progress
            )
        )

    async def read(self, name: str, *, offset: int = 0, length: int | None = None, max_size: int = 1 << 30) -> bytes:
        """As framecall.Client.read()."""
        return await self._on_thread(lambda files: files.read(name, offset=offset, length=length, max_size=max_size))

    async def list(self, prefix: str = "") -> list[_core.FileInfo]:
        """As framecall.Client.list()."""
        return await self._on_thread(lambda files: files.list(prefix))

    async def stat(self, name: str) -> _core.FileInfo:
        """As framecall.Client.stat()."""
        return await self._on_thread(lambda files: files.stat(name))

    async def remove(self, name: str) -> None:
        """As framecall.Client.remove()."""
        await self._on_thread(lambda files: files.remove(name))

    async def send_file(
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        *,
        dialect: str | os.PathLike[str] | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> bool:
        """As framecall.Client.send_file(), on a thread of the loop's executor; `progress` is called there."""
        return await self._on_thread(lambda files: files.send_file(path, name, dialect=dialect, progress=progress))

    async def _on_thread(self, work: Callable[[_client.Client], _Result]) -> _Result:
        if self._ssl:
            raise ValueError("files do not go over TLS: use a framecall.aio.Client without ssl")
        return await asyncio.get_running_loop().run_in_executor(None, work, self._files)

    # ---- the connection

    async def _ready(self, timeout: float | None) -> _Session:
        """A connection for another call, in time."""
        session = self._session
        if session is not None and session.ready and self._is_here():
            return session
        limit = self._timeout if timeout is None else timeout
        try:
            return await asyncio.wait_for(self._wait_ready(), limit)
        except asyncio.TimeoutError:
            raise TimeoutError(f"{self._address}: no reply in time: the call could not begin") from None

    async def _wait_ready(self) -> _Session:
        while True:
            if self._session is None or self._session.closing or not self._is_here():
                await self._connect()
            session = self._session
            if session is None:
                raise ValueError("the client is closed")
            if session.blocked:
                await session.writable()
            elif session.closing:
                continue
            elif session.in_flight < session.max_in_flight:
                return session
            else:
                await session.room()

    def _is_here(self) -> bool:
        return self._loop is asyncio.get_running_loop()

    async def _connect(self) -> None:
        """Many calls may wait for one connection; the first one makes it."""
        if self._closed:
            raise ValueError("the client is closed")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise RuntimeError("this Client belongs to another event loop")
        if self._connecting is None:
            self._connecting = loop.create_task(self._open())
            self._connecting.add_done_callback(self._connected)
        await asyncio.shield(self._connecting)

    def _connected(self, connecting: asyncio.Future[_Session]) -> None:
        self._connecting = None
        if connecting.cancelled() or connecting.exception() is not None:
            return
        session = connecting.result()
        if self._closed:
            session.transport.abort()
            return
        self._session = session
        self._sessions.add(session)
        session.ended.add_done_callback(lambda _: self._sessions.discard(session))

    async def _open(self) -> _Session:
        for attempt in range(1, self._attempts + 1):
            try:
                return await self._open_once()
            except OSError as error:
                unknown = isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN
                if unknown:
                    raise socket.gaierror(
                        error.errno, f"host not found: {self._address}: {error.strerror or error}"
                    ) from None
                if attempt == self._attempts:
                    message = f"cannot connect to {self._address} ({attempt} attempts): {error.strerror or error}"
                    raise type(error)(error.errno, message) from None
            await asyncio.sleep(_core.retry_pause(attempt, *self._backoff))
        raise AssertionError("attempts is at least 1")

    async def _open_once(self) -> _Session:
        loop = asyncio.get_running_loop()

        def make() -> _Session:
            return _Session(self._address, *self._limits)

        tls: dict[str, Any] = {}
        if self._ssl:
            tls = {"ssl": self._ssl, "server_hostname": self._server_hostname}
        if self._address.startswith("unix:"):
            if tls and self._server_hostname is None:
                tls["server_hostname"] = ""
            _, session = await loop.create_unix_connection(make, self._address[len("unix:") :], **tls)
            return session
        host, _, port = self._address.rpartition(":")
        _, session = await loop.create_connection(make, host.strip("[]"), int(port), **tls)
        return session


class Pipeline:
    """Calls that begin together."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._calls: list[Coroutine[Any, Any, Any]] = []

    def __len__(self) -> int:
        return len(self._calls)

    def call(
        self, method: str, /, *args: Any, body: Any = None, metadata: dict[str, str] | None = None, **params: Any
    ) -> int:
        """One more, as Client.call(). Returns its place in the list of results."""
        self._calls.append(self._client.call(method, *args, body=body, metadata=metadata, **params))
        return len(self._calls) - 1

    async def execute(self, *, timeout: float | None = None, return_errors: bool = False) -> list[Any]:
        """Waits for all, at most `timeout` seconds; the results are in the order of the calls. Raises the first error, or,
        with `return_errors`, puts errors into the list. Empty afterwards."""
        calls, self._calls = self._calls, []
        return await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=return_errors), timeout)

    async def __aenter__(self) -> Pipeline:
        return self

    async def __aexit__(self, *exception: object) -> None:
        for call in self._calls:
            call.close()
        self._calls.clear()


class _Inbox:
    """The parts of one streamed call that nobody has read yet. The session holds it, and so not the Stream: a Stream that is
    forgotten cancels its call."""

    def __init__(self) -> None:
        self.session: _Session | None = None  # none: the call has not begun
        self.id = 0
        self.parts: collections.deque[_core.Part] = collections.deque()
        self.unread = 0
        self.ended = False
        self.error: BaseException | None = None
        self.metadata: dict[str, str] = {}
        self.reader: asyncio.Future[None] | None = None

    # what the compiled part calls

    def deliver(self, part: _core.Part | None, last: bool, metadata: dict[str, str] | None) -> None:
        if part is not None:
            self.parts.append(part)
            self._count(part.body.nbytes + 256)
        self.ended = self.ended or last
        if metadata is not None:
            self.metadata = metadata
        self.wake()

    def fail(self, error: BaseException) -> None:
        self.error, self.ended = error, True
        self.wake()

    # what the Stream calls

    def wake(self) -> None:
        if self.reader is not None and not self.reader.done():
            self.reader.set_result(None)

    def take(self) -> _core.Part:
        part = self.parts.popleft()
        self._count(-part.body.nbytes - 256)
        return part

    def _count(self, more: int) -> None:
        self.unread += more
        if self.session is not None:
            self.session.set_unread(self.id, self.unread)

    def cancel(self) -> None:
        if not self.ended and self.session is not None:
            self.session.cancel(self.id)
        self.ended = True
        self.error = None
        self.parts.clear()
        self.wake()


class Stream:
    """One streamed call: an asynchronous iterator over the parts of its reply. One task at a time reads, one sends.

    A stream that is left before its end, by `break`, by an exception or with `async with`, cancels its call.
    """

    def __init__(self, client: Client, method: str, params: Any, options: dict[str, Any]) -> None:
        self._client = client
        self._call = (method, params)
        self._options = options
        self._sending: bool = options["sending"]
        self._inbox = _Inbox()
        self._beginning: asyncio.Lock | None = None

    async def _begin(self) -> _Session:
        inbox = self._inbox
        if inbox.session is not None:
            return inbox.session
        if self._beginning is None:
            self._beginning = asyncio.Lock()
        async with self._beginning:  # the task that reads and the one that sends may both come first
            if inbox.session is None:
                session = await self._client._ready(self._options["timeout"])
                inbox.id = session.start_stream(inbox, *self._call, **self._options)
                inbox.session = session
        return inbox.session

    def __del__(self) -> None:
        inbox = self._inbox
        if inbox.session is None or inbox.ended:
            return
        loop = inbox.session._loop
        if asyncio._get_running_loop() is loop:
            inbox.cancel()
        elif not loop.is_closed():  # the garbage collector runs on any thread
            loop.call_soon_threadsafe(inbox.cancel)

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> _core.Part:
        inbox = self._inbox
        if not inbox.ended:
            await self._begin()
        while not inbox.parts and not inbox.ended:
            inbox.reader = asyncio.get_running_loop().create_future()
            await inbox.reader
        if inbox.parts:
            return inbox.take()
        if inbox.error is not None:
            error, inbox.error = inbox.error, None
            raise error
        raise StopAsyncIteration

    @property
    def metadata(self) -> dict[str, str]:
        """Behind the last part: the metadata of the reply, a dict of strings; before it and without any, an empty one."""
        return self._inbox.metadata

    async def send(self, value: Any = None, *, body: Any = None) -> bool:
        """Sends a part; only with `sending`, and before finish_sending(): ValueError. False: the server has answered already
        and takes no more; iterating returns the answer."""
        if not self._sending:
            raise ValueError("send() to a stream whose parts are all sent, or without sending=True")
        session = await self._begin()
        if self._inbox.ended:
            return False
        session.send_part(self._inbox.id, value, body, True)
        await session.writable()
        return not self._inbox.ended

    async def finish_sending(self) -> None:
        """No more parts will be sent."""
        if self._sending and not self._inbox.ended:
            session = await self._begin()
            if not self._inbox.ended:
                session.send_part(self._inbox.id, None, None, False)
        self._sending = False

    def cancel(self) -> None:
        """Cancels the call. Iterating then ends, and send() raises ValueError."""
        self._sending = False
        self._inbox.cancel()

    async def __aenter__(self) -> Stream:
        await self._begin()
        return self

    async def __aexit__(self, *exception: object) -> None:
        self.cancel()
