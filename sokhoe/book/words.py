"""A visit in one or two plain sentences, so that somebody can be told it or have it read aloud.

Catalogue keys are whole sentences: languages order their words differently.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from sokhoe import clock
from sokhoe.book.access import Deed, Look
from sokhoe.book.doses import Doses, Meal, Part
from sokhoe.book.identity import SEXES, Fact
from sokhoe.book.reading import day
from sokhoe.book.results import Band, Measure, Result
from sokhoe.book.timeline import Card, Kind
from sokhoe.clock import Instant
from sokhoe.fhir import fold
from sokhoe.web import Speaker, key

__all__ = ["fold"]  # the templates ask here for every word

KINDS = {
    Kind.VISIT: key("Visit"),
    Kind.STAY: key("Stay in hospital"),
    Kind.EMERGENCY: key("Emergency"),
    Kind.HOME: key("Visit at home"),
    Kind.REMOTE: key("Visit by phone or video"),
    Kind.LOOSE: key("Sent without a visit"),
}
BANDS = {
    Band.NORMAL: key("normal"),
    Band.LOW: key("low"),
    Band.HIGH: key("high"),
    Band.ATTENTION: key("needs a look"),
    Band.UNKNOWN: "",
}
PARTS = {
    Part.MORNING: key("Morning"),
    Part.NOON: key("Noon"),
    Part.AFTERNOON: key("Afternoon"),
    Part.NIGHT: key("Evening"),
}
MEALS = {
    Meal.BEFORE: key("before eating"),
    Meal.WITH: key("while eating"),
    Meal.AFTER: key("after eating"),
}
_ANSWERS = {"Yes": key("Yes"), "No": key("No")}
_PARTS_OF_ONE = {Decimal("0.5"): "½", Decimal("0.25"): "¼", Decimal("0.75"): "¾"}
NAMED = 3  # results named in a sentence; more are counted


def sentence(card: Card, t: Speaker, *, named: bool = True) -> str:
    """What a visit means, in one or two sentences; "" when nothing can be said. `named`: say
    which results need a look (a card lists them below anyway)."""
    said = []
    if card.reason:
        said.append(t("You came because of: {reason}.", reason=card.reason))
    if card.diagnoses:
        names = ", ".join(one.text for one in card.diagnoses)
        said.append(t("The doctor found: {names}.", names=names))
    if card.running:
        said.append(t("This visit has not ended yet."))
    if named or not card.to_look_at:
        said += _of_results(card, t)
    return " ".join(said)


def _of_results(card: Card, t: Speaker) -> list[str]:
    look = card.to_look_at
    if look:
        names = ", ".join(name_of(one, t) for one in look[:NAMED])
        if len(look) > NAMED:
            more = len(look) - NAMED
            return [t("Needs a look: {names} and {more} more.", names=names, more=more)]
        return [t("Needs a look: {names}.", names=names)]
    judged = card.judged
    if len(judged) == 1:
        return [t("{name} is normal.", name=name_of(judged[0], t))]
    if judged:
        return [t("All {count} results are normal.", count=len(judged))]
    return []


def name_of(thing: Result | Measure, t: Speaker) -> str:
    """The plain name where there is one, else the sender's."""
    return t(thing.plain) if thing.plain else thing.name


def other_name(result: Result, t: Speaker) -> bool:
    """Does the sender call it something that the plain name does not say already?"""
    return bool(result.plain) and fold(result.name) not in fold(t(result.plain))


def value_of(measure: Measure, t: Speaker) -> str:
    """5,6 · < 0,04 · Positive"""
    if measure.value is None:
        return t(_ANSWERS[measure.words]) if measure.words in _ANSWERS else measure.words
    number = t.number(measure.value)
    return f"{measure.words} {number}" if measure.words else number


def values_of(result: Result, t: Speaker) -> str:
    """All measures of a result with the unit once: 130/85 mmHg."""
    units = list(dict.fromkeys(one.unit for one in result.measures if one.unit))
    joined = "/".join(value_of(one, t) for one in result.measures)
    return f"{joined} {units[0]}" if len(units) == 1 else joined


def usual(measure: Measure, t: Speaker) -> str:
    """The usual range in words; "" without one."""
    if measure.low is not None and measure.high is not None:
        return t("normal {low} to {high}", low=t.number(measure.low), high=t.number(measure.high))
    if measure.high is not None:
        return t("normal up to {high}", high=t.number(measure.high))
    if measure.low is not None:
        return t("normal from {low}", low=t.number(measure.low))
    return ""


