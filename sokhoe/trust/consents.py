"""What citizens have allowed and closed: FHIR Consents as rules, and the decision over them. Pure.

Shape: IHE Privacy Consent on FHIR (ITI PCF). A rule permits or denies, for some actors, purposes,
types, categories, items and a time; its inner rules are exceptions to it (hl7.org/fhir/R4/
consent.html#provision). The innermost rule that fits says; where two beside each other disagree,
and where two consents do, deny wins. In that order:

    1  a facility's own records, for its own care       permitted: the law has it keep and use them
    2  a consent denies                                 denied
    3  treatment here, a consent that permits the whole, an opening in an emergency    permitted
    4  nothing of all that                              denied

In an emergency (`breakglass`) rules that close a facility or a person as a whole, or everything, do
not bind; what is closed by category, type or item stays closed, and so does what names emergencies.

What a rule says and we do not understand never opens more: in a denial it is ignored, so that it
denies more; a permission that has it is ignored as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sokhoe.clock import Instant
from sokhoe.fhir import search

CATEGORY = "urn:sokhoe:category"
DELEGATION = "urn:sokhoe:consent"  # category of a Consent that lets somebody act for the patient
_SCOPE = "patient-privacy"
_READING = frozenset({"access", "use", "disclose"})
_ACTORS = frozenset({"Organization", "Practitioner", "Device", "Patient", "RelatedPerson"})
_FOREVER = 2**62
# Exceptions to exceptions; what lies deeper is taken as a denial.
DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Rule:
    """One provision. Empty sets: any. `deny` None: only its inner rules say something."""

    deny: bool | None
    actors: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    items: frozenset[str] = frozenset()
    since: Instant = 0
    until: Instant = _FOREVER
    rules: tuple[Rule, ...] = ()

    @property
    def of_records(self) -> bool:
        """Whether it speaks of certain records only."""
        return bool(self.types or self.categories or self.items)


@dataclass(frozen=True, slots=True)
class Given:
    """An active consent of a patient."""

    id: str
    patient: str
    rule: Rule

    def concerns(self, actors: frozenset[str]) -> bool:
        """Whether it can close or open anything to these."""
        return _concerns(self.rule, actors)

    def moments(self) -> Iterator[Instant]:
        """When it may begin or cease to bind."""
        for one in everything(self.rule):
            yield from (one.since, one.until)


@dataclass(frozen=True, slots=True)
class Request:
    """Who wants what. `actors`: all references by which he may be named; `own`: the record lies
    with the facility that asks; `related`: the patient is or was treated there; `emergency`: he
    was opened in an emergency."""

    actors: frozenset[str]
    purpose: str
    at: Instant
    type: str
    ref: str
    categories: frozenset[str] = frozenset()
    own: bool = False
    related: bool = False
    emergency: bool = False


class Why(StrEnum):
    OWN = "own"
    CLOSED = "closed"
    TREATED = "treated"
    ALLOWED = "allowed"
    EMERGENCY = "emergency"
    NO_BASIS = "no-basis"


@dataclass(frozen=True, slots=True)
class Decision:
    permit: bool
    why: Why


CARE = frozenset({"TREAT", "ETREAT"})


def decide(consents: Iterable[Given], request: Request) -> Decision:
    """May he? The reference for what `closing` puts into SQL."""
    if request.own and request.purpose in CARE:
        return Decision(True, Why.OWN)
    listed = [_said(one.rule, request) for one in consents]
    if True in listed:
        return Decision(False, Why.CLOSED)
    if request.related:
        return Decision(True, Why.TREATED)
    if any(permits_whole(one.rule, request) for one in consents):
        return Decision(True, Why.ALLOWED)
    if request.emergency:
        return Decision(True, Why.EMERGENCY)
    return Decision(False, Why.NO_BASIS)


def _said(rule: Rule, request: Request, within: bool = False) -> bool | None:
    """True: denied; False: permitted; None: it does not say. `within`: a rule around this one
    speaks of certain records only."""
    if not addressed(rule, request.actors, request.purpose, request.at):
        return None
    if rule.types and request.type not in rule.types:
        return None
    if rule.categories and not rule.categories & request.categories:
        return None
    if rule.items and request.ref not in rule.items:
        return None
    within = within or rule.of_records
    inner = [_said(one, request, within) for one in rule.rules]
    if True in inner:
        return True
    if False in inner:
        return False
    return effect(rule, within=within, emergency=request.emergency)


def addressed(rule: Rule, actors: frozenset[str], purpose: str, at: Instant) -> bool:
    """Whether a rule speaks to this actor, for this purpose, now."""
    return (
        (not rule.actors or bool(rule.actors & actors))
        and (not rule.purposes or purpose in rule.purposes)
        and rule.since <= at < rule.until
    )


def effect(rule: Rule, *, within: bool, emergency: bool) -> bool | None:
    """What a rule says by itself: True denied, False permitted, None nothing."""
    if rule.deny and emergency and not within and "ETREAT" not in rule.purposes:
        return None
    return rule.deny


def permits_whole(rule: Rule, request: Request) -> bool:
    """Whether a consent names this actor and permits him the record as a whole."""
    return (
        rule.deny is False
        and bool(rule.actors)
        and not rule.of_records
        and addressed(rule, request.actors, request.purpose, request.at)
    )


def everything(rule: Rule) -> Iterator[Rule]:
    yield rule
    for one in rule.rules:
        yield from everything(one)


def _concerns(rule: Rule, actors: frozenset[str]) -> bool:
    if rule.actors and not rule.actors & actors:
        return False
    if rule.deny or (rule.deny is False and rule.actors):
        return True
    return any(_concerns(one, actors) for one in rule.rules)


# -- from FHIR ------------------------------------------------------------------------------------


def read(consent: Mapping[str, Any]) -> Given | None:
    """The rules of a Consent; None when it is not active, is none about privacy, or names no
    patient of this memory."""
    if consent.get("status") != "active" or is_delegation(consent):
        return None
    if _SCOPE not in _codes([consent.get("scope") or {}]):
        return None
    patient = str((consent.get("patient") or {}).get("reference", ""))
    provision = consent.get("provision")
    if not patient.startswith("Patient/") or not provision:
        return None
    rule = _rule(provision)
    return Given(str(consent["id"]), patient, rule) if rule is not None else None


def is_delegation(consent: Mapping[str, Any]) -> bool:
    systems = {
        coding.get("system")
        for one in consent.get("category", ())
        for coding in one.get("coding", ())
    }
    return DELEGATION in systems


def _rule(provision: Mapping[str, Any], depth: int = 1) -> Rule | None:
    if depth > DEEPEST:
        return Rule(deny=True)
    deny = {"deny": True, "permit": False}.get(str(provision.get("type")))
    actions = _codes(provision.get("action", ()))
    if actions and not actions & _READING:
        return None  # it is about correcting or collecting, not about reading
    strange = bool(provision.get("code") or provision.get("dataPeriod"))
    named = [
        str((one.get("reference") or {}).get("reference", "")) for one in provision.get("actor", ())
    ]
    actors = frozenset(one for one in named if one.partition("/")[0] in _ACTORS)
    strange |= len(actors) < len(set(named))
    labels = {found for one in provision.get("securityLabel", ()) for found in _category(one)}
    strange |= any(not _category(one) for one in provision.get("securityLabel", ()))
    types = frozenset(str(one.get("code", "")) for one in provision.get("class", ()))
    items = provision.get("data", ())
    strange |= any(one.get("meaning") != "instance" for one in items)
    refs = frozenset(str((one.get("reference") or {}).get("reference", "")) for one in items)
    if deny is False and strange:
        return None
    period = provision.get("period") or {}
    return Rule(
        deny=deny,
        actors=actors,
        purposes=frozenset(str(one.get("code", "")) for one in provision.get("purpose", ())),
        types=types,
        categories=frozenset(labels),
        items=refs,
        since=search.stretch(period["start"])[0] if period.get("start") else 0,
        until=search.stretch(period["end"])[1] if period.get("end") else _FOREVER,
        rules=tuple(
            found
            for one in provision.get("provision", ())
            if (found := _rule(one, depth + 1)) is not None
        ),
    )


def _category(label: Mapping[str, Any]) -> tuple[str, ...]:
    system, code = str(label.get("system", "")), str(label.get("code", ""))
    if system == CATEGORY:
        return (code,) if code in search.CATEGORIES else ()
    return search.categories(system, code)


def _codes(concepts: Iterable[Mapping[str, Any]]) -> set[str]:
    return {str(coding.get("code", "")) for one in concepts for coding in one.get("coding", ())}
