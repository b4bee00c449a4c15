"""A person as the station writes him down: the registration form, and his face on every page.

Pure: from typed fields to a Patient resource and back. Numbers are optional (newborns, lost
cards), and of the birth date the year alone is enough.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sokhoe.people import CardFacts, Identity
from sokhoe.web import key

RELATION = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
GENDERS = ("male", "female", "other", "unknown")
_DAY = re.compile(r"^(\d{1,2})[/.\- ](\d{1,2})[/.\- ](\d{4})$", re.ASCII)
_BARE = re.compile(r"^(\d{2})(\d{2})(\d{4})$", re.ASCII)
_MONTH = re.compile(r"^(\d{1,2})[/.\-](\d{4})$", re.ASCII)
_ISO = re.compile(r"^\d{4}(-\d{2}(-\d{2})?)?$", re.ASCII)
_PHONE = re.compile(r"^\+?[0-9]{8,15}$")
# Staff count in months up to six years and in days in the first two months, as dosage tables for
# children do.
MONTHS_UNTIL, DAYS_UNTIL = 72, 60


@dataclass(frozen=True, slots=True)
class Typed:
    """The registration form as it was typed."""

    name: str = ""
    birth: str = ""
    gender: str = ""
    citizen_id: str = ""
    insurance: str = ""
    phone: str = ""
    address: str = ""


FIELDS = tuple(Typed.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Age:
    """`months` is None when nobody knows the birth year; `exact` False when only the year (or
    month) is known."""

    months: int | None
    days: int = 0
    exact: bool = True

    @property
    def years(self) -> int | None:
        return None if self.months is None else self.months // 12


def age(birth: str, on: date) -> Age:
    """The age on a day from a FHIR date, perhaps partial."""
    parts = [int(one) for one in birth.split("-")] if _ISO.match(birth) else []
    if not parts:
        return Age(None)
    if len(parts) == 1:
        return Age(max((on.year - parts[0]) * 12, 0), exact=False)
    months = (on.year - parts[0]) * 12 + on.month - parts[1]
    if len(parts) == 2:
        return Age(max(months, 0), exact=False)
    if on.day < parts[2]:
        months -= 1
    return Age(max(months, 0), max((on - date(*parts)).days, 0))


def read_date(text: str) -> str | None:
    """A typed date as a FHIR date: 5/3/1957, 05031957, 3/1957, 1957, 1957-03-05; None when it is
    none, or when there is no such day."""
    text = text.strip()
    if _ISO.match(text):
        found = text
    elif match := _DAY.match(text) or _BARE.match(text):
        day, month, year = match.groups()
        found = f"{year}-{int(month):02}-{int(day):02}"
    elif match := _MONTH.match(text):
        found = f"{match[2]}-{int(match[1]):02}"
    else:
        return None
    try:
        date.fromisoformat((found + "-01-01")[:10])
    except ValueError:
        return None
    return found


def shown_date(fhir: str) -> str:
    """A FHIR date as it is typed: 05/03/1957."""
    return "/".join(reversed(fhir.split("-")))


def spoken_name(text: str) -> str:
    """A typed name with single spaces; ALL CAPITALS (as on cards) becomes Title Case."""
    text = " ".join(text.split())
    return text.title() if text.isupper() else text


def check(typed: Typed, today: date, identity: Identity) -> dict[str, str]:
    """What is wrong, by field: catalogue keys."""
    errors: dict[str, str] = {}
    if len(typed.name) < 2:
        errors["name"] = key(
            "Type the person's name. For a newborn: child of and the mother's name."
        )
    elif len(typed.name) > 120:
        errors["name"] = key("This name is too long.")
    birth = read_date(typed.birth)
    if birth is None:
        errors["birth"] = key("Type the birth date as 05/03/1957, or only the year 1957.")
    elif int(birth[:4]) < 1900 or birth > today.isoformat():
        errors["birth"] = key("This birth date cannot be right.")
    if typed.gender not in GENDERS:
        errors["gender"] = key("Choose the sex.")
    if typed.phone and not _PHONE.match(_digits(typed.phone)):
        errors["phone"] = key("A phone number has 8 to 15 digits.")
    number = citizen_number(typed.citizen_id, identity)
    if number and not identity.is_citizen_id(number):
        errors["citizen_id"] = key("This number has a wrong length or sign.")
    if typed.insurance and not re.match(r"^[0-9A-Za-z]{6,20}$", _digits(typed.insurance)):
        errors["insurance"] = key("This number has a wrong length or sign.")
    return errors


def citizen_number(text: str, identity: Identity) -> str:
    """A typed citizen ID as it is kept: as the country writes it, else without the spaces, dots
    and dashes that people put in."""
    typed, bare = text.strip(), _digits(text)
    if not identity.is_citizen_id(bare) and identity.is_citizen_id(typed):
        return typed
    return bare


def _digits(text: str) -> str:
    """Without the spaces, dots and dashes people write into numbers."""
    return re.sub(r"[\s.\-]", "", text)


def resource(
    typed: Typed,
    identity: Identity,
    *,
    id: str,
    place: str,
    standing: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The form as a Patient. `standing`: the record that is edited; what the form does not know
    of it stays as it is (other numbers, other phones, links)."""
    base: dict[str, Any] = dict(standing or {"resourceType": "Patient", "id": id, "active": True})
    base.pop("meta", None)
    # The text at the top was made from the old fields; it would now say something else.
    base.pop("text", None)
    name = spoken_name(typed.name)
    old_names = [one for one in base.get("name", []) if not _is_main(one, base["name"])]
    base["name"] = [_human_name(name), *old_names]
    base["birthDate"] = read_date(typed.birth) or ""
    base["gender"] = typed.gender
    numbers = [
        (identity.citizen_system, citizen_number(typed.citizen_id, identity)),
        (identity.insurance_system, _digits(typed.insurance).upper()),
    ]
    base["identifier"] = [
        *({"system": system, "value": value} for system, value in numbers if value),
        *(
            one
            for one in base.get("identifier", [])
            if one.get("system") not in {system for system, _ in numbers}
        ),
    ]
    base["telecom"] = _first_replaced(
        base.get("telecom", []),
        "system",
        "phone",
        {"system": "phone", "value": _digits(typed.phone), "use": "mobile"}
        if typed.phone
        else None,
    )
    addresses = base.get("address", [])
    if typed.address != (_address(addresses[0]) if addresses else ""):
        own = [{"use": "home", "text": typed.address}] if typed.address else []
        base["address"] = [*own, *addresses[1:]]
    if place and "managingOrganization" not in base:
        base["managingOrganization"] = {"reference": place}
    return {name: value for name, value in base.items() if value not in ([], "", None)}