def amount(value: Decimal | None, unit: str, t: Speaker) -> str:
    """2 viên · ½ viên"""
    if value is None:
        return unit
    number = _PARTS_OF_ONE.get(value) or t.number(Decimal(f"{value.normalize():f}"))
    return f"{number} {unit}".strip()


def when(value: str | Instant, t: Speaker) -> str:
    """08:12 today · 08:12 yesterday · 23/11/2026 08:12"""
    if isinstance(value, str):
        if len(value) <= 10:
            return t.date(value)
        value = int(datetime.fromisoformat(value).timestamp() * 1_000_000)
    at = clock.local(value)
    past = (clock.today() - at.date()).days
    if past == 0:
        return t("{time} today", time=f"{at:%H:%M}")
    if past == 1:
        return t("{time} yesterday", time=f"{at:%H:%M}")
    return t.time(value)


def on(value: str, t: Speaker) -> str:
    """The local day of a FHIR date: 23/11/2026."""
    return t.date(day(value))


def often(dose: Doses, t: Speaker) -> str:
    """ "3 times a day, 1 tablet each time" where no part of the day is known."""
    if dose.per_day is None:
        return ""
    times = int(dose.per_day)
    if dose.each is None:
        return t("{times} times a day", times=times)
    each = amount(dose.each, dose.unit, t)
    return t("{times} times a day, {each} each time", times=times, each=each)


PURPOSES = {
    "TREAT": key("to treat you"),
    "ETREAT": key("in an emergency"),
    "PATRQT": key("because you asked"),
    "HOPERAT": key("to keep the records in order"),
    "PUBHLTH": key("for public health"),
    "HSYSADMIN": key("to check the system"),
}
ROLES = {
    "nurse": key("nurse"),
    "doctor": key("doctor"),
    "head": key("head of the facility"),
    "steward": key("steward of the person index"),
    "statistician": key("statistician"),
    "auditor": key("auditor"),
    "operator": key("operator"),
    "citizen": key("citizen"),
    "software": key("software"),
}
COUNTS = {
    "Encounter": key("{count} visits"),
    "MedicationRequest": key("{count} medicines"),
    "Observation": key("{count} results"),
    "Immunization": key("{count} vaccinations"),
}


def look(one: Look, t: Speaker) -> str:
    """Who looked, where, at what and why, in one sentence."""
    role = t(ROLES.get(one.role, one.role))
    if one.role == "software" and one.deed is Deed.WROTE:
        return t("{place} sent records about you, by its software.", place=one.place or one.name)
    if one.place and one.place != one.name:
        who = t("{name} ({role}) at {place}", name=one.name, role=role, place=one.place)
    else:
        who = t("{name} ({role})", name=one.name, role=role)
    why = t(PURPOSES[one.purpose]) if one.purpose in PURPOSES else ""
    what = ", ".join(t(kind) for kind in one.what)
    if one.deed is Deed.REFUSED:
        return t("{who} tried to open your record.", who=who)
    if one.deed is Deed.WROTE:
        return t("{who} wrote: {what}, {why}.", who=who, what=what, why=why)
    if one.deed is Deed.DELETED:
        return t("{who} took out: {what}, {why}.", who=who, what=what, why=why)
    if one.deed is Deed.EXPORTED:
        return t("{who} took a copy of: {what}, {why}.", who=who, what=what, why=why)
    if not what:
        return t("{who} saw a list with your name in it, {why}.", who=who, why=why)
    return t("{who} looked at: {what}, {why}.", who=who, what=what, why=why)


def counted(counts: Mapping[str, int], t: Speaker) -> str:
    """5 visits · 12 results"""
    said = [t(COUNTS[kind], count=t.number(count)) for kind, count in counts.items() if count]
    return " · ".join(said)


def shown(fact: Fact, value: str, t: Speaker) -> str:
    """A fact about somebody as people read it."""
    if fact.is_date:
        return t.date(value)
    return t(value) if value in SEXES.values() else value


def decimal(text: str, t: Speaker) -> str:
    return t.number(Decimal(text))


def month(value: str, t: Speaker) -> str:
    """11/2026"""
    return t.date(day(value)[:7])
