"""How big the next page is and how long to wait: two small pure rules that cannot get stuck.

The page doubles while it goes fast and halves when it goes slowly or fails. Twenty per cent steps
leave a fleet crawling at the smallest page for days after one bad night; doubling is back at full
size within seven good pages.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

KIB = 1024
FLOOR, START, CAP = 8 * KIB, 64 * KIB, 1024 * KIB  # bytes on the line, compressed
FAST, SLOW = 1.0, 5.0  # seconds a page may take
LONGEST_WAIT = 300.0  # seconds between two tries on a dead line
LONGEST_IDLE = 300.0  # seconds between two looks at a line with nothing to send
# FHIR in JSON shrinks by 8 to 14 with zstd; the first guess is the careful one.
USUAL_RATIO = 8.0


@dataclass(frozen=True, slots=True)
class PageSize:
    """The size aimed at on the line, and how much smaller the last page became by packing."""

    size: int = START
    ratio: float = USUAL_RATIO
    floor: int = FLOOR
    cap: int = CAP

    @property
    def raw(self) -> int:
        """How many bytes of records to take for a page of this size."""
        return int(self.size * self.ratio)

    def went(self, seconds: float, raw: int, packed: int) -> PageSize:
        """After a page that arrived."""
        size = self.size
        if seconds < FAST:
            size = min(self.cap, size * 2)
        elif seconds > SLOW:
            size = max(self.floor, size // 2)
        # Bounded, so that one page of zeros does not make the next one immense.
        ratio = min(20.0, max(1.0, raw / max(1, packed)))
        return replace(self, size=size, ratio=ratio)

    def failed(self) -> PageSize:
        """After a page that did not arrive."""
        return replace(self, size=max(self.floor, self.size // 2))


def wait_after(failures: int, every: float, jitter: float) -> float:
    """Seconds until the next try after so many failures in a row.

    `every` is the setting sync_seconds; the wait doubles up to three times that (five minutes at
    most). `jitter` in 0..1 spreads stations that lost the same line, by a fifth either way.
    """
    longest = min(LONGEST_WAIT, 3 * every)
    plain = min(longest, every * 2.0 ** min(failures - 1, 12))
    return plain * (0.8 + 0.4 * jitter)


def idle_after(every: float) -> float:
    """Seconds until an idle line is looked at again: sixty times sync_seconds, at most 5 minutes.

    With 5 seconds that is 288 looks a day (docs/sync.md has the bytes). What is saved in between
    does not wait for it.
    """
    return min(LONGEST_IDLE, 60 * every)
