"""A second reading of consents, written from the specification alone (hl7.org/fhir/R4/consent.html,
IHE ITI PCF, docs/decisions/0017) over plain FHIR JSON. It shares no code with the program.

    may(consents, who) -> bool
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple

LOCAL = timezone(timedelta(hours=7))
MICRO = 1_000_000


class Who(NamedTuple):
    """One request. `names`: actor and facility; `record`: the resource; `kinds`: its protected
    categories; `own`, `treated`, `opened`: facts of the world."""

    names: list[str]
    purpose: str
    now: int
    record: dict[str, Any]
    kinds: list[str]
    own: bool
    treated: bool
    opened: bool


def may(consents: list[dict[str, Any]], who: Who) -> bool:
    if who.own and who.purpose in ("TREAT", "ETREAT"):
        return True
    living = [one for one in consents if one["status"] == "active"]
    verdicts = [verdict(one["provision"], who, False) for one in living]
    if "deny" in verdicts:
        return False
    if who.treated or who.opened:
        return True
    return any(invites(one["provision"], who) for one in living)


def verdict(provision: dict[str, Any], who: Who, narrow: bool) -> str:
    """deny, permit or "" (says nothing of this)."""
    if not applies(provision, who):
        return ""
    narrow = narrow or any(provision.get(one) for one in ("class", "securityLabel", "data"))
    exceptions = {verdict(one, who, narrow) for one in provision.get("provision", [])}
    for wins in ("deny", "permit"):
        if wins in exceptions:
            return wins
    own: str = provision.get("type", "")
    named = [one["code"] for one in provision.get("purpose", [])]
    if own == "deny" and who.opened and not narrow and "ETREAT" not in named:
        return ""  # an emergency opens a facility that was closed, not what was closed by kind
    return own


def applies(provision: dict[str, Any], who: Who) -> bool:
    for word in ("actor", "purpose", "class", "securityLabel", "data"):
        wanted = provision.get(word)
        if wanted and not any(fits(word, one, who) for one in wanted):
            return False
    period = provision.get("period", {})
    start, end = period.get("start"), period.get("end")
    if start and who.now < moment(start):
        return False
    return not (end and who.now >= moment(end) + day_long(end))


def fits(word: str, value: dict[str, Any], who: Who) -> bool:
    if word == "actor":
        return value["reference"]["reference"] in who.names
    if word == "purpose":
        return bool(value["code"] == who.purpose)
    if word == "class":
        return bool(value["code"] == who.record["resourceType"])
    if word == "securityLabel":
        return value["code"] in who.kinds
    ref = f"{who.record['resourceType']}/{who.record['id']}"
    return bool(value["reference"]["reference"] == ref)


def invites(provision: dict[str, Any], who: Who) -> bool:
    if provision.get("type") != "permit" or not provision.get("actor"):
        return False
    if any(provision.get(one) for one in ("class", "securityLabel", "data")):
        return False
    return applies(provision, who)


def moment(text: str) -> int:
    if len(text) == 10:
        at = datetime.fromisoformat(text).replace(tzinfo=LOCAL)
    else:
        at = datetime.fromisoformat(text)
    return int((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


def day_long(text: str) -> int:
    """An end that names a day or a second means all of it."""
    return 24 * 3600 * MICRO if len(text) == 10 else MICRO
