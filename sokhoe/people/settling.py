"""Settle records among the persons: link by itself what is certain, hand over what is not.

    no citizen ID                          a Person of its own
    citizen ID, fits the others with it    linked to the Person of that number
    citizen ID, but something contradicts  a Person of its own, and a case for the desk
    same insurance number elsewhere        stays where it is, and a case for the desk

What a person at the desk has decided stands: the machine neither takes back a link made by hand
nor makes one that was refused. When the facts have changed since, it asks again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from sokhoe import clock
from sokhoe.people import finding
from sokhoe.people.links import Ledger
from sokhoe.people.matching import Facts, Reason, Verdict, facts_of, judge, judge_all
from sokhoe.people.persons import ALONE, BY_NUMBER, PersonView, numbered_id, own_id
from sokhoe.people.reviews import CANCELLED, REQUESTED, Decision, Review, review_id, task_of
from sokhoe.people.seams import Identity
from sokhoe.trust import Change, Put, Session

NUMBER_GONE = "The record no longer carries this citizen ID."
HELD = "The record was linked elsewhere by hand."
CHANGED = "The facts have changed since the decision."
DELETED = "The record was deleted."


class Settling:
    """One round of work: take in what stands around some records, settle each, write at once."""

    def __init__(self, session: Session, identity: Identity) -> None:
        self.identity = identity
        self.ledger = Ledger(session.actor)
        self._session = session
        self._facts: dict[str, Facts] = {}
        self._insured: dict[str, list[Facts]] = {}
        self._reviews: dict[str, dict[str, Review]] = {}  # by patient and id
        self._stood: dict[str, Review] = {}

    # -- taking in -------------------------------------------------------------------------

    def take_in(self, fresh: Sequence[Facts], gone: Sequence[str] = ()) -> None:
        """Read what the judgement of these records needs, in a few searches for all of them."""
        session, system = self._session, self.identity.citizen_system
        refs = [*(one.patient for one in fresh), *gone]
        standing = finding.homes(session, refs)
        ids = {own_id(one.patient) for one in fresh}
        ids |= {numbered_id(system, one.citizen_id) for one in fresh if one.citizen_id}
        standing += finding.persons(session, ids - {one.id for one in standing})
        insured = {one.insurance for one in fresh if one.insurance}
        standing += finding.insured(session, self.identity.insurance_system, insured)
        for person in standing:
            self.ledger.stand(person)
        members = {ref for person in standing for ref in person.patients}
        for one in fresh:
            self._know(one)
        for version in finding.patients(session, members - set(refs)):
            self._know(facts_of(version.resource, self.identity))
        for review in finding.reviews_of(session, members | set(refs)):
            self._stood[review.id] = review
            self._keep(review)

    def _know(self, facts: Facts) -> None:
        self._facts[facts.patient] = facts
        if facts.insurance:
            self._insured.setdefault(facts.insurance, []).append(facts)

    def _keep(self, review: Review) -> None:
        self._reviews.setdefault(review.patient, {})[review.id] = review

    def _review(self, patient: str, person: str) -> Review | None:
        about = self._reviews.get(patient)
        return about.get(review_id(patient, person)) if about else None

    def _close(self, patient: str, but: Collection[str] = ()) -> None:
        """Close the open cases of a patient that nothing asks about any more."""
        for review in list(self._reviews.get(patient, {}).values()):
            if review.open and review.id not in but:
                self._keep(replace(review, status=CANCELLED))

    # -- settling --------------------------------------------------------------------------

    def settle(self, facts: Facts, *, again: bool = False) -> None:
        """Find the person of one record. Nothing happens when its facts were judged before,
        unless `again`: the person it was doubted against has changed."""
        home = self.ledger.home(facts.patient)
        link = home.link_of(facts.patient) if home else None
        if link and link.facts == facts.digest and not again:
            return
        asked = self._by_number(facts, home) if facts.citizen_id else self._alone(facts, home)
        asked |= self._suggest(facts)
        self._close(facts.patient, asked)

    def forget(self, patient: str) -> None:
        """A deleted record leaves the index; its cases are closed."""
        if self.ledger.home(patient):
            self.ledger.unlink(patient, [DELETED])
        self._close(patient)

    def _alone(self, facts: Facts, home: PersonView | None) -> set[str]:
        """A record without a citizen ID."""
        link = home.link_of(facts.patient) if home else None
        if home is None or link is None:
            self._to_own(facts, ())
        elif home.citizen_id and not link.by_hand:
            self._to_own(facts, [NUMBER_GONE])
        else:
            self.ledger.refresh(facts)
        return set()

    def _by_number(self, facts: Facts, home: PersonView | None) -> set[str]:
        """A record with a citizen ID; returns the case that it raises, if any."""
        target = numbered_id(self.identity.citizen_system, facts.citizen_id)
        judgement = judge_all(facts, self._others(facts.patient, self.ledger.person(target)))
        doubts = [*facts.warnings, *([Reason.TWO_IDS.text] if facts.more_ids else [])]
        sure = judgement.verdict is Verdict.SAME and not doubts
        reasons = [*doubts, *judgement.texts]
        decided = self._review(facts.patient, target)
        decision = decided.decision if decided else None
        held = home is not None and _held(facts.patient, home)

        if home is not None and home.id == target:
            if sure or held or decision is Decision.SAME:
                self.ledger.refresh(facts)
            else:
                self._to_own(facts, reasons)
            return set() if sure else {self._raise(facts, target, reasons)}
        if sure and not held and decision is not Decision.DIFFERENT:
            number = (self.identity.citizen_system, facts.citizen_id)
            self.ledger.link(
                facts, target, assurance=BY_NUMBER, reasons=judgement.texts, number=number
            )
            return set()
        if home is None:
            self._to_own(facts, ())
        elif home.citizen_id and not held:
            self._to_own(facts, [NUMBER_GONE])
        else:
            self.ledger.refresh(facts)
        if sure:
            reasons.append(HELD if held else CHANGED)
        return {self._raise(facts, target, reasons)}

    def _others(self, patient: str, person: PersonView) -> list[Facts]:
        """The records of a person to compare with: those linked by number. What was linked by
        hand did not fit in the first place, so it counts only where there is nothing else."""
        links = [link for link in person.links if link.patient != patient]
        plain = [link for link in links if not link.by_hand] or links
        return [self._facts[one.patient] for one in plain if one.patient in self._facts]

    def _to_own(self, facts: Facts, reasons: Iterable[str]) -> None:
        self.ledger.link(facts, own_id(facts.patient), assurance=ALONE, reasons=tuple(reasons))

    def _suggest(self, facts: Facts) -> set[str]:
        """Other records with the same insurance number that are linked to another person."""
        home = self.ledger.home(facts.patient)
        asked: set[str] = set()
        for mate in self._insured.get(facts.insurance, ()):
            other = self.ledger.home(mate.patient)
            if home is None or other is None or other.id == home.id:
                continue
            if facts.citizen_id and facts.citizen_id == mate.citizen_id:
                continue  # the number itself has been judged
            judgement = judge(facts, mate)
            if judgement.verdict is not Verdict.DOUBT:
                continue
            reverse = self._review(mate.patient, home.id)
            if reverse is not None and reverse.status != CANCELLED:
                continue  # the same question, asked from the other side
            asked.add(self._raise(facts, other.id, judgement.texts))
        return asked

    def _raise(self, facts: Facts, person: str, reasons: Sequence[str]) -> str:
        """Open a case, or keep the one there is; a decision on these very facts stands."""
        known = self._review(facts.patient, person)
        if known is None:
            now = clock.iso(clock.now())
            known = Review(
                review_id(facts.patient, person), facts.patient, f"Person/{person}",
                reasons=tuple(reasons), facts=facts.digest, opened=now,
            )  # fmt: skip
            self._keep(known)
            return known.id
        if known.decision or CHANGED in known.reasons:
            reasons = [*(text for text in reasons if text != CHANGED), CHANGED]
        if known.open:
            self._keep(replace(known, reasons=tuple(reasons), facts=facts.digest))
        elif known.decision is None or known.facts != facts.digest:
            self._keep(
                replace(
                    known, status=REQUESTED, moved=(), opened=clock.iso(clock.now()),
                    reasons=tuple(reasons), facts=facts.digest,
                )
            )  # fmt: skip
        return known.id

    # -- writing ---------------------------------------------------------------------------

    def changes(self) -> list[Change]:
        """Everything that this round changed, to be written in one commit."""
        now = clock.iso(clock.now())
        found = self.ledger.changes(self._facts, self.identity.insurance_system)
        for review in (one for about in self._reviews.values() for one in about.values()):
            stood = self._stood.get(review.id)
            if review != stood:
                written = replace(review, at=now)
                found.append(Put(task_of(written), if_version=stood.version if stood else 0))
        return found


def _held(patient: str, home: PersonView) -> bool:
    """Linked by hand, or with others by hand in a person without a number."""
    link = home.link_of(patient)
    if link is not None and link.by_hand:
        return True
    return not home.citizen_id and any(one.by_hand for one in home.links)
