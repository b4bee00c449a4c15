"""What the face asks of others without knowing them: is the line up, and has this record left?

The station's mail room fills it (app.py joins them); a server that stands alone has `NoLine`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sokhoe.clock import Instant
from sokhoe.trust import Version


@dataclass(frozen=True, slots=True)
class LineStatus:
    """The line to the province as the header shows it. `since`: when it went up or down;
    `waiting`: versions saved here that have not arrived there; `oldest`: when the first of
    them was saved; `note`: the last error in plain words."""

    configured: bool
    up: bool = False
    since: Instant = 0
    waiting: int = 0
    oldest: Instant | None = None
    note: str = ""


class Line(Protocol):
    def status(self) -> LineStatus: ...

    def arrived(self, version: Version) -> bool:
        """Has this version arrived at the province?"""

    def send_now(self) -> None:
        """Wake the sender; returns at once."""


class NoLine:
    """A server with no province above it: everything is where it belongs."""

    def status(self) -> LineStatus:
        return LineStatus(configured=False)

    def arrived(self, version: Version) -> bool:
        return True

    def send_now(self) -> None:
        return None
