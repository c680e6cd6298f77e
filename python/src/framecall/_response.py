"""What a handler answers."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Response:
    """All that a handler can answer: a result and a body.

    `result`: whatever has a JSON text. `body`: bytes-like, a NumPy array or a dict of arrays. `metadata`: a dict of strings.
    `digest`: sends the SHA-256 of the body along, which our clients check.
    """

    __module__ = "framecall"
    __slots__ = ("body", "digest", "metadata", "result")

    def __init__(
        self, result: Any = None, body: Any = None, *, metadata: dict[str, str] | None = None, digest: bool = False
    ) -> None:
        self.result = result
        self.body = body
        self.metadata = metadata
        self.digest = digest

    def __repr__(self) -> str:
        return f"framecall.Response({self.result!r}, {self.body!r})"
