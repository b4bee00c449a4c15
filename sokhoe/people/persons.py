"""A person as the index sees it, and the FHIR Person in which it is kept.

The id of a Person follows from its citizen ID (or, without one, from its first patient), so that
two who create it at once run into a Conflict and not into two persons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha1
from typing import Any
from uuid import UUID

from sokhoe.people.matching import Facts
from sokhoe.people.names import words
from sokhoe.trust import Version

NAMESPACE = UUID("5f0c6a52-7d3f-4f0b-9a6e-2d8f5b1f7c10")
FACTS = "urn:sokhoe:facts"  # extension of a link: digest of the facts that were judged
# Person.link.assurance: how sure we are that the record is this person's.
BY_HAND, BY_NUMBER, ALONE = "level4", "level3", "level2"


def id_of(text: str) -> str:
    """uuid5 of a text in our namespace, without making a UUID object (a batch makes thousands)."""
    hash = sha1(NAMESPACE.bytes + text.encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(hash[16], 16) & 3]
    return f"{hash[:8]}-{hash[8:12]}-5{hash[13:16]}-{variant}{hash[17:20]}-{hash[20:32]}"


def numbered_id(system: str, number: str) -> str:
    """The id of the Person with this citizen ID."""
    return id_of(f"{system}|{number}")


def own_id(patient: str) -> str:
    """The id of the Person that a patient has for itself."""
    return id_of(patient)


def apart_id(patient: str, person: PersonView) -> str:
    """The id of the Person of a patient taken out of `person`: its own, unless it is that one."""
    own = own_id(patient)
    return own if own != person.id else id_of(f"{patient}|{person.version}")


@dataclass(frozen=True, slots=True)
class Link:
    """A patient of a person. `facts`: digest of what was judged; `assurance`: see above."""

    patient: str
    facts: str = ""
    assurance: str = BY_NUMBER

    @property
    def by_hand(self) -> bool:
        return self.assurance == BY_HAND


@dataclass(frozen=True, slots=True)
class PersonView:
    """A person as the index sees it. Name, birth date and sex are derived from the sources, the
    fullest of each; `insurance` are all their numbers. `version` 0: not yet written. Without
    links it is no longer anybody."""

    id: str
    version: int = 0
    citizen_system: str = ""
    citizen_id: str = ""
    name: str = ""
    birth_date: str = ""
    gender: str = ""
    insurance_system: str = ""
    insurance: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()

    @property
    def ref(self) -> str:
        return f"Person/{self.id}"

    @property
    def patients(self) -> tuple[str, ...]:
        return tuple(link.patient for link in self.links)

    @property
    def active(self) -> bool:
        return bool(self.links)

    def link_of(self, patient: str) -> Link | None:
        return next((link for link in self.links if link.patient == patient), None)


def person_of(version: Version) -> PersonView:
    """A stored Person as a value."""
    resource = version.resource
    numbers: list[dict[str, Any]] = resource.get("identifier", [])
    number: dict[str, Any] = next((one for one in numbers if one.get("use") == "official"), {})
    insurance = [one for one in numbers if one.get("use") == "secondary"]
    name: dict[str, Any] = next(iter(resource.get("name", [])), {})
    return PersonView(
        id=version.id,
        version=version.version,
        citizen_system=number.get("system", ""),
        citizen_id=number.get("value", ""),
        name=name.get("text", ""),
        birth_date=resource.get("birthDate", ""),
        gender=resource.get("gender", ""),
        insurance_system=insurance[0].get("system", "") if insurance else "",
        insurance=tuple(one.get("value", "") for one in insurance),
        links=tuple(_link(one) for one in resource.get("link", [])),
    )


def _link(one: Mapping[str, Any]) -> Link:
    facts = (
        str(extension.get("valueString", ""))
        for extension in one.get("extension", [])
        if extension.get("url") == FACTS
    )
    return Link(one["target"]["reference"], next(facts, ""), one.get("assurance", BY_NUMBER))


def resource_of(person: PersonView) -> dict[str, Any]:
    """A person as a FHIR Person."""
    resource: dict[str, Any] = {
        "resourceType": "Person",
        "id": person.id,
        "active": person.active,
    }
    numbers = [("secondary", person.insurance_system, value) for value in person.insurance]
    if person.citizen_id:
        numbers.insert(0, ("official", person.citizen_system, person.citizen_id))
    if numbers:
        resource["identifier"] = [
            {"use": use, "system": system, "value": value} for use, system, value in numbers
        ]
    if person.name:
        resource["name"] = [{"use": "official", "text": person.name}]
    if person.gender:
        resource["gender"] = person.gender
    if person.birth_date:
        resource["birthDate"] = person.birth_date
    if person.links:
        resource["link"] = [
            {
                "extension": [{"url": FACTS, "valueString": link.facts}],
                "target": {"reference": link.patient},
                "assurance": link.assurance,
            }
            if link.facts
            else {"target": {"reference": link.patient}, "assurance": link.assurance}
            for link in person.links
        ]
    return resource


def described(
    person: PersonView, sources: Iterable[Facts], insurance_system: str = ""
) -> PersonView:
    """The person with the fullest name, birth date and sex its sources have, and their insurance
    numbers. The order of the sources does not matter."""
    known = sorted(sources, key=lambda one: one.patient)
    insurance = tuple(sorted({one.insurance for one in known if one.insurance}))
    # What was linked by hand did not fit in the first place: it only fills what others leave out.
    by_hand = {link.patient for link in person.links if link.by_hand}
    plain = [one for one in known if one.patient not in by_hand]

    def most(field: Callable[[Facts], str], key: Callable[[str], Any]) -> str:
        return _most(map(field, plain), key) or _most(map(field, known), key)

    return replace(
        person,
        name=most(lambda one: one.name, _fullness),
        birth_date=most(lambda one: one.birth_date, lambda text: (len(text), text[5:] != "01-01")),
        gender=most(lambda one: one.gender, lambda code: code in {"male", "female"}),
        insurance_system=insurance_system if insurance else "",
        insurance=insurance,
    )


def _most(values: Iterable[str], key: Callable[[str], Any]) -> str:
    """The first greatest value, "" when there is none."""
    there = [value for value in values if value]
    return there[0] if len(there) == 1 else max(there, key=key, default="")


def _fullness(name: str) -> tuple[int, int, bool]:
    parts = words(name)
    return len(parts), sum(len(word.accents) for word in parts), not name.isupper()
