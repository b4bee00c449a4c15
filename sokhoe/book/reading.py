"""Small readings of FHIR JSON that every page of the Book needs: words, references, dates.

Pure and forgiving: what a facility left out is left out here, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sokhoe import clock

Resource = Mapping[str, Any]
# What was written by mistake, or was never done, is no part of a person's history.
NOT_DONE = frozenset({"entered-in-error", "cancelled", "not-done", "draft", "planned", "unknown"})


@dataclass(frozen=True, slots=True)
class Places:
    """Which facility a record is from. `names`: by Organization reference; `homes`: the facility
    that keeps each source Patient; `visits`: facility names by Encounter reference; `staff`:
    names by Practitioner reference."""

    names: Mapping[str, str] = field(default_factory=dict)
    homes: Mapping[str, str] = field(default_factory=dict)
    visits: Mapping[str, str] = field(default_factory=dict)
    staff: Mapping[str, str] = field(default_factory=dict)

    def of(self, resource: Resource) -> str:
        """The facility's name: its own, its visit's, or that of the file it lies in; "" when
        nothing says which it was."""
        said = resource.get("serviceProvider") or resource.get("managingOrganization") or {}
        name = self.names.get(target(said)) or str(said.get("display", ""))
        name = name or self.visits.get(visit(resource), "")
        return name or self.names.get(self.homes.get(subject(resource), ""), "")


def text(concept: Any) -> str:
    """The words of a CodeableConcept: the sender's own text first, else a coding's display."""
    if not isinstance(concept, dict):
        return ""
    said = concept.get("text")
    if isinstance(said, str) and said.strip():
        return said.strip()
    shown = [one.get("display") for one in codings(concept)]
    return next((str(one) for one in shown if one), "") or first_code(concept)


def codings(concept: Any) -> list[dict[str, Any]]:
    found = concept.get("coding", []) if isinstance(concept, dict) else []
    return [one for one in found if isinstance(one, dict)]


def codes(concepts: Any) -> set[str]:
    """All codes of one concept or of a list of them."""
    many = concepts if isinstance(concepts, list) else [concepts]
    return {str(one["code"]) for concept in many for one in codings(concept) if one.get("code")}


def first_code(concept: Any) -> str:
    return next((str(one["code"]) for one in codings(concept) if one.get("code")), "")


def target(reference: Any) -> str:
    """`Type/id` of a reference, also of an absolute or a versioned one; "" when it has none."""
    said = reference.get("reference", "") if isinstance(reference, dict) else ""
    parts = str(said).split("/_history/")[0].split("/")
    return "/".join(parts[-2:]) if len(parts) >= 2 else str(said)


def own(resource: Resource) -> str:
    """The resource's own reference."""
    return f"{resource.get('resourceType', '')}/{resource.get('id', '')}"


def subject(resource: Resource) -> str:
    """The source Patient a resource is about."""
    if resource.get("resourceType") == "Patient":
        return own(resource)
    return target(resource.get("subject") or resource.get("patient"))


def visit(resource: Resource) -> str:
    """The visit a resource belongs to, as a reference; "" when it came without one."""
    return target(resource.get("encounter") or resource.get("context"))


_MOMENTS = (
    "effectiveDateTime",
    "effectiveInstant",
    "occurrenceDateTime",
    "performedDateTime",
    "authoredOn",
    "recordedDate",
    "onsetDateTime",
    "dateAsserted",
    "issued",
    "occurrenceString",
)
_PERIODS = ("period", "effectivePeriod", "performedPeriod", "onsetPeriod")


def moment(resource: Resource) -> str:
    """When it was true of the person, as FHIR wrote it; "" when it does not say."""
    for name in _PERIODS:
        period = resource.get(name)
        if isinstance(period, dict) and period.get("start"):
            return str(period["start"])
    for name in _MOMENTS:
        if resource.get(name):
            return str(resource[name])
    return ""


def day(value: str) -> str:
    """The local day of a FHIR date or dateTime (2026-05-01, or shorter when it is partial)."""
    if len(value) <= 10:
        return value
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return value[:10]
    return str(read.astimezone(clock.zone()).date() if read.tzinfo else read.date())


def year(value: str) -> int:
    """The local year, 0 when there is none."""
    start = day(value)[:4]
    return int(start) if start.isdigit() else 0


def sort_key(value: str) -> tuple[str, str]:
    """Orders FHIR dates by local day, then by instant; a missing one comes first."""
    if len(value) <= 10:
        return value, ""
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return value[:10], value
    local = read.astimezone(clock.zone()) if read.tzinfo else read
    return str(local.date()), local.isoformat()


def days_between(start: str, end: str) -> int | None:
    """Whole days from one FHIR date to another; None when one of them is partial."""
    try:
        return (date.fromisoformat(day(end)) - date.fromisoformat(day(start))).days
    except ValueError:
        return None


def number(value: Any) -> Decimal | None:
    """A JSON number as Decimal."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | float):
        return None
    return value if isinstance(value, Decimal) else Decimal(str(value))


def age_at(born: str, when: str) -> int | None:
    """Whole years; None when one of the dates is missing. A bare birth year counts as its end."""
    birth, at = day(born), day(when)
    if len(birth) < 4 or len(at) < 4:
        return None
    full = int(at[:4]) - int(birth[:4])
    return full - 1 if (at[4:] or "-12-31") < (birth[4:] or "-12-31") else full


def valid(resources: Iterable[Resource]) -> Iterator[Resource]:
    """Without what was entered in error, cancelled or only planned."""
    for one in resources:
        wrong = codes(one.get("verificationStatus")) & {"entered-in-error", "refuted"}
        if one.get("status") not in NOT_DONE and not wrong:
            yield one
