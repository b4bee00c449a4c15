"""Agreements with partners (departments, branches, insurers, vendors): for what, which data, from
when to when, how many requests a day, with which keys. What is agreed is enforced, not filed away.

    agreement       id → {organisation, name, purpose, classes, begins, ends, quota, paper, jwks,
                          active, since}
    agreement-used  id|day → count of requests taken that day

A client that works under an agreement has at most the data classes of it, in each token and at each
request; before its first and after its last day nothing; above its quota 429 until midnight.

The quota is counted in all processes together. A process takes the right to a hundredth of it at a
time, so a request costs no write of its own: what may be lost thereby, at a restart, is a
hundredth; what can never happen is one request more than agreed.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sokhoe import clock
from sokhoe.clock import Instant
from sokhoe.errors import Busy, Conflict, Forbidden, Invalid, NotFound
from sokhoe.store import Keep, Store
from sokhoe.trust import assertions
from sokhoe.trust.actors import Purpose
from sokhoe.trust.permits import AUDIT, DIRECTORY, scope_deeds

DRAWER, USED = "agreement", "agreement-used"
MOST_QUOTA = 100_000_000
SHARE = 100  # a process takes a hundredth of a day's quota at a time
TRIES = 50
_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")

# What partners agree on, in the words of an agreement; each is a set of FHIR types.
CLASSES: Mapping[str, frozenset[str]] = {
    "people": frozenset({"Patient", "Person", "RelatedPerson"}),
    "visits": frozenset({"Encounter", "EpisodeOfCare", "Appointment", "Schedule", "Slot"}),
    "illnesses": frozenset(
        {
            "Condition",
            "AllergyIntolerance",
            "FamilyMemberHistory",
            "Procedure",
            "ClinicalImpression",
            "CarePlan",
            "Goal",
            "RiskAssessment",
        }
    ),
    "results": frozenset(
        {"Observation", "DiagnosticReport", "Specimen", "ImagingStudy", "ServiceRequest"}
    ),
    "medicines": frozenset(
        {
            "MedicationRequest",
            "MedicationDispense",
            "MedicationAdministration",
            "MedicationStatement",
        }
    ),
    "vaccinations": frozenset(
        {"Immunization", "ImmunizationRecommendation", "ImmunizationEvaluation"}
    ),
    "documents": frozenset({"DocumentReference", "Composition", "Media", "Binary", "Bundle"}),
    "payments": frozenset(
        {"Coverage", "Claim", "ClaimResponse", "ExplanationOfBenefit", "Invoice", "ChargeItem"}
    ),
    "numbers": frozenset({"Measure", "MeasureReport", "Group"}),
    "news": frozenset({"Subscription", "Task", "Communication"}),
    "directory": DIRECTORY,
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """`organisation`: reference or name of the partner; `begins` and `ends` are local days
    (2026-11-23), both counted in; `quota` requests a day, 0 for no bound; `paper` says where the
    signed paper lies; `jwks` are the partner's keys, for its clients that register none."""

    id: str
    organisation: str
    name: str
    purpose: Purpose
    classes: tuple[str, ...]
    begins: str
    ends: str
    quota: int = 0
    paper: str = ""
    jwks: Mapping[str, Any] | None = None
    active: bool = True
    since: Instant = 0

    @property
    def types(self) -> frozenset[str]:
        return frozenset[str]().union(*(CLASSES[one] for one in self.classes)) - AUDIT

    @property
    def stands(self) -> bool:
        """Is today one of its days?"""
        return self.active and self.begins <= clock.today().isoformat() <= self.ends


