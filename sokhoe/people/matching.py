"""Are these two records one person? Pure judgement with its reasons; it never guesses.

    same citizen ID, name and birth date fit, sex does not contradict    SAME, linked by itself
    same citizen ID, but something contradicts                           DOUBT, the desk decides
    same insurance number, name and birth date fit                       DOUBT, a suggestion
    anything else                                                        DIFFERENT

Why a citizen ID alone is not enough: at reception a mother's card is taken for her child, and a
twin's for the other twin. Each fact therefore weighs FOR, says nothing (NEUTRAL), is too weak to
rely on (WEAK), or speaks AGAINST; one WEAK or AGAINST and a person looks at it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Any

from sokhoe.people.names import ALIKE, WHOLE, NameLevel, compare
from sokhoe.people.seams import Identity

# Named in each link's Provenance; raise it whenever a judgement can come out differently.
MODEL = "urn:sokhoe:match:1"


class Verdict(Enum):
    SAME = "same"
    DOUBT = "doubt"
    DIFFERENT = "different"


class Weight(Enum):
    FOR = "for"
    NEUTRAL = "neutral"
    WEAK = "weak"
    AGAINST = "against"


class Reason(Enum):
    """A fact that was weighed; `text` is its sentence (a catalogue key)."""

    SAME_ID = (Weight.FOR, "The citizen ID is the same.")
    SAME_INSURANCE = (Weight.FOR, "The health insurance number is the same.")
    OTHER_ID = (Weight.WEAK, "The citizen IDs are different.")
    TWO_IDS = (Weight.WEAK, "One record carries two different citizen IDs.")

    NAME_EXACT = (Weight.FOR, "The names are the same.")
    NAME_UNACCENTED = (Weight.FOR, "The names are the same; one is written without accents.")
    NAME_TURNED = (Weight.FOR, "The names are the same in another order.")
    NAME_MIDDLE = (Weight.FOR, "The names are the same; one lacks a middle name.")
    NAME_LETTER = (Weight.FOR, "The names differ by one letter, but not in the given name.")
    NAME_ACCENTS = (Weight.WEAK, "The names differ in an accent.")
    NAME_GIVEN_LETTER = (Weight.WEAK, "The given names differ by one letter.")
    NAME_PARTS = (Weight.WEAK, "Only a part of the names is the same.")
    NAME_DIFFERENT = (Weight.AGAINST, "The names are different.")
    NAME_MISSING = (Weight.WEAK, "One of the names is missing.")

    BIRTH_SAME = (Weight.FOR, "The birth dates are the same.")
    BIRTH_LESS_EXACT = (Weight.FOR, "The birth dates agree; one gives only the year.")
    BIRTH_NEW_YEAR = (Weight.FOR, "The birth years agree; one says the first of January.")
    BIRTH_TURNED = (Weight.FOR, "Day and month of birth have changed places.")
    BIRTH_PART = (Weight.FOR, "The birth dates differ in one part.")
    BIRTH_NEAR = (Weight.WEAK, "The birth dates are near, but not the same.")
    BIRTH_FAR = (Weight.AGAINST, "The birth dates are far apart.")
    BIRTH_MISSING = (Weight.NEUTRAL, "One of the birth dates is missing.")

    SEX_SAME = (Weight.FOR, "The sex is the same.")
    SEX_OTHER = (Weight.AGAINST, "The sex is different.")
    SEX_MISSING = (Weight.NEUTRAL, "The sex is not known for both.")

    def __init__(self, weight: Weight, text: str) -> None:
        self.weight = weight
        self.text = text


_NAME_REASON = {level: Reason[f"NAME_{level.name}"] for level in NameLevel}


@dataclass(frozen=True, slots=True)
class Facts:
    """What one source record says that identifies a person.

    `patient` is its reference; `name` is family name first; `birth_date` as FHIR writes it
    (`1950`, `1950-03`, `1950-03-02`); `gender` a FHIR code or ""; `more_ids` further citizen IDs
    in the same record (there should be none); `warnings` what the country says against the
    number (catalogue keys). `address` and `phone` are for the screen and are not weighed.
    """

    patient: str = ""
    citizen_id: str = ""
    insurance: str = ""
    name: str = ""
    birth_date: str = ""
    gender: str = ""
    more_ids: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    address: str = ""
    phone: str = ""

    @property
    def digest(self) -> str:
        """Changes when, and only when, something changes that is weighed."""
        weighed = (
            self.citizen_id,
            *self.more_ids,
            self.insurance,
            unicodedata.normalize("NFC", self.name),
            self.birth_date,
            self.gender,
        )
        return sha256("\x1f".join(weighed).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Judgement:
    verdict: Verdict
    reasons: tuple[Reason, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(reason.text for reason in self.reasons)


def judge(a: Facts, b: Facts) -> Judgement:
    """Are these two one person? The same answer whichever comes first."""
    weighed = _weigh(a, b)
    if a.citizen_id and a.citizen_id == b.citizen_id:
        verdict = Verdict.SAME if _fits(weighed) else Verdict.DOUBT
        return Judgement(verdict, (Reason.SAME_ID, *weighed))
    if a.insurance and a.insurance == b.insurance and _fits(weighed):
        reasons = (Reason.SAME_INSURANCE, *weighed)
        if a.citizen_id and b.citizen_id:
            reasons = (*reasons, Reason.OTHER_ID)
        return Judgement(Verdict.DOUBT, reasons)
    return Judgement(Verdict.DIFFERENT, weighed)


def judge_all(one: Facts, others: Sequence[Facts]) -> Judgement:
    """Does a record with a person's citizen ID belong to the records that already have it?

    It must fit every one of them. One that vouches is not enough: a record with a bare birth
    year, or with a name typed without accents, would tie two people together (Hùng, HUNG, Hưng).
    With nobody to compare it is SAME: it is the first.
    """
    if not others:
        return Judgement(Verdict.SAME)
    each = [_weigh(one, other) for other in others]
    failing = [found for found in each if not _fits(found)]
    if failing:
        return Judgement(Verdict.DOUBT, (Reason.SAME_ID, *_merged(failing)))
    return Judgement(Verdict.SAME, (Reason.SAME_ID, *_merged(each)))


def _merged(found: Iterable[Sequence[Reason]]) -> tuple[Reason, ...]:
    return tuple(dict.fromkeys(reason for reasons in found for reason in reasons))


def _weigh(a: Facts, b: Facts) -> tuple[Reason, ...]:
    return (
        _NAME_REASON[compare(a.name, b.name)],
        compare_births(a.birth_date, b.birth_date),
        _compare_sex(a.gender, b.gender),
    )


def _fits(reasons: Sequence[Reason]) -> bool:
    """Nothing weak, nothing against; and without a birth date the name must be whole."""
    if any(reason.weight in {Weight.WEAK, Weight.AGAINST} for reason in reasons):
        return False
    if Reason.BIRTH_MISSING in reasons:
        return any(_NAME_REASON[level] in reasons for level in WHOLE)
    return any(_NAME_REASON[level] in reasons for level in ALIKE)


def _compare_sex(a: str, b: str) -> Reason:
    if a not in {"male", "female"} or b not in {"male", "female"}:
        return Reason.SEX_MISSING
    return Reason.SEX_SAME if a == b else Reason.SEX_OTHER


def compare_births(a: str, b: str) -> Reason:
    """How two birth dates, each perhaps only a year, agree."""
    if not a or not b:
        return Reason.BIRTH_MISSING
    if a == b:
        return Reason.BIRTH_SAME
    if a.startswith(b) or b.startswith(a):
        return Reason.BIRTH_LESS_EXACT
    one, two = a.split("-"), b.split("-")
    apart = abs(int(one[0]) - int(two[0]))
    if apart == 0 and ["01", "01"] in (one[1:], two[1:]):
        return Reason.BIRTH_NEW_YEAR
    if len(one) == len(two) == 3 and apart <= 1:
        differing = sum(x != y for x, y in zip(one, two, strict=True))
        if differing == 1:
            return Reason.BIRTH_PART
        if one == [two[0], two[2], two[1]]:
            return Reason.BIRTH_TURNED
    return Reason.BIRTH_NEAR if apart <= 2 else Reason.BIRTH_FAR


# -- from a Patient ------------------------------------------------------------------------------


def facts_of(patient: dict[str, Any], identity: Identity) -> Facts:
    """The identifying facts of a Patient resource."""
    numbers = _numbers(patient, identity.citizen_system)
    numbers = [number for number in numbers if identity.is_citizen_id(number)]
    insurance = _numbers(patient, identity.insurance_system)
    birth, gender = str(patient.get("birthDate", "")), str(patient.get("gender", ""))
    return Facts(
        patient=f"Patient/{patient.get('id', '')}",
        citizen_id=numbers[0] if numbers else "",
        insurance=insurance[0] if insurance else "",
        name=_name(patient.get("name", [])),
        birth_date=birth,
        gender=gender,
        more_ids=tuple(numbers[1:]),
        warnings=tuple(identity.warnings(numbers[0], birth, gender)) if numbers else (),
        address=_address(patient.get("address", [])),
        phone=next(
            (
                str(one["value"])
                for one in patient.get("telecom", [])
                if one.get("system") == "phone" and one.get("value")
            ),
            "",
        ),
    )


def _numbers(patient: dict[str, Any], system: str) -> list[str]:
    """Values of one identifier system that still hold, each once, in a fixed order."""
    return sorted(
        {
            str(one["value"]).strip()
            for one in patient.get("identifier", [])
            if one.get("system") == system and one.get("value") and one.get("use") != "old"
        }
    )


def _name(names: Sequence[dict[str, Any]]) -> str:
    """The name in force, family name first."""
    rank = {"official": 0, "usual": 1, None: 2}
    living = sorted(
        (one for one in names if one.get("use") != "old"),
        key=lambda one: rank.get(one.get("use"), 3),
    )
    for one in living:
        given = " ".join(one.get("given", []))
        if one.get("family") and given:
            return f"{one['family']} {given}"
        written = one.get("text") or one.get("family") or given
        if written:
            return " ".join(str(written).split())
    return ""


def _address(addresses: Sequence[dict[str, Any]]) -> str:
    for one in addresses:
        if one.get("text"):
            return str(one["text"])
        parts = [*one.get("line", []), one.get("district"), one.get("city"), one.get("state")]
        joined = ", ".join(str(part) for part in parts if part)
        if joined:
            return joined
    return ""
