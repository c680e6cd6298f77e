"""The blocking client: calls, streams, and files."""

from __future__ import annotations

import os

from framecall import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    _Result = TypeVar("_Result")


class Client(_core.Client):
    """Calls the methods of one server, or of several that are alike.

    `address` is "HOST:PORT", "[IPV6]:PORT" or "unix:PATH", or a list of them: then each call goes to the next one that can
    be reached. Connects with the first call, and again when a connection was lost; each call has a connection of a small
    pool for itself. May be used from any thread, and after a fork, where the child has connections of its own. Blocking
    calls let other threads run, and Ctrl-C ends them. No thread runs behind it.

    `timeout`: seconds for a call that has none of its own; None: no limit. `attempts`: at connecting, and at calls that are
    idempotent, in all; `backoff`: seconds before the second one, doubled for each further one up to `max_backoff`.
    `max_idle`: connections kept. `max_header`, `max_body`: bytes of a reply. `dialect`: how the server writes lengths, as the
    name of a shipped dialect such as "big-endian" (`framecall dialects` lists them) or the path of a dialect file; calls and
    files use its lengths alone. Raises ValueError for what is no address, and for a dialect that is unknown or has no calls.

    >>> with framecall.Server("127.0.0.1:0") as server, framecall.Client(server.address) as client:
    ...     client.call("echo", 2, [3], body=b"") , client.call("echo", a=1)
    ...     bytes(client.call("upper", body=b"hello"))
    ([2, [3]], {'a': 1})
    b'HELLO'
    """

    __module__ = "framecall"

    def __init__(
        self,
        address: str | list[str] | tuple[str, ...],
        *,
        timeout: float | None = 30.0,
        attempts: int = 3,
        backoff: float = 0.05,
        max_backoff: float = 2.0,
        max_idle: int = 16,
        max_header: int = 1 << 20,
        max_body: int = 1 << 30,
        dialect: str | os.PathLike[str] = "default",
    ) -> None:
        super().__init__(
            address,
            timeout=timeout,
            attempts=attempts,
            backoff=backoff,
            max_backoff=max_backoff,
            max_idle=max_idle,
            max_header=max_header,
            max_body=max_body,
            dialect=dialect,
        )
        self._dialect = os.fspath(dialect)
        self._addresses = [address] if isinstance(address, str) else list(address)
        self._timeout = timeout
        self._closed = False
        self._files: list[_core.FileClient] = []  # that no transfer uses; no lock, which a fork could break
        self._files_of = os.getpid()

    def __repr__(self) -> str:
        state = ", closed" if self._closed else ""
        return f"<framecall.Client to {', '.join(self._addresses)}{state}>"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections that no call uses. May be called again; a call afterwards raises ValueError."""
        super().close()
        self._closed = True
        self._files.clear()

    # ---- files: each transfer has a connection for itself, of the first address

    def put(
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        *,
        resume: bool = False,
        replace: bool = True,
        progress: Callable[[int, int], object] | None = None,
    ) -> str:
        """Stores a local file in the server's root folder as `name` (None: its own) and returns its SHA-256, in hexadecimal
        digits: when it returns, the server has the file whole, on disk, and its content is what was read here.

        `resume`: continues where an earlier attempt was interrupted. `replace`: what is there under the name; if not,
        AlreadyExistsError. `progress(done, size)`, in bytes, is called after every piece; what it raises ends the transfer.
        """
        name = os.path.basename(os.fspath(path)) if name is None else name
        return self._with_files(lambda files: files.put(os.fspath(path), name, resume, replace, progress))

    def get(
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
        """Fetches a file as `path` (None: its name, in the current folder), replacing what is there, and returns its size in
        bytes. The target appears when it is whole; a cut-off attempt leaves PATH.part.

        `resume`: continues such a part. `offset`, `length`: a range, in bytes. `max_size`: fetches nothing larger, in bytes
        (None: what the disk has room for). `progress(done, size)` as with put(). Raises NotFoundError, OSError for the target,
        and ProtocolError if what the server announces does not agree, or is larger than `max_size`.
        """
        target = os.path.basename(name) if path is None else os.fspath(path)
        return self._with_files(lambda files: files.get(name, target, resume, offset, length, max_size, progress))

    def read(self, name: str, *, offset: int = 0, length: int | None = None, max_size: int = 1 << 30) -> bytes:
        """Returns the content of a file of the server, or of a range of it. Raises ProtocolError if it is larger than
        `max_size`, in bytes."""
        return self._with_files(lambda files: files.read(name, offset, length, max_size))

    def list(self, prefix: str = "") -> list[_core.FileInfo]:
        """All files whose names begin with `prefix`, sorted bytewise: each has `name`, `size` in bytes, `mtime` in seconds."""
        return self._with_files(lambda files: files.list(prefix))

    def stat(self, name: str) -> _core.FileInfo:
        """One of them. Raises NotFoundError."""
        return self._with_files(lambda files: files.stat(name))

    def remove(self, name: str) -> None:
        """Removes a file of the server. Raises NotFoundError."""
        self._with_files(lambda files: files.remove(name))

    def send_file(
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        *,
        dialect: str | os.PathLike[str] | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> bool:
        """Uploads a local file the way the tutorial's sender does, to any peer that speaks `dialect`: the name of a shipped
        one (`framecall dialects` lists them) or the path of a dialect file; None: the client's. True: the peer has all of it
        and closed; False: its machine has every byte, but it keeps the connection open. `progress` as with put().

        Raises RemoteError for a refusal, OSError for the file and the network, ProtocolError.
        """
        name = os.path.basename(os.fspath(path)) if name is None else name
        spoken = self._dialect if dialect is None else os.fspath(dialect)
        return _core.send_file(self._addresses[0], os.fspath(path), name, spoken, self._timeout, progress)

    def _with_files(self, work: Callable[[_core.FileClient], _Result]) -> _Result:
        if self._files_of != os.getpid():  # a child of fork: these are its parent's
            self._files, self._files_of = [], os.getpid()
        if self._closed:
            raise ValueError("the client is closed")
        try:
            files = self._files.pop()
        except IndexError:
            files = _core.FileClient(self._addresses[0], self._timeout, self._dialect)
        result = work(files)
        if not self._closed:
            self._files.append(files)
        return result
