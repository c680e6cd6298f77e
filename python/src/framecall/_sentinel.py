"""NEED_DATA: an enumeration of one, so that type checkers know what `event is NEED_DATA` leaves."""

from __future__ import annotations

import enum

TYPE_CHECKING = False  # typing's own constant would cost the import of typing, longer than all of framecall
if TYPE_CHECKING:
    from typing import Final as _Final


class NeedData(enum.Enum):
    """The type of NEED_DATA."""

    NEED_DATA = "NEED_DATA"

    def __repr__(self) -> str:
        return "NEED_DATA"

    __str__ = __repr__


NEED_DATA: _Final = NeedData.NEED_DATA
"""What Decoder.next_event() returns when everything that was given has been used."""
