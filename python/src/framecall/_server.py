"""The server: uploads and the tutorial's raw echo and datagrams; Python handlers for calls are to come."""

from __future__ import annotations

import os
import threading
from typing import Literal

from framecall import _core


class Server:
    """`bind`, `listen` and `accept` in one: takes every connection to `address`, on threads of its own.

    `address` is "HOST:PORT", "[IPV6]:PORT" or "unix:PATH"; port 0 picks one, `.address` tells which. Uploads are stored
    in the folder `root`, without one they are refused. `protocols` are told apart by a connection's first bytes: frames,
    echo (raw bytes, sent back in ASCII upper case), http (GET /healthz). `threads`: event loops, None: one for each
    processor. Raises OSError for an address that cannot be bound and a folder that cannot be written to, ValueError for
    what is no address. The methods may be called from any thread.

    >>> with framecall.Server("127.0.0.1:0", protocols=["echo"]) as server:
    ...     with framecall.RawClient(server.address) as client:
    ...         client.send(b"hello")
    ...         print(client.receive())
    b'HELLO'
    """

    __module__ = "framecall"

    def __init__(
        self,
        address: str = "127.0.0.1:8080",
        *,
        root: str | os.PathLike[str] | None = None,
        protocols: list[Literal["frames", "echo", "http"]] | tuple[Literal["frames", "echo", "http"], ...] = (
            "frames",
        ),
        threads: int | None = None,
    ) -> None:
        self._server = _core.Server(None if root is None else os.fspath(root), threads or 0)
        self._address = self._server.listen(address, list(protocols))
        self._started = False
        self._ended = threading.Event()

    @property
    def address(self) -> str:
        """Where it listens, with the port that was picked for port 0."""
        return self._address

    def listen_udp(self, address: str, reply: str | None = None) -> str:
        """Answers datagrams too: with `reply`, or with themselves in ASCII upper case. Before start(). Returns the
        bound address."""
        return self._server.listen_udp(address, reply)

    def start(self) -> None:
        """Takes connections from now on, and returns. Once."""
        if self._started:
            raise ValueError("this Server was started before")
        self._started = True
        self._server.start()

    def stop(self) -> None:
        """No new connections; returns when what is under way has ended (at most 25 s). May be called again."""
        self._server.drain() if self._started else self._server.stop()
        self._server.wait()
        self._ended.set()

    def run(self) -> None:
        """start(), then serves until stop() is called elsewhere, or KeyboardInterrupt comes: then stop()."""
        self.start()
        try:
            self._ended.wait()
        except KeyboardInterrupt:
            pass
        finally:
            self.stop()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