class Agreements:
    """The agreements of one memory, and this process's part of the counting."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._left: dict[str, tuple[str, int]] = {}  # id → (day, requests taken and not used)

    # -- the register ----------------------------------------------------------------------

    def find(self, id: str) -> Agreement | None:
        value = self._store.kept(DRAWER, id) if id else None
        return None if value is None else _agreement(id, value)

    def get(self, id: str) -> Agreement:
        """Raises NotFound."""
        found = self.find(id)
        if found is None:
            raise NotFound(f"There is no agreement {id!r}.", slug="no-agreement")
        return found

    def all(self) -> list[Agreement]:
        found = [_agreement(id, value) for id, value in self._store.all_kept(DRAWER).items()]
        return sorted(found, key=lambda one: (one.organisation.casefold(), one.id))

    def add(self, agreement: Agreement) -> None:
        """Raises Invalid naming the field, Conflict when the id is taken."""
        check(agreement)
        value = {**_kept(agreement), "since": agreement.since or clock.now()}
        self._store.keep(Keep(DRAWER, agreement.id, value, expected=None))

    def change(self, id: str, change: Callable[[Agreement], Agreement]) -> Agreement:
        """Raises NotFound, Invalid; Conflict when somebody changed it at the same moment."""
        value = self._store.kept(DRAWER, id)
        changed = change(self.get(id))
        check(changed)
        self._store.keep(Keep(DRAWER, id, _kept(changed), expected=value))
        with self._lock:
            self._left.pop(id, None)
        return changed

    def used_today(self) -> dict[str, int]:
        """Requests taken today, by agreement."""
        day = clock.today().isoformat()
        found = self._store.all_kept(USED)
        return {
            key.rpartition("|")[0]: int(count)
            for key, count in found.items()
            if key.rpartition("|")[2] == day
        }

    def over(self) -> list[Keep]:
        """Counts of days gone by."""
        day = clock.today().isoformat()
        return [
            Keep(USED, key, None)
            for key in self._store.all_kept(USED)
            if key.rpartition("|")[2] < day
        ]

    # -- enforcing -------------------------------------------------------------------------

    def standing(self, id: str) -> Agreement:
        """The agreement when today is one of its days. Raises Forbidden (`agreement-over`)."""
        found = self.find(id)
        if found is None or not found.stands:
            days = f" It held from {found.begins} to {found.ends}." if found else ""
            raise Forbidden(
                f"The agreement {id} does not hold today.{days}",
                hint="Renew it with the province.",
                slug="agreement-over",
            )
        return found

    def spend(self, id: str) -> bool:
        """Count one request; False where there is no quota to count against. Raises Forbidden
        (`agreement-over`), Busy (`over-quota`, 429)."""
        agreement = self.standing(id)
        if agreement.quota and not (self.spend_soon(id) or self._take(agreement)):
            error = Busy(
                f"The {agreement.quota} requests a day of the agreement {id} are used up.",
                hint="Go on tomorrow, or agree on more with the province.",
                slug="over-quota",
                status=429,
            )
            error.seconds = seconds_to_midnight()
            raise error
        return agreement.quota > 0

    def spend_soon(self, id: str) -> bool:
        """Count one request out of what this process has taken; False where `spend` must look.
        For the event loop: it touches no memory but our own."""
        day = clock.today().isoformat()
        with self._lock:
            known = self._left.get(id)
            if known is None or known[0] != day or known[1] < 1:
                return False
            self._left[id] = (day, known[1] - 1)
            return True

    def _take(self, agreement: Agreement) -> bool:
        """Take the right to some requests, and use one of them; False when none are left today."""
        day = clock.today().isoformat()
        key = f"{agreement.id}|{day}"
        for _ in range(TRIES):
            before = self._store.kept(USED, key)
            count = int(before or 0)
            some = min(max(1, agreement.quota // SHARE), agreement.quota - count)
            if some < 1:
                return False
            try:
                self._store.keep(Keep(USED, key, count + some, expected=before))
            except Conflict:  # another process took some in the same moment
                continue
            with self._lock:
                known = self._left.get(agreement.id)
                left = known[1] if known and known[0] == day else 0
                self._left[agreement.id] = (day, left + some - 1)
            return True
        return False

    def narrowed(self, scopes: Sequence[str], id: str) -> tuple[str, ...]:
        """Of these scopes what lies within the data classes; `system/*.rs` becomes one scope for
        each type. All of them where there is no agreement, none where it does not hold today."""
        if not id:
            return tuple(scopes)
        agreement = self.find(id)
        return () if agreement is None or not agreement.stands else narrow(scopes, agreement)


def narrow(scopes: Sequence[str], agreement: Agreement) -> tuple[str, ...]:
    types = agreement.types
    found: list[str] = []
    for one in scopes:
        wanted = scope_deeds(one)
        if wanted is None:
            if "/" not in one or one == "launch/patient":
                found.append(one)  # a word, no right to data
        elif wanted[0] == "*":
            level, _, rest = one.partition("/*")
            found += [f"{level}/{type}{rest}" for type in sorted(types)]
        elif wanted[0] in types:
            found.append(one)
    return tuple(dict.fromkeys(found))


def seconds_to_midnight() -> int:
    """Until the local day ends."""
    now = clock.local(clock.now())
    tomorrow = datetime.combine(now.date() + timedelta(days=1), time(), tzinfo=now.tzinfo)
    return max(1, int((tomorrow - now).total_seconds()) + 1)


def check(agreement: Agreement) -> None:
    """Can this be agreed? Raises Invalid naming the field."""
    wrong = ""
    if not _ID.match(agreement.id):
        wrong = "id"
    elif not 0 < len(agreement.organisation.strip()) <= 200:
        wrong = "organisation"
    elif len(agreement.name) > 200 or len(agreement.paper) > 200:
        wrong = "name"
    elif not agreement.classes or set(agreement.classes) - set(CLASSES):
        wrong = "classes"
    elif not (_is_day(agreement.begins) and _is_day(agreement.ends)):
        wrong = "begins"
    elif agreement.ends < agreement.begins:
        wrong = "ends"
    elif not 0 <= agreement.quota <= MOST_QUOTA:
        wrong = "quota"
    if wrong:
        raise Invalid(f"The agreement's {wrong} is not right.", slug="agreement", location=wrong)
    for key in (agreement.jwks or {}).get("keys", ()):
        assertions.check_public(key)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _agreement(id: str, value: Mapping[str, Any]) -> Agreement:
    return Agreement(
        id=id,
        organisation=value["organisation"],
        name=value["name"],
        purpose=Purpose(value["purpose"]),
        classes=tuple(value["classes"]),
        begins=value["begins"],
        ends=value["ends"],
        quota=value["quota"],
        paper=value["paper"],
        jwks=value["jwks"],
        active=value["active"],
        since=value["since"],
    )


def _kept(agreement: Agreement) -> dict[str, Any]:
    return {
        "organisation": agreement.organisation,
        "name": agreement.name,
        "purpose": str(agreement.purpose),
        "classes": list(agreement.classes),
        "begins": agreement.begins,
        "ends": agreement.ends,
        "quota": agreement.quota,
        "paper": agreement.paper,
        "jwks": agreement.jwks,
        "active": agreement.active,
        "since": agreement.since,
    }
