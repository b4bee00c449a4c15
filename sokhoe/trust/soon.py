"""The fast way through the gate, for the event loop: the same permits, the same audit line.

Each verb here answers as the verb of `Session` does, or says None: then nothing has happened yet
and nothing is in the audit, and the caller asks the plain verb in a thread. So refusals, errors and
all that is rare are decided in one place only. tests/exchange/test_soon.py lets both ways answer
the same questions and compares answers and audit.
"""

from __future__ import annotations

from dataclasses import replace

from sokhoe.errors import SokhoeError
from sokhoe.fhir import parse_query, terminology
from sokhoe.store import Page, Scope, Store, Version
from sokhoe.trust.actors import Actor, Purpose, Role
from sokhoe.trust.grounds import Grounds
from sokhoe.trust.permits import AUDIT, Deed, allow
from sokhoe.trust.session import CURSOR, NAMED, Pairs, Session, people_of


class SoonSession(Session):
    """A session that may also be asked from the event loop; several requests may share it."""

    def __init__(
        self,
        store: Store,
        actor: Actor,
        purpose: Purpose,
        *,
        secret: bytes,
        address: str = "",
        library: terminology.Library,
        grounds: Grounds,
    ) -> None:
        super().__init__(
            store,
            actor,
            purpose,
            secret=secret,
            address=address,
            library=library,
            grounds=grounds,
        )
        self._bounds: dict[tuple[Deed, str], bool] = {}
        # the people of whom something is closed to this client, as of when the session was made
        self._closed = frozenset[str]()
        if actor.role is Role.SOFTWARE:
            closed = grounds.narrow(Scope(), actor, purpose).closed
            self._closed = frozenset[str]().union(*(one.patients for one in closed))

    async def read_soon(self, type: str, id: str, version: int | None = None) -> Version | None:
        if not self._sees_all(Deed.READ, type):
            return None
        found = await self._store.read_soon(type, id, version)
        if found is None or found.deleted:
            return None
        people = people_of(found)
        if self._closed and people & self._closed:
            return None
        self._record("R", (found.ref,), people)
        return found

    async def search_soon(self, type: str, pairs: Pairs) -> Page | None:
        if not self._sees_all(Deed.SEARCH, type) or any(name == CURSOR for name, _ in pairs):
            return None
        try:
            query = parse_query(type, pairs)
        except SokhoeError:
            return None
        page = await self._store.search_soon(query)
        if page is None:
            return None
        text = f"{type}?" + "&".join(f"{name}={value}" for name, value in pairs)
        refs = tuple(one.ref for one in page.versions[:NAMED])
        people = frozenset[str]().union(*map(people_of, page.versions))
        if self._closed and people & self._closed:
            return None
        self._record("E", refs, people, query=text)
        return page if page.next is None else replace(page, next=self._seal(page.next, text))

    def _sees_all(self, deed: Deed, type: str) -> bool:
        """Whether this client may do that to everybody's records of this type. What depends on
        more than the client (consent, links of a person) is not decided here. No other type comes
        into it: the store's quick searches neither chain nor include."""
        if self.actor.role is not Role.SOFTWARE or type in AUDIT:
            return False
        known = self._bounds.get((deed, type))
        if known is None:
            try:
                scope = allow(self.actor, self.purpose, deed, type, self._links)
                whole = replace(scope, closed=())  # who closed something is looked at each time
                known = whole == Scope(types=scope.types) and type in (scope.types or ())
            except SokhoeError:
                known = False
            self._bounds[deed, type] = known
        return known
