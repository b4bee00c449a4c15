"""From consents to what the store leaves out: rules as conditions on the index. Pure.

What does not depend on the record (actor, purpose, time) is decided here; the rest becomes, for
each type, all, nothing, or a condition of hashes that stand in the index anyway:

    category   hash of (type, category)      one seek a record
    item       hash of the record itself
    type       decided here, since each type has its own condition

`consents.decide` says the same of a single record; tests/trust/test_consents.py compares the two,
and a third reading (tests/trust/consent_oracle.py) with both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sokhoe.clock import Instant
from sokhoe.fhir import TYPES, search
from sokhoe.store import Share
from sokhoe.trust.consents import Given, Rule, addressed, effect

Part = bool | search.Condition
# Types that lie in patients' compartments.
PERSONAL = tuple(sorted(one for one in TYPES if one == "Patient" or search.patient_parameters(one)))


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks why: all references by which he may be named, purpose, and whether the patients
    were opened to him in an emergency."""

    actors: frozenset[str]
    purpose: str
    emergency: bool = False


def closed(
    people: Iterable[tuple[frozenset[str], Sequence[Given]]], who: Asker, at: Instant
) -> tuple[Share, ...]:
    """What is closed to him now. `people`: of each person the patients in question and the
    consents given. Persons who close the same are put together."""
    groups: dict[tuple[Rule, ...], set[str]] = {}
    for patients, consents in people:
        rules = tuple(sorted({one.rule for one in consents if one.concerns(who.actors)}, key=repr))
        if rules and patients:
            groups.setdefault(rules, set()).update(patients)
    found = []
    for rules, patients_ in groups.items():
        what = _what(tuple(filter(None, (_now(rule, who, at) for rule in rules))), who.emergency)
        share = _share(frozenset(patients_), what)
        if share is not None:
            found.append(share)
    return tuple(found)


def _share(patients: frozenset[str], what: tuple[Part, ...]) -> Share | None:
    if all(one is False for one in what):
        return None
    if all(one is True for one in what):
        return Share(patients)
    return Share(patients, dict(zip(PERSONAL, what, strict=True)), rest=False)


def _now(rule: Rule, who: Asker, at: Instant) -> Rule | None:
    """The rule without what does not speak to this asker now, and without names and dates."""
    if not addressed(rule, who.actors, who.purpose, at):
        return None
    inner = tuple(filter(None, (_now(one, who, at) for one in rule.rules)))
    etreat = frozenset({"ETREAT"}) & rule.purposes
    return Rule(
        rule.deny, frozenset(), etreat, rule.types, rule.categories, rule.items, rules=inner
    )


@lru_cache(maxsize=4_096)
def _what(rules: tuple[Rule, ...], emergency: bool) -> tuple[Part, ...]:
    """For each personal type what of it is denied."""
    return tuple(
        _any([_said(rule, type, False, emergency)[0] for rule in rules]) for type in PERSONAL
    )


def _said(rule: Rule, type: str, within: bool, emergency: bool) -> tuple[Part, Part]:
    """What of a type a rule denies, and what it permits."""
    fits = _fits(rule, type)
    if fits is False:
        return False, False
    within = within or rule.of_records
    inner = [_said(one, type, within, emergency) for one in rule.rules]
    denied = _any([one[0] for one in inner])
    permitted = _all([_any([one[1] for one in inner]), _no(denied)])
    silent = _all([_no(denied), _no(permitted)])
    says = effect(rule, within=within, emergency=emergency)
    denied = _any([denied, silent if says is True else False])
    permitted = _any([permitted, silent if says is False else False])
    return _all([fits, denied]), _all([fits, permitted])


def _fits(rule: Rule, type: str) -> Part:
    if rule.types and type not in rule.types:
        return False
    parts: list[Part] = []
    if rule.categories:
        keys = tuple(search.category_key(type, one) for one in sorted(rule.categories))
        parts.append(search.Keys("_category", keys))
    if rule.items:
        own = search.type_keys(type).id
        refs = sorted(one for one in rule.items if one.startswith(f"{type}/"))
        parts.append(
            search.Keys("_id", tuple(own ^ search.key(one) for one in refs)) if refs else False
        )
    return _all(parts)


def _all(parts: Sequence[Part]) -> Part:
    if any(one is False for one in parts):
        return False
    asked = tuple(one for one in parts if not isinstance(one, bool))
    if not asked:
        return True
    return asked[0] if len(asked) == 1 else search.AnyOf("", (asked,))


def _any(parts: Sequence[Part]) -> Part:
    if any(one is True for one in parts):
        return True
    asked = tuple(one for one in parts if not isinstance(one, bool))
    if not asked:
        return False
    return asked[0] if len(asked) == 1 else search.AnyOf("", tuple((one,) for one in asked))


def _no(part: Part) -> Part:
    return (not part) if isinstance(part, bool) else search.Not("", (part,))