def _human_name(text: str) -> dict[str, Any]:
    """Family name first, given name last, as it is spoken here (house rule of `people`)."""
    family, *given = text.split()
    name: dict[str, Any] = {"use": "official", "text": text, "family": family}
    if given:
        name["given"] = given
    return name


def _is_main(name: Mapping[str, Any], names: Sequence[Mapping[str, Any]]) -> bool:
    official = [one for one in names if one.get("use") == "official"]
    return name is (official or names)[0]


def _first_replaced(
    items: Sequence[dict[str, Any]], field: str, value: str, new: dict[str, Any] | None
) -> list[dict[str, Any]]:
    """`items` with the first one of this kind replaced by `new` (taken out when that is None)."""
    place = next((at for at, one in enumerate(items) if one.get(field) == value), None)
    if place is None:
        return [*([new] if new else []), *items]
    if new and items[place].get("value") == new["value"]:
        return list(items)
    return [*items[:place], *([new] if new else []), *items[place + 1 :]]


def typed_of(patient: Mapping[str, Any], identity: Identity) -> Typed:
    """A Patient as the form shows it."""
    face = face_of(patient, identity)
    return Typed(
        name=face.name,
        birth=shown_date(face.birth),
        gender=face.gender,
        citizen_id=face.citizen_id,
        insurance=face.insurance,
        phone=face.phone,
        address=face.address,
    )


def from_card(facts: CardFacts, typed: Typed | None = None) -> Typed:
    """What a card says, over what was typed."""
    said = Typed(
        name=spoken_name(facts.name),
        birth=shown_date(facts.birth_date),
        gender=facts.gender,
        citizen_id=facts.citizen_id,
        insurance=facts.insurance,
        address=facts.address,
    )
    known = {name: value for name in FIELDS if (value := getattr(said, name))}
    return replace(typed or Typed(), **known)


@dataclass(frozen=True, slots=True)
class Face:
    """A person as pages show him."""

    id: str
    name: str
    birth: str
    gender: str
    citizen_id: str
    insurance: str
    phone: str
    address: str

    @property
    def ref(self) -> str:
        return f"Patient/{self.id}"

    @property
    def tail(self) -> str:
        """The end of the number: enough to compare with a card in the hand, too little to copy."""
        number = self.citizen_id or self.insurance
        return f"•••{number[-4:]}" if number else ""


def face_of(patient: Mapping[str, Any], identity: Identity) -> Face:
    names = patient.get("name", [])
    main = next((one for one in names if one.get("use") == "official"), names[0] if names else {})
    text = main.get("text") or " ".join([main.get("family", ""), *main.get("given", [])]).strip()
    numbers = {one.get("system"): one.get("value", "") for one in patient.get("identifier", [])}
    phones = [one["value"] for one in patient.get("telecom", []) if one.get("system") == "phone"]
    addresses = patient.get("address", [])
    return Face(
        id=patient.get("id", ""),
        name=text or "—",
        birth=patient.get("birthDate", ""),
        gender=patient.get("gender", "unknown"),
        citizen_id=numbers.get(identity.citizen_system, ""),
        insurance=numbers.get(identity.insurance_system, ""),
        phone=phones[0] if phones else "",
        address=_address(addresses[0]) if addresses else "",
    )


def _address(address: Mapping[str, Any]) -> str:
    parts = [*address.get("line", []), address.get("district"), address.get("city")]
    return str(address.get("text") or ", ".join(one for one in parts if one))


def new_id(form_key: str, what: str = "Patient") -> str:
    """The id that a form's key stands for: pressing twice names the same person twice."""
    return str(uuid5(NAMESPACE_URL, f"urn:sokhoe:form:{form_key}:{what}"))


def mother(child: str, face: Face, identity: Identity, *, id: str) -> dict[str, Any]:
    """The mother of a newborn as a RelatedPerson of the child, with her number if she has one."""
    related: dict[str, Any] = {
        "resourceType": "RelatedPerson",
        "id": id,
        "active": True,
        "patient": {"reference": child},
        "relationship": [{"coding": [{"system": RELATION, "code": "MTH", "display": "mother"}]}],
        "name": [_human_name(face.name)],
        "gender": "female",
    }
    if face.citizen_id:
        related["identifier"] = [{"system": identity.citizen_system, "value": face.citizen_id}]
    if face.phone:
        related["telecom"] = [{"system": "phone", "value": face.phone}]
    return related
