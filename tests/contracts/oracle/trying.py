"""A world in a store, and many questions about it: through the store, through sessions, and the
fast way where it answers. The world goes on changing between the questions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

from sokhoe import clock
from sokhoe.fhir import parse_query
from sokhoe.store import EVERYTHING, Page, Put, Scope, Store
from sokhoe.trust import Actor, Gate, Purpose, Role, Session, SoonSession
from sokhoe.trust.permits import DIRECTORY
from tests.contracts.oracle import asking
from tests.contracts.oracle.asking import Disagreement
from tests.contracts.oracle.oracle import Oracle, Shelf
from tests.contracts.oracle.questions import Asker, Question
from tests.contracts.oracle.world import SIZES, World
from tests.worlds import settings_in

AGAIN = 60  # questions between two changes of the world
_PATIENTS = [f"Patient/pat{n}" for n in range(SIZES["Patient"])]
# Whom the citizens of this world may see: one person, or two.
CIRCLES = [frozenset(few) for size in (1, 2) for few in combinations(_PATIENTS, size)]


@dataclass(slots=True)
class Tried:
    """What came of it: `hits`, questions with an answer; `soon`, those answered fast too."""

    questions: int = 0
    hits: int = 0
    sessions: int = 0
    soon: int = 0
    names: set[tuple[str, str]] = field(default_factory=set)
    wrong: list[Disagreement] = field(default_factory=list)


class Trial:
    def __init__(
        self, store: Store, random: Random, folder: Path, loop: asyncio.Runner | None = None
    ) -> None:
        self.store, self.random, self.loop = store, random, loop
        self.world, self.shelf = World(random), Shelf()
        self.gate = Gate(store, settings_in(folder))
        people = [
            {
                "resourceType": "Person",
                "id": f"citizen{n}",
                "link": [{"target": {"reference": one}} for one in sorted(circle)],
            }
            for n, circle in enumerate(CIRCLES)
        ]
        self.shelf.take(store.commit([Put(one) for one in people], author="world").versions)
        if loop is not None:
            loop.run(self._until_open())

    def moved_to(self, store: Store, folder: Path) -> None:
        """The same world, in a store that was opened again."""
        self.store, self.gate = store, Gate(store, settings_in(folder))

    async def _until_open(self) -> None:
        """PostgreSQL's connections for the event loop are made on the way."""
        for _ in range(400):
            if await self.store.read_soon("Person", "citizen0") is not None:
                return
            await asyncio.sleep(0.05)
        raise AssertionError("the fast way never opened")

    def change(self, commits: int, most: int = 20) -> None:
        for _ in range(commits):
            live = sorted(ref for ref in self.shelf.records if not ref.startswith("Person/"))
            receipt = self.store.commit(self.world.changes(most, live), author="world")
            self.shelf.take(receipt.versions)

    def ask(self, questions: int, *, focus: str = "", changing: bool = True) -> Tried:
        """Ask so many questions, or until one is answered wrongly."""
        tried = Tried()
        asker = Asker(self.random, self.shelf, focus)
        for n in range(questions):
            if changing and n % AGAIN == AGAIN - 1:
                self.change(2)
                asker = Asker(self.random, self.shelf, focus)
            self.one(asker.question(), tried)
            if tried.wrong:
                break
        return tried

    def one(self, question: Question, tried: Tried) -> None:
        tried.questions += 1
        tried.names |= {(question.type, name) for name, _ in question.pairs}
        oracle = Oracle(self.shelf, question.scope, clock.now())
        tried.hits += bool(oracle.matches(question.type, question.pairs))
        found = self._by_store(question)
        if found is None and (session := self._session(question.scope)) is not None:
            tried.sessions += 1
            found = self._by_session(question, session)
        if found is None and question.scope == EVERYTHING and self.loop is not None:
            for page in self._soon(question):
                tried.soon += 1
                found = found or self._of_page(question, page, oracle)
        if found is not None:
            tried.wrong.append(asking.smallest(question, self._by_store) or found)

    # --- the ways -----------------------------------------------------------------------------

    def _by_store(self, question: Question) -> Disagreement | None:
        search = asking.of_store(self.store, question.type, question.scope)
        return asking.disagreement(question, self.shelf, search, clock.now())

    def _by_session(self, question: Question, session: Session) -> Disagreement | None:
        search = asking.of_session(session, question.type)
        return asking.disagreement(question, self.shelf, search, clock.now())

    def _session(self, scope: Scope) -> Session | None:
        """Somebody whose bounds are this scope, for a part of the questions."""
        if self.random.random() < 0.6:
            return None
        if scope == EVERYTHING:
            return self.gate.session(_SOFTWARE)
        if scope == Scope(scope.patients, open=DIRECTORY) and scope.patients in CIRCLES:
            id = f"Person/citizen{CIRCLES.index(scope.patients)}"
            return self.gate.session(Actor(id, "citizen", Role.CITIZEN))
        return None

    def _soon(self, question: Question) -> Iterator[Page]:
        """First pages as the event loop gives them."""
        assert self.loop is not None
        pairs = [*replace(question, sort="", includes=()).words, ("_count", str(question.count))]
        soon = SoonSession(
            self.store,
            _SOFTWARE,
            Purpose.TREAT,
            secret=b"s",
            library=self.gate.library,
            grounds=self.gate.grounds,
        )
        asked = parse_query(question.type, pairs)
        for way in (self.store.search_soon(asked), soon.search_soon(question.type, pairs)):
            page = self.loop.run(way)
            if page is not None:
                yield page

    def _of_page(self, question: Question, page: Page, oracle: Oracle) -> Disagreement | None:
        wanted = {one.ref: one for one in oracle.matches(question.type, question.pairs)}
        refs = [one.ref for one in page.versions]
        right = min(question.count, len(wanted))
        if len(refs) != right or len(set(refs) & wanted.keys()) != right:
            return Disagreement(question, f"the fast way found {refs} of {sorted(wanted)}")
        return None


_SOFTWARE = Actor("Device/oracle", "oracle", Role.SOFTWARE, scopes=("system/*.rs",))


def summed(all_: Sequence[Tried]) -> dict[str, Any]:
    return {
        name: sum(getattr(one, name) for one in all_)
        for name in ("questions", "hits", "sessions", "soon")
    } | {"names": len(set().union(*(one.names for one in all_)))}
