"""The server: C++ moves the bytes and answers for itself, Python functions answer the calls."""

from __future__ import annotations

import asyncio
import atexit
import collections.abc
import contextlib
import functools
import inspect
import logging
import os
import signal
import sys
import threading
import traceback
import weakref
from typing import TYPE_CHECKING, Any, Callable, Literal, TypeVar, overload

from framecall import _arrays, _core, _errors, _schema

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator, Sequence

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Protocol = Literal["frames", "echo", "http"]
_Access = Literal["read", "write", "no-replace", "no-remove"]
_Durability = Literal["none", "close", "full"]

_NOT_SETTINGS = ("self", "address", "loop_factory", "debug")  # parameters of Server
_logger = logging.getLogger("framecall")
_LEVELS = (logging.INFO, logging.WARNING, logging.ERROR)
_running: set[Server] = set()  # what a running server uses has to stay, whoever has forgotten it
_all: weakref.WeakSet[Server] = weakref.WeakSet()


class Server:
    """Answers calls with Python functions, takes files, and is what `framecall serve` is besides.

    `address` is "HOST:PORT", "[IPV6]:PORT" or "unix:PATH"; port 0 picks one, `.address` tells which. Bound at once, so that
    errors show here: OSError for an address that cannot be bound and a folder that cannot be written to, ValueError for what
    is no address and for settings out of range.

    Methods are functions with a decorator. A `def` runs on one of `handler_threads` threads, an `async def` on an asyncio
    loop: the running one in `async with server`, else one of the server's own, made by `loop_factory`. Generators of either
    kind stream. Pings, health, rpc.discover and files are answered by C++ threads (`threads` event loops; more than one helps
    with files), which never wait for Python.

    The other keywords are the settings of `framecall serve`; docs/SETTINGS.md describes them. Sizes are in bytes, times in
    seconds; None is the default. `root`: the folder for uploads and file methods; without one they are refused. It should be a
    folder of its own: a peer that may write to a folder that code is loaded from can run code. `debug`: errors carry the
    traceback of the handler, for development. Logs to logging.getLogger("framecall"). All methods may be called from any thread.

    >>> server = framecall.Server("127.0.0.1:0")
    >>> @server.method
    ... def add(a: int, b: int = 1) -> int:
    ...     "The sum."
    ...     return a + b
    >>> with server, framecall.Client(server.address) as client:
    ...     client.call("add", 2, 3), client.call("add", a=2)
    ...     client.call("add", "two")
    Traceback (most recent call last):
      ...
    framecall.RemoteError: a: expected an integer, got "two" (-32602)
    """

    __module__ = "framecall"

    def __init__(
        self,
        address: str = "127.0.0.1:8080",
        *,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
        debug: bool = False,
        # The settings table's, written by `./dev settings`.
        protocols: Sequence[_Protocol] = ("frames",),
        root: str | os.PathLike[str] | None = None,
        access: Sequence[_Access] = ("read", "write"),
        quota: int | None = None,
        durability: _Durability | None = None,
        dialect: str | os.PathLike[str] = "default",
        users: str | os.PathLike[str] | None = None,
        max_login_attempts: int = 5,
        max_login_delay: float = 5.0,
        commands: str | os.PathLike[str] | None = None,
        max_commands: int = 32,
        command_timeout: float = 30.0,
        max_output: int = 16 << 20,
        max_header: int = 1 << 20,
        max_body: int = 64 << 20,
        max_file: int | None = None,
        max_in_flight: int = 128,
        max_streams: int = 1000,
        max_connections: int = 10000,
        max_connection_memory: int = 64 << 20,
        max_memory: int | None = None,
        min_body_rate: int = 1 << 10,
        body_window: float = 30.0,
        peer_share: int = 50,
        max_udp_calls: int = 1024,
        max_udp_bytes: int = 16 << 20,
        max_udp_rate: int = 1000,
        max_udp_ratio: int = 3,
        header_timeout: float = 10.0,
        idle_timeout: float = 600.0,
        drain_timeout: float = 25.0,
        refusal_bytes: int = 64 << 20,
        refusal_timeout: float = 5.0,
        threads: int = 1,
        pool_threads: int = 16,
        stream_threads: int = 64,
        handler_threads: int = 16,
        # The end of them.
    ) -> None:
        settings = {name: value for name, value in locals().items() if name not in _NOT_SETTINGS}
        self._server = _core.Server(settings, _programs())
        self._address = self._server.listen(address)
        self._debug = debug
        self._loop_factory = loop_factory or asyncio.new_event_loop
        self._descriptions: list[dict[str, Any]] = []  # C++ uses what is in them
        self._loop: _Loop | None = None
        self._started = False
        self._stopping = threading.Lock()
        self._ended = threading.Event()
        _all.add(self)

    def __repr__(self) -> str:
        return f"<framecall.Server at {self._address}>"

    @property
    def address(self) -> str:
        """Where it listens, with the port that was picked for port 0."""
        return self._address

    def listen_udp(self, address: str, reply: str | None = None) -> str:
        """Answers datagrams too: calls, and other datagrams with `reply`, or with themselves in ASCII upper case. A sender's
        address can be forged, so an answer has at most `max_udp_ratio` (3) times the bytes of its request, and what this
        server could have sent itself is not answered. Before start(). Returns the bound address."""
        return self._server.listen_udp(address, reply)

    # ---- methods

    @overload
    def method(self, function: _Function) -> _Function: ...
    @overload
    def method(
        self, function: str | None = None, *, name: str | None = None, replace_builtin: bool = False
    ) -> Callable[[_Function], _Function]: ...
    def method(
        self, function: _Function | str | None = None, *, name: str | None = None, replace_builtin: bool = False
    ) -> Any:
        """Makes a method of a function of plain values, under its own name or another: `@server.method`,
        `@server.method("name")`. Before start(). A functools.partial has the name of its function; other callables have to be
        given one.

        Params come as arguments, by place or by name. Annotations such as `int`, `str`, `float | None`, `list[str]`, `Literal`
        are checked: a call that does not fit is answered with -32602. rpc.discover lists them. A parameter called `body` gets
        the body: a memoryview, or what its annotation asks for: `bytes`, `numpy.ndarray`, `NDArray[numpy.float32]` (other
        dtypes are answered with -32602), a dict of arrays. Without a body it gets its default, or None for `... | None`.

        The result is whatever has a JSON text, NumPy's numbers too; bytes-like results, NumPy arrays and dicts of arrays
        become the reply's body; a Response is both. A generator's values become the parts of a stream, and what it returns
        the stream's result, which the caller gets as the last part. An exception is answered: RemoteError with its code,
        everything else with -32603 and its type and text.

        `replace_builtin`: the function replaces a built-in method, such as "rpc.health". Without it, names that begin with
        `rpc.` or `file.` raise ValueError.
        """

        def describe(one: Callable[..., Any]) -> dict[str, Any]:
            return {**_schema.describe(one), "takes_request": False}

        return self._register(function, name, describe, replace_builtin=replace_builtin)

    @overload
    def handler(self, function: _Function) -> _Function: ...
    @overload
    def handler(
        self,
        function: str | None = None,
        *,
        name: str | None = None,
        stream: bool = False,
        replace_builtin: bool = False,
    ) -> Callable[[_Function], _Function]: ...
    def handler(
        self,
        function: _Function | str | None = None,
        *,
        name: str | None = None,
        stream: bool = False,
        replace_builtin: bool = False,
    ) -> Any:
        """Makes a method of a function that gets the Request and returns a Response, or a value as with method(). Before
        start(). `stream`: the caller may send parts behind the request, see Request.parts(); generators have them anyway.
        `replace_builtin`: see method()."""

        def describe(one: Callable[..., Any]) -> dict[str, Any]:
            summary = (inspect.getdoc(_schema.code_of(one)) or "").strip().partition("\n")[0]
            return {
                "parameters": [],
                "any_parameters": True,
                "body": "none",
                "body_maker": None,
                "body_optional": False,
                "body_default": False,
                "summary": summary,
                "result_schema": "{}",
                "takes_request": True,
            }

        return self._register(function, name, describe, stream, replace_builtin)

    def _register(
        self,
        function: Callable[..., Any] | str | None,
        name: str | None,
        describe: Callable[[Callable[..., Any]], dict[str, Any]],
        stream: bool = False,
        replace_builtin: bool = False,
    ) -> Any:
        if isinstance(function, str):
            if name is not None:
                raise TypeError(f"two names for one method: {function!r} and {name!r}")
            function, name = None, function
        if function is None:
            return lambda one: self._register(one, name, describe, stream, replace_builtin)
        if not callable(function):
            raise TypeError(f"a method must be a function, not {type(function).__name__}")
        if self._started:
            raise ValueError("methods are added before the server starts")
        name = _name_of(function) if name is None else name
        if name.startswith(("rpc.", "file.")) and not replace_builtin:
            raise ValueError(
                f"{name!r}: names that begin with rpc. and file. belong to the protocol; choose another name"
            )
        code = _schema.code_of(function)
        generates = inspect.isgeneratorfunction(code) or inspect.isasyncgenfunction(code)
        description = {
            **describe(function),
            "name": name,
            "function": function,
            "asynchronous": inspect.iscoroutinefunction(code) or inspect.isasyncgenfunction(code),
            "generates": generates,
            "streams": stream or generates,
            "debug": self._debug,
            "replace_builtin": replace_builtin,
        }
        self._server.add(description)
        self._descriptions.append(description)
        return function

    # ---- its life

    def start(self) -> None:
        """Takes connections from now on, and returns. Once."""
        self._start(None)

    def _start(self, loop: asyncio.AbstractEventLoop | None) -> None:
        if self._started:
            raise ValueError("this Server was started before")
        self._started = True
        self._server.start()
        _running.add(self)
        if any(one["asynchronous"] for one in self._descriptions):
            self._loop = _Loop(self._server, loop, self._loop_factory)
        _logger.info("listening on %s", self._address)

    def stop(self) -> None:
        """No new connections; returns when what is under way has ended (at most `drain_timeout`, 25 s). May be called again,
        from any thread, but not in a handler, which it would wait for."""
        with self._stopping:
            if not self._started:
                self._started = True
            elif not self._ended.is_set():
                self._server.drain()
                self._server.wait()
            if self._loop is not None:
                self._loop.close()
                self._loop = None
            self._server.stop()
            _running.discard(self)
            self._ended.set()

    def run(self) -> None:
        """start(), then serves until stop() is called elsewhere, or SIGINT or SIGTERM comes (in the main thread): then
        stop()."""
        interrupted = threading.Event()
        before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            # No KeyboardInterrupt: it might come in the middle of start(). A handler of the program's own stays.
            numbers = [signal.SIGTERM]
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                numbers.append(signal.SIGINT)
            before = {number: signal.signal(number, lambda *_: interrupted.set()) for number in numbers}
            for harmless in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):  # they would end the process
                if signal.getsignal(harmless) is signal.SIG_DFL:
                    before[harmless] = signal.signal(harmless, _log_signal)
        try:
            self.start()
            while not self._ended.is_set() and not interrupted.is_set():
                # In slices: a signal that comes to another thread does not end a wait of this one.
                self._ended.wait(0.2)
        except KeyboardInterrupt:
            pass
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self.stop()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    async def __aenter__(self) -> Server:
        self._start(asyncio.get_running_loop())
        return self

    async def __aexit__(self, *exception: object) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.stop)


