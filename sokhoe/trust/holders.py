"""Citizens who hold keys of their own, given in person (level 2): whose they are, and which codes
were used.

    holder     Person/… → {citizen_id, name, since}
    book-code  id of the code's Task → when it was used

The passkeys themselves are in `factors`, PINs in `devices`; a PIN that was set before `since` opens
nothing any more.
"""

from __future__ import annotations

from dataclasses import dataclass

from sokhoe import clock
from sokhoe.errors import Conflict
from sokhoe.store import Keep, Store
from sokhoe.trust.factors import Factors
from sokhoe.trust.signins import SignIns

KIND, USED = "holder", "book-code"


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody whom the staff saw. `since`: when the keys were given."""

    citizen_id: str
    name: str
    since: int


class Holders:
    """The holders of one store."""

    def __init__(self, store: Store, factors: Factors, signins: SignIns) -> None:
        self._store = store
        self._factors = factors
        self._signins = signins

    def of(self, person: str) -> Holder | None:
        value = self._store.kept(KIND, person)
        return Holder(value["citizen_id"], value["name"], value["since"]) if value else None

    def is_used(self, code: str) -> bool:
        return self._store.kept(USED, code) is not None

    def begin(self, person: str, citizen_id: str, name: str, code: str) -> bool:
        """Use up a code and make this person a holder, as one step; whatever keys there were
        before open nothing any more. False when the code was used in the meantime."""
        value = {"citizen_id": citizen_id, "name": name, "since": clock.now()}
        keeps = [
            Keep(USED, code, clock.now(), expected=None),
            Keep(KIND, person, value),
            *self._factors.clear(person),
            *self._signins.ends(person),
        ]
        try:
            self._store.keep(*keeps)
        except Conflict:
            return False
        return True
