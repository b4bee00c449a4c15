"""The keys of one server: the ring in its data folder, the master key elsewhere, the paper sheets.

    master key (not in the data folder) ── opens ──▶ ring (keys.json) ──▶ file, data and blind keys
    master key ── 2 of 3 ──▶ three sheets of paper

Without a ring nothing is encrypted; `sokhoe keys init` makes one. Decision 19 says what is
encrypted where, and what that costs.
"""

from __future__ import annotations

from pathlib import Path

from sokhoe.errors import Invalid
from sokhoe.settings import Settings
from sokhoe.store import Held, Keys, Store, open_store
from sokhoe.trust.keys import master, paper, printing, ring, shamir
from sokhoe.trust.keys.paper import Sheet
from sokhoe.trust.keys.ring import Ring

__all__ = [
    "NEEDED",
    "SHARES",
    "Ring",
    "Sheet",
    "joined",
    "master",
    "open_memory",
    "paper",
    "printing",
    "ring",
    "sheets",
    "unlock",
]

NEEDED, SHARES = 2, 3


def unlock(settings: Settings) -> Keys | None:
    """The keys of a server; None where nothing is encrypted. NotFound or Invalid without the
    right master key."""
    found = ring.load(settings.folder)
    if found is None:
        return None
    opener = master.find(settings, found.salt)
    return Keys(found.held(opener), _Again(settings.folder, opener))


def open_memory(settings: Settings, *, carries: bool = True) -> Store:
    """The memory of a server, opened with its keys; made if it is not there. `carries` False: one
    beside this process seals its audit lines (`store.open_store`)."""
    settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return open_store(
        settings.database_url,
        settings.journals,
        upgrade=settings.upgrade_database,
        keys=unlock(settings),
        carries=carries,
    )


class _Again:
    """Looks whether another process changed the ring. A changed master key is noticed by nobody
    who runs already: what it opened stays open until the next start."""

    def __init__(self, folder: Path, opener: bytes) -> None:
        self._folder = folder
        self._opener = opener
        self._seen = self._stamp()

    def __call__(self) -> Held | None:
        now = self._stamp()
        if now == self._seen:
            return None
        found = ring.load(self._folder)
        if found is None or not found.fits(self._opener):
            return None
        held = found.held(self._opener)
        self._seen = now
        return held

    def _stamp(self) -> tuple[int, int]:
        try:
            found = ring.path_of(self._folder).stat()
        except FileNotFoundError:
            return 0, 0
        return found.st_mtime_ns, found.st_ino


def sheets(held: Ring, opener: bytes) -> list[Sheet]:
    """The master key on three sheets of paper, two of which give it back."""
    shares = shamir.split(opener, NEEDED, SHARES)
    return [Sheet(held.mark, number, share) for number, share in shares.items()]


def joined(held: Ring | None, found: list[Sheet]) -> bytes:
    """The master key from sheets. Invalid when they are of another ring, the same sheet twice, or
    of before the master key was changed."""
    numbers = {one.number: one.share for one in found}
    if len(numbers) < NEEDED:
        raise Invalid(
            f"{NEEDED} different sheets are needed.",
            hint="The same sheet twice is one sheet. Take another one.",
            slug="sheet",
        )
    if len({one.ring for one in found}) > 1:
        raise Invalid("These sheets belong to different servers.", slug="sheet")
    if held is not None and found[0].ring != held.mark:
        raise Invalid(
            f"These sheets open ring {found[0].ring.hex()}, and this server has {held.mark.hex()}.",
            hint="The ring stands on each sheet below the date. Take those of this server.",
            slug="sheet",
        )
    opener = shamir.join(numbers)
    if held is not None and not held.fits(opener):
        raise Invalid(
            "These sheets do not open the keys of this server.",
            hint="Were they printed before the master key was changed, or on different days? "
            "Take two sheets of the newest day.",
            slug="sheet",
        )
    return opener
