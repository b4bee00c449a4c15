"""How pages say an age, a sex, and who the person is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sokhoe import clock
from sokhoe.clinic.patients import DAYS_UNTIL, MONTHS_UNTIL, Age, Face, age
from sokhoe.web import Ask, Speaker, key

GENDERS = {
    "male": key("male"),
    "female": key("female"),
    "other": key("other sex"),
    "unknown": key("sex not known"),
}


def age_text(t: Speaker, found: Age) -> str:
    """67 years, 8 months, 12 days; "about" when only the birth year is known."""
    if found.months is None:
        return t("age not known")
    if found.exact and found.days < DAYS_UNTIL:
        return t("{count} days old", count=found.days)
    if found.exact and found.months < MONTHS_UNTIL:
        return t("{count} months old", count=found.months)
    if found.exact:
        return t("{count} years old", count=found.years)
    return t("about {count} years old", count=found.years)


def bar(
    ask: Ask, face: Face, alerts: Sequence[str], *, link: bool = True, main: bool = True
) -> dict[str, Any]:
    """The person bar's arguments (parts.person). `main`: the name is the page's heading."""
    return {
        "name": face.name,
        "href": f"/people/{face.id}" if link else "",
        "age": age_text(ask.t, age(face.birth, clock.today())),
        "gender": ask.t(GENDERS.get(face.gender, GENDERS["unknown"])),
        "birth": ask.t.date(face.birth),
        "number": ask.t("number {tail}", tail=face.tail) if face.tail else "",
        "main": main,
        "alerts": list(alerts),
        "quiet": ask.t("No allergy recorded"),
    }
