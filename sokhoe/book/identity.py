"""What each facility has written down about who somebody is. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sokhoe.book.reading import Resource
from sokhoe.clock import Instant
from sokhoe.fhir import fold
from sokhoe.web import key

NAME = key("Full name")
BORN = key("Birth date")
SEX = key("Sex")
PHONE = key("Phone")
ADDRESS = key("Address")
CITIZEN_ID = key("Citizen ID")
INSURANCE = key("Health insurance number")
SEXES = {"male": key("male"), "female": key("female"), "other": key("other sex")}
# Two facilities may well have two phones or a new address; that is no mistake.
MAY_DIFFER = frozenset({PHONE, ADDRESS, INSURANCE})


@dataclass(frozen=True, slots=True)
class Said:
    """What one facility says, and when that came. `value`: a FHIR date or code where it is one."""

    facility: str
    value: str
    at: Instant


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact with what each facility says of it."""

    label: str
    said: tuple[Said, ...]

    @property
    def is_date(self) -> bool:
        return self.label == BORN

    @property
    def differs(self) -> bool:
        """The facilities contradict each other (a missing accent is no contradiction)."""
        if self.label in MAY_DIFFER:
            return False
        return len({fold(one.value) for one in self.said}) > 1

    @property
    def values(self) -> tuple[str, ...]:
        """The different values, each once, spelt in full: with accents, not in capitals."""
        ordered = sorted((one.value for one in self.said), key=_fullness, reverse=True)
        found: dict[str, str] = {}
        for one in ordered:
            found.setdefault(fold(one), one)
        return tuple(found.values())


def _fullness(value: str) -> tuple[int, bool, int]:
    return sum(not letter.isascii() for letter in value), not value.isupper(), len(value)


def said(patient: Resource, numbers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(label, value) of a source Patient. `numbers`: labels by identifier system."""
    name: dict[str, Any] = next(iter(patient.get("name") or []), {})
    whole = name.get("text") or _joined([name.get("family"), *name.get("given", [])])
    yield from _if(NAME, whole)
    yield from _if(BORN, patient.get("birthDate"))
    yield from _if(SEX, SEXES.get(str(patient.get("gender"))))
    for one in patient.get("identifier") or []:
        if one.get("system") in numbers:
            yield from _if(numbers[one["system"]], one.get("value"))
    for one in patient.get("telecom") or []:
        if one.get("system") == "phone":
            yield from _if(PHONE, one.get("value"))
    for one in (patient.get("address") or [])[:1]:
        parts = [*one.get("line", []), one.get("district"), one.get("city"), one.get("state")]
        yield from _if(ADDRESS, one.get("text") or _joined(parts, ", "))


def _if(label: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and value.strip():
        yield label, value.strip()


def _joined(parts: list[Any], between: str = " ") -> str:
    return between.join(str(part) for part in parts if part)
