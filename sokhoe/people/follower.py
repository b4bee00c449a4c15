"""Follow the feed: each new or changed Patient finds its person.

A batch is judged together and written in one commit with the follower's mark, so it takes effect
once, also when the power fails in between; a second follower of the same feed gets a Conflict on
the mark and looks again. Persons that change are followed too: a case may have settled itself
when the record it was doubted against is corrected or taken away.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from sokhoe.errors import Conflict
from sokhoe.people import finding
from sokhoe.people.matching import Facts, facts_of
from sokhoe.people.seams import Identity
from sokhoe.people.settling import Settling
from sokhoe.trust import Session, Version, mark

NAME = "people"
BATCH = 1000
FOLLOWED = frozenset({"Patient", "Person"})
_TRIES = 5


class PeopleFollower:
    """`step` does one batch: True when there may be more at once."""

    name = NAME

    def __init__(self, session: Session, identity: Identity, batch: int = BATCH) -> None:
        self.session = session
        self._identity = identity
        self._batch = batch

    def step(self) -> bool:
        """Raises Conflict only when others keep being faster."""
        for _ in range(_TRIES - 1):
            try:
                return self._step()
            except Conflict:
                continue  # a steward or another follower was faster: look again
        return self._step()

    def _begin(self) -> None:
        """Lay the first mark, unless another follower has: a mark that is there can be compared."""
        with suppress(Conflict):
            self.session.commit([], keeps=[replace(mark(self.name, 0), expected=None)])

    def _step(self) -> bool:
        before = self.session.mark_of(self.name)
        versions, reach = self.session.follow(self.name, self._batch, types=FOLLOWED)
        if reach == before:
            return False
        if not before:
            self._begin()
        moved = replace(mark(self.name, reach), expected=before)
        changes = self._work(versions)
        if changes is not None and (written := changes.changes()):
            self.session.commit(written, note="people", keeps=[moved])
        else:
            self.session.done(self.name, reach)
        return True

    def _work(self, versions: list[Version]) -> Settling | None:
        latest = {one.ref: one for one in versions if one.type == "Patient"}
        fresh = [
            facts_of(one.resource, self._identity) for one in latest.values() if not one.deleted
        ]
        gone = [ref for ref, one in latest.items() if one.deleted]
        again = self._again({one.ref for one in versions if one.type == "Person"}, set(latest))
        if not fresh and not gone and not again:
            return None
        work = Settling(self.session, self._identity)
        work.take_in([*fresh, *again], gone)
        for ref in gone:
            work.forget(ref)
        for facts in fresh:
            work.settle(facts)
        for facts in again:
            work.settle(facts, again=True)
        return work

    def _again(self, persons: set[str], judged: set[str]) -> list[Facts]:
        """Records with an open case about one of these persons."""
        if not persons:
            return []
        asked = {one.patient for one in finding.open_reviews_about(self.session, persons)}
        found = finding.patients(self.session, asked - judged)
        return [facts_of(one.resource, self._identity) for one in found]
