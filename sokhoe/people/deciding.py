"""What a steward decides: one verb each, one commit each, and every one can be undone.

Each decision is kept in the case (Task) of its patient and person, with the moves it made; so the
machine knows what was decided, and undoing is the same moves backwards, as later events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sokhoe import clock
from sokhoe.errors import Conflict, Gone, Invalid, NotFound
from sokhoe.people import finding
from sokhoe.people.links import Ledger, Move
from sokhoe.people.matching import Facts, facts_of
from sokhoe.people.persons import BY_HAND, Link, PersonView, apart_id, numbered_id
from sokhoe.people.reviews import (
    CANCELLED,
    CODE,
    COMPLETED,
    ON_HOLD,
    REQUESTED,
    TASKS,
    Decision,
    Moved,
    Review,
    review_id,
    review_of,
    task_of,
)
from sokhoe.people.seams import Identity
from sokhoe.trust import Put, Session

DESK = "urn:sokhoe:desk"  # in Provenance where a machine's link names its model
SAID_SAME = "A steward said: the same person."
SAID_DIFFERENT = "A steward said: different people."
UNDONE = "A steward took a decision back."


def read_review(session: Session, id: str) -> Review:
    """A case. Raises NotFound, also for a Task that is no case."""
    found = session.read("Task", id)
    coding = found.resource.get("code", {}).get("coding", [{}])
    if (coding[0].get("system"), coding[0].get("code")) != (TASKS, CODE):
        raise NotFound("There is no such case.")
    return review_of(found)


def read_person(session: Session, id: str) -> PersonView:
    """A person, an empty one where there is none yet (a number nobody has been linked to)."""
    return next(iter(finding.persons(session, [id])), PersonView(id))


def decide(session: Session, identity: Identity, id: str, decision: Decision) -> Review:
    """Close a case: the same person, different people, or put aside.

    The same: the records of the person without a number go to the other, by hand. Raises
    Conflict when somebody has already decided or the records have moved on.
    """
    review = read_review(session, id)
    if review.decided and review.decision is decision and review.who == session.actor.id:
        return review  # the button was pressed twice
    if not review.open:
        raise Conflict(
            "This case has already been decided.",
            hint="Open it again to see by whom.",
            slug="decided",
        )
    return _Hand(session, identity).decide(review, decision)


def undo(session: Session, identity: Identity, id: str) -> Review:
    """Take a decision back: what it moved goes back, and the case is open again."""
    review = read_review(session, id)
    if not review.decided:
        raise Conflict("There is no decision to take back.", slug="not-decided")
    return _Hand(session, identity).undo(review)


def take_apart(session: Session, identity: Identity, person: str, patient: str) -> Review:
    """Take one record out of a person; it becomes a person of its own."""
    return _Hand(session, identity).rule(patient, person, Decision.DIFFERENT)


def put_back(session: Session, identity: Identity, person: str, patient: str) -> Review:
    """Link a record to a person it had been taken from."""
    return _Hand(session, identity).rule(patient, person, Decision.SAME)


class _Hand:
    """One decision in the making."""

    def __init__(self, session: Session, identity: Identity) -> None:
        self._session = session
        self._identity = identity
        self._ledger = Ledger(session.actor, model=DESK)

    def decide(self, review: Review, decision: Decision) -> Review:
        home, candidate = self._take_in(review)
        if decision is Decision.SAME and home.id != candidate.id:
            for patient, source, target in self._joined(review, home, candidate):
                self._move(patient, source, target, SAID_SAME)
        elif decision is Decision.DIFFERENT and home.id == candidate.id:
            self._part(review.patient, home)
        return self._write(review, decision)

    def rule(self, patient: str, person: str, decision: Decision) -> Review:
        id = review_id(patient, person)
        known = finding.reviews_of(self._session, [patient])
        review = next((one for one in known if one.id == id), None) or Review(
            id, patient, f"Person/{person}", opened=clock.iso(clock.now())
        )
        home, candidate = self._take_in(review)
        if (home.id == candidate.id) == (decision is Decision.SAME):
            raise Conflict(
                f"{patient} is no longer linked as it was.",
                hint="Open the person and look at the history.",
                slug="moved-on",
            )
        if decision is Decision.SAME:
            self._move(patient, home.id, candidate.id, SAID_SAME)
        elif len(home.links) == 1 and not home.citizen_id:
            raise Invalid("The only record of a person cannot be taken out.", slug="only-record")
        else:
            self._part(patient, home)
        return self._write(review, decision)

    def undo(self, review: Review) -> Review:
        involved = {one.source for one in review.moved} | {one.target for one in review.moved}
        self._stand(involved)
        for moved in reversed(review.moved):
            link = self._ledger.person(moved.target).link_of(moved.patient)
            after = Link(moved.patient, link.facts if link else "", moved.was)
            self._ledger.play(
                Move(moved.patient, moved.target, moved.source, link, after), [UNDONE]
            )
        return self._write(review, None)

    # -- inside ----------------------------------------------------------------------------

    def _take_in(self, review: Review) -> tuple[PersonView, PersonView]:
        standing = finding.homes(self._session, [review.patient])
        candidate = next((one for one in standing if one.id == review.person_id), None)
        candidate = candidate or read_person(self._session, review.person_id)
        for person in (*standing, *([candidate] if candidate.version else [])):
            self._ledger.stand(person)
        home = self._ledger.home(review.patient)
        if home is None:
            raise Gone("The record is no longer in the index.", slug="record-gone")
        return home, candidate

    def _stand(self, ids: set[str]) -> None:
        for person in finding.persons(self._session, ids):
            self._ledger.stand(person)

    def _joined(
        self, review: Review, home: PersonView, candidate: PersonView
    ) -> list[tuple[str, str, str]]:
        """Who goes where: the side without a number to the one with it; between two numbers
        only the record in question."""
        if candidate.citizen_id and home.citizen_id:
            return [(review.patient, home.id, candidate.id)]
        if home.citizen_id and candidate.links:
            return [(ref, candidate.id, home.id) for ref in candidate.patients]
        if home.citizen_id:
            return [(review.patient, home.id, candidate.id)]
        return [(ref, home.id, candidate.id) for ref in home.patients]

    def _part(self, patient: str, home: PersonView) -> None:
        apart = apart_id(patient, home)
        self._stand({apart})
        self._move(patient, home.id, apart, SAID_DIFFERENT)

    def _move(self, patient: str, source: str, target: str, reason: str) -> None:
        standing = self._ledger.person(source).link_of(patient)
        facts = self._facts([patient])
        if patient not in facts or standing is None:
            raise Gone("The record is no longer in the index.", slug="record-gone")
        known = facts[patient]
        system = self._identity.citizen_system
        number = None
        if known.citizen_id and target == numbered_id(system, known.citizen_id):
            number = (system, known.citizen_id)
        self._ledger.link(known, target, assurance=BY_HAND, reasons=[reason], number=number)

    def _facts(self, refs: Sequence[str]) -> dict[str, Facts]:
        found = finding.patients(self._session, refs)
        facts = (facts_of(one.resource, self._identity) for one in found)
        return {one.patient: one for one in facts}

    def _write(self, review: Review, decision: Decision | None) -> Review:
        """The case with its decision, and all moves, in one commit."""
        ledger, actor = self._ledger, self._session.actor
        refs = {ref for person in ledger.touched for ref in person.patients}
        facts = self._facts([*refs, review.patient])
        judged = facts.get(review.patient)
        if decision is None:  # a case that only the steward made is then no case any more
            status = REQUESTED if review.reasons else CANCELLED
        else:
            status = ON_HOLD if decision is Decision.UNSURE else COMPLETED
        written = replace(
            review,
            status=status,
            decision=decision,
            facts=judged.digest if judged else review.facts,
            moved=tuple(
                Moved(move.patient, move.source, move.target, move.before.assurance)
                for move in ledger.moves
                if decision and move.before
            ),
            who=actor.id,
            who_name=actor.name,
            at=clock.iso(clock.now()),
        )
        changes = [
            *ledger.changes(facts, self._identity.insurance_system),
            Put(task_of(written), if_version=review.version),
        ]
        receipt = self._session.commit(changes, note=f"desk {decision or 'undo'}")
        return replace(written, version=receipt.versions[-1].version)