class _Loop:
    """Where `async def` handlers run: a loop of the caller's, or one of our own on a thread of its own."""

    def __init__(
        self,
        server: _core.Server,
        loop: asyncio.AbstractEventLoop | None,
        factory: Callable[[], asyncio.AbstractEventLoop],
    ) -> None:
        self._descriptor = server.loop_descriptor()
        self._thread: threading.Thread | None = None
        self._ending = False
        shared = loop is not None
        if loop is None:
            loop = factory()
            # A daemon, as the interpreter waits for others before it lets anybody stop them.
            self._thread = threading.Thread(target=self._run, args=(loop,), name="framecall loop", daemon=True)
        self._loop = loop
        if loop.get_task_factory() is None:
            loop.add_reader(self._descriptor, server.run_on_loop, asyncio.Task, loop, shared)
        else:
            loop.add_reader(self._descriptor, server.run_on_loop, loop.create_task, None, shared)
        if self._thread is not None:
            self._thread.start()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            while not self._ending:
                try:
                    loop.run_forever()
                except (SystemExit, KeyboardInterrupt):  # of a handler, whose call is answered with it
                    continue
        finally:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            self._finish(loop, asyncio.gather(*tasks, return_exceptions=True))
            self._finish(loop, loop.create_task(loop.shutdown_asyncgens()))
            loop.close()

    @staticmethod
    def _finish(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any]) -> None:
        while not future.done():
            with contextlib.suppress(SystemExit, KeyboardInterrupt):
                loop.run_until_complete(future)

    def close(self) -> None:
        self._ending = True
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            return
        done = threading.Event()

        def forget() -> None:
            self._loop.remove_reader(self._descriptor)
            done.set()

        try:
            self._loop.call_soon_threadsafe(forget)
        except RuntimeError:  # closed already
            return
        if self._loop.is_running():
            done.wait()


