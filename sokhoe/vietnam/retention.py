"""How long Vietnam keeps what kind of record, and of which kind a visit is (fills
`trust.retention`). The periods are in retention.toml; of several kinds the longest counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from sokhoe.trust import Resource, Rule, longest, read_rules

# ICD-10: mental and behavioural disorders; transport accidents; transplanted organ status.
MENTAL = "F"
ROAD = tuple(f"V{number:02}" for number in range(100))
TRANSPLANT = ("Z94",)
WORK = ("Y96",)  # work-related condition


@cache
def rules() -> tuple[Rule, ...]:
    return read_rules(Path(__file__).with_name("retention.toml"))


class Periods:
    def rule(self, records: Sequence[Resource], closed: date) -> Rule | None:
        return longest(rules(), sorted(set(kinds(records))), closed)


def kinds(records: Sequence[Resource]) -> Iterator[str]:
    """Which kinds of record these are together; a visit at least."""
    yield "visit"
    for one in records:
        match one.get("resourceType"):
            case "Condition":
                yield from _of_illness(one)
            case "Encounter":
                left = one.get("hospitalization", {}).get("dischargeDisposition", {})
                if "exp" in _codes(left):
                    yield "death"
            case "Patient":
                if one.get("deceasedBoolean") or one.get("deceasedDateTime"):
                    yield "death"
            case "AdverseEvent":
                yield "incident"
            case _:
                pass


def _of_illness(condition: Resource) -> Iterator[str]:
    for code in _codes(condition.get("code", {})):
        if code.startswith(MENTAL):
            yield "mental"
        if code.startswith((*ROAD, *WORK)):
            yield "accident"
        if code.startswith(TRANSPLANT):
            yield "transplant"


def _codes(concept: Any) -> list[str]:
    return [str(one.get("code", "")) for one in concept.get("coding", [])]