def _name_of(function: Callable[..., Any]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", None)
    if not isinstance(name, str):
        raise TypeError(f'a {type(function).__name__} has no name of its own: use @server.method("name")')
    return name


def _programs() -> list[str]:
    """What runs, and the folders that it loads code from: the log warns of a root that is one of them."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    return [os.path.abspath(path) for path in ([main] if main else []) + [path or "." for path in sys.path]]


def _log_signal(number: int, frame: object) -> None:
    _logger.info("%s received: this server has nothing to reload", signal.Signals(number).name)


# ---- what the compiled part calls


def log_line(level: int, line: str) -> None:
    """A line of the server's log."""
    _logger.log(_LEVELS[level], "%s", line)


def failure(name: str, error: BaseException, debug: bool) -> tuple[int, str, Any]:
    """What the exception of a handler is answered with: code, message, and data or None."""
    if isinstance(error, _Exit):
        error = error.reason
    problem = None
    if isinstance(error, _errors.RemoteError):
        problem = _errors.unsendable(error)
        if problem is None:
            return error.code, _text_of(error.message), error.data
    if isinstance(error, asyncio.CancelledError):
        return -32041, "the handler was cancelled", None
    _logger.error("method %s failed", name, exc_info=error)
    data = {"type": type(error).__name__}
    if debug:
        data["traceback"] = _text_of("".join(traceback.format_exception(type(error), error, error.__traceback__)))
    if problem is not None:
        return -32603, f"{type(error).__name__} cannot be sent: {problem}", data
    try:
        text = str(error)
    except BaseException as unprintable:
        text = f"{type(error).__name__}, whose text could not be made: {type(unprintable).__name__}"
    return -32603, _text_of(text) or type(error).__name__, data


def _text_of(value: object) -> str:
    """As it can be sent: lone surrogates escaped."""
    return str(value).encode("utf-8", "backslashreplace").decode()


class _Exit(Exception):
    """A handler's SystemExit, on its way past the program's own event loop."""

    def __init__(self, reason: SystemExit) -> None:
        super().__init__(reason)
        self.reason = reason


async def contain(handler: Awaitable[Any]) -> Any:
    """Runs an asynchronous handler on the program's own loop, which a SystemExit would end, and the program with it."""
    try:
        return await handler
    except SystemExit as error:
        raise _Exit(error) from None


def result_body(value: Any) -> Any:
    """`value`, if it can be the body of a reply; else TypeError with the place of what has no JSON text."""
    plain = isinstance(value, dict) and not any(hasattr(one, "dtype") for one in value.values())
    if not plain and _arrays.describe(value) is not None:
        return value
    try:
        return memoryview(value)
    except TypeError:
        raise TypeError(_errors.find_unserialisable(value, "the result") or "the result has no JSON text") from None


class Parts:
    """The parts that a caller sends: an iterator for a `def`, an asynchronous one for an `async def`."""

    def __init__(self, request: _core.Request) -> None:
        self._request = request

    def __iter__(self) -> Iterator[_core.Part]:
        return self

    def __next__(self) -> _core.Part:
        part = self._request._read_part()
        if part is None:
            raise StopIteration
        return part

    def __aiter__(self) -> AsyncIterator[_core.Part]:
        return self

    async def __anext__(self) -> _core.Part:
        while True:
            waiter = _Waiter()
            part: _core.Part | None = self._request._try_read_part(waiter)
            if part is None:
                raise StopAsyncIteration
            if part is not NotImplemented:
                return part
            await waiter.future


class _Waiter:
    """What the compiled part wakes, on the loop, when another attempt is worth it."""

    __slots__ = ("future",)

    def __init__(self) -> None:
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


async def drive(handler: AsyncGenerator[Any, None] | Awaitable[Any], request: _core.Request) -> Any:
    """Runs a handler that streams: sends what it yields, and returns what it returns."""
    if isinstance(handler, collections.abc.Awaitable):
        return await handler
    try:
        async for value in handler:
            while True:
                waiter = _Waiter()
                sent = request._try_write_part(value, waiter)
                if sent is not True:
                    await waiter.future
                if sent is not False:
                    break
    finally:
        value = None  # which the traceback of an exception would keep
        await handler.aclose()
    return None


# ---- the end of the process, and its children


def _stop_all() -> None:
    for server in list(_running):
        server.stop()


def _leave_to_parent() -> None:
    for server in list(_all):
        server._server.abandon()
        server._loop = None
        server._started = True
        server._ended.set()
        server._stopping = threading.Lock()
    _running.clear()


atexit.register(_stop_all)
os.register_at_fork(after_in_child=_leave_to_parent)
