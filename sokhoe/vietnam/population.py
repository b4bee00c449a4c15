"""An invented province: households and people, the same for the same seed, at any length.

Nobody here lives: names are drawn from lists, phones begin with 0100 (no such range exists),
citizen numbers are made up behind a plausible beginning. `people(seed, 100)` is the beginning of
`people(seed, 200)`. No clock: everything is as of one given day.

What makes it useful for testing: shared addresses and phones, twins, newborns without a number who
are linked to their mother, elders of whom only the birth year is known, three insurance formats,
people without insurance, old and new communes, three peoples.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import accumulate, islice
from random import Random

from sokhoe.vietnam import citizen_id, names
from sokhoe.vietnam.code_lists import codes
from sokhoe.vietnam.province import Province, province

AS_OF = date(2026, 11, 1)
NEWBORN_DAYS = 45  # until then no number, and often no name yet


@dataclass(frozen=True, slots=True)
class Person:
    """An invented person. Empty text means: there is none, or nobody knows.

    `number` counts from 1 and is the identity (`mother`, `father`, `twin` point to it, 0 is
    nobody); `birth` is a FHIR date, perhaps only the year; `sex` FHIR's word; `social` the
    ten-digit insurance code, `insurance` the number as printed, `benefit` per cent paid;
    `births` the days on which she bore a child; `role` head, spouse, child, parent.
    """

    number: int
    household: int
    role: str
    name: str
    sex: str
    birth: str
    ethnic: str
    occupation: str
    commune: str
    former_commune: str
    address: str
    phone: str
    citizen_id: str
    old_card: str
    social: str
    insurance: str
    benefit: int
    mother: int
    father: int
    twin: int
    births: tuple[str, ...]
    allergies: tuple[str, ...]
    blood: str


@dataclass(frozen=True, slots=True)
class Household:
    """People under one roof, with one address and mostly one phone."""

    number: int
    commune: str
    address: str
    phone: str
    members: tuple[Person, ...]


@dataclass(slots=True)
class _Sketch:
    """A member before numbers and cards are given out. `days` is the age in days as of the day."""

    role: str
    sex: str
    days: int
    surname: str
    second: bool = False  # the later of twins; the other stands right before


ALLERGIES = ("Penicillin", "Sulfamid", "Aspirin", "Hải sản", "Ceftriaxon", "Thuốc cản quang")
_OTHER_PROVINCES = ("079", "092", "082", "087", "094", "093", "080", "095")
_BLOOD = names.Choice({"O+": 42.0, "B+": 30.0, "A+": 21.0, "AB+": 6.5, "O-": 0.3, "B-": 0.2})
_WORK = names.Choice(
    {
        "61000": 34.0, "62000": 8.0, "52000": 12.0, "81000": 14.0, "93000": 12.0, "71000": 5.0,
        "75000": 4.0, "51000": 4.0, "41000": 2.5, "23000": 1.5, "22000": 0.8, "83000": 2.2,
    }
)  # fmt: skip
_GROUP = names.Choice({"GD": 52.0, "DN": 16.0, "HN": 8.0, "CN": 9.0, "BT": 5.0, "CC": 3.0, "HC": 3})


def people(
    seed: int, n: int, *, as_of: date = AS_OF, folder: str = "vinh_long"
) -> Iterator[Person]:
    """The first `n` people of the province that grows from `seed`."""
    everyone = (
        person
        for household in households(seed, as_of=as_of, folder=folder)
        for person in household.members
    )
    return islice(everyone, n)


def households(seed: int, *, as_of: date = AS_OF, folder: str = "vinh_long") -> Iterator[Household]:
    """Endless households; stop when you have enough."""
    return _Maker(seed, as_of, province(folder)).households()


@cache
def _commune_choice(where: Province) -> tuple[tuple[str, ...], tuple[int, ...]]:
    communes = tuple(where.communes.values())
    return tuple(one.code for one in communes), tuple(accumulate(o.population for o in communes))


class _Maker:
    """The state of one stream: the dice, and how far each series of numbers has come."""

    def __init__(self, seed: int, as_of: date, where: Province) -> None:
        self.rng = Random(seed)  # noqa: S311 (invented people, no secret)
        self.today = as_of.toordinal()
        self.where = where
        self.serials: dict[str, int] = {}
        self.series: dict[tuple[str, str, int], Iterator[str]] = {}
        self.persons = 0
        self.benefit = {code: int(one.extra) for code, one in codes("insurance_groups").items()}

    def households(self) -> Iterator[Household]:
        random = self.rng.random
        codes_, upto = _commune_choice(self.where)
        number = 0
        while True:
            number += 1
            commune = self.where.communes[codes_[bisect(upto, random() * upto[-1])]]
            former = self.where.former[commune.former_province]
            dice = random()
            kin: names.People = (
                "khmer" if dice < former.khmer else "hoa" if dice > 1 - former.hoa else "kinh"
            )
            before = self.where.before(commune.code)
            old = before[int(random() * len(before))].code if before else ""
            if commune.kind == "phuong":
                address = f"Số {int(random() * 240) + 1}, khóm {int(random() * 8) + 1}"
            else:
                address = f"Số {int(random() * 400) + 1}, ấp {int(random() * 9) + 1}"
            phone = self.phone() if random() < 0.92 else ""
            members = self.members(number, kin, commune.code, old, address, phone)
            yield Household(number, commune.code, address, phone, members)

    def phone(self) -> str:
        return f"0100{int(self.rng.random() * 1_000_000):06d}"

    def members(
        self, household: int, kin: names.People, commune: str, old: str, address: str, phone: str
    ) -> tuple[Person, ...]:
        """Number, name and card for each sketched member; mothers come before their children."""
        sketches = self.sketch(kin)
        first = self.persons + 1
        self.persons += len(sketches)
        wife = next((i for i, s in enumerate(sketches) if s.role in _WIVES and s.sex != "male"), -1)
        man = next((i for i, s in enumerate(sketches) if s.role in _WIVES and s.sex == "male"), -1)
        births = tuple(
            date.fromordinal(self.today - one.days).isoformat()
            for one in sketches
            if one.role == "child" and not one.second
        )
        made: list[Person] = []
        for place, one in enumerate(sketches):
            child = one.role == "child"
            twin = -1
            if one.second:
                twin = place - 1
            elif place + 1 < len(sketches) and sketches[place + 1].second:
                twin = place + 1
            mother = made[wife] if child and wife >= 0 else None
            made.append(
                self.person(
                    one,
                    number=first + place,
                    household=household,
                    kin=kin,
                    places=(commune, old, address, phone),
                    mother=mother,
                    father=first + man if child and man >= 0 else 0,
                    twin=first + twin if twin >= 0 else 0,
                    births=births if place == wife else (),
                )
            )
        return tuple(made)

    def sketch(self, kin: names.People) -> list[_Sketch]:
        """Who lives under this roof: role, sex, age, family name. A pyramid grows from the mix."""
        random = self.rng.random
        name = names.surname(self.rng, kin)
        kind = random()
        if kind < 0.13:  # an old couple, or one of them
            days = int((61 + 27 * random() ** 1.6) * 365.25)
            found = [_Sketch("head", "male", days, name)]
            found.append(
                _Sketch(
                    "spouse", "female", max(days - int(random() * 2000), 20_000), self.other(kin)
                )
            )
            alone = random()
            if alone < 0.45:
                found.pop(0 if alone < 0.33 else 1)
            return found
        if kind < 0.22:  # alone
            sex = "male" if random() < 0.5 else "female"
            return [_Sketch("head", sex, int((19 + 40 * random()) * 365.25), name)]
        mother = int((20 + 33 * random()) * 365.25)
        father = mother + int((random() * 8 - 2) * 365.25)
        found = [_Sketch("spouse", "female", mother, self.other(kin))]
        if kind < 0.92:
            found.insert(0, _Sketch("head", "male", max(father, 7000), name))
        else:
            found[0].role = "head"
        found += self.children(mother, name)
        if random() < 0.24:
            old = mother + int((20 + 14 * random()) * 365.25)
            found.append(_Sketch("parent", "female", old, self.other(kin)))
            if random() < 0.5:
                found.append(_Sketch("parent", "male", old + int(random() * 1800), name))
        return found

    def children(self, mother: int, name: str) -> list[_Sketch]:
        """Children from her 19th year on, those grown up mostly gone."""
        random = self.rng.random
        dice = random()
        count = 0 if dice < 0.10 else 1 if dice < 0.42 else 2 if dice < 0.84 else 3
        days = mother - int((18.5 + 12 * random() ** 1.4) * 365.25)
        found: list[_Sketch] = []
        for _ in range(count):
            if days < 1:
                break
            if days < 25 * 365 or random() < 0.35:
                sex = "male" if random() < 0.525 else "female"
                found.append(_Sketch("child", sex, days, name))
                if random() < 0.012:
                    same = sex if random() < 0.65 else "male" if sex == "female" else "female"
                    found.append(_Sketch("child", same, days, name, second=True))
            days -= int((1.8 + 5 * random()) * 365.25)
        return found

    def other(self, kin: names.People) -> str:
        """A family name that married in."""
        return names.surname(self.rng, kin if self.rng.random() < 0.93 else "kinh")

    def person(
        self,
        one: _Sketch,
        *,
        number: int,
        household: int,
        kin: names.People,
        places: tuple[str, str, str, str],
        mother: Person | None,
        father: int,
        twin: int,
        births: tuple[str, ...],
    ) -> Person:
        random = self.rng.random
        commune, old, address, phone = places
        born = date.fromordinal(self.today - one.days)
        age = one.days / 365.25
        newborn = one.days < NEWBORN_DAYS
        birth = born.isoformat()
        if (age > 70 and random() < 0.35) or (55 < age <= 70 and random() < 0.08):
            birth = birth[:4]
        if newborn and mother and random() < 0.5:
            name = f"Con bà {mother.name}"
        else:
            name = f"{one.surname} {names.given(self.rng, kin, one.sex, born.year)}"
        registered = self.where.communes[commune].former_province
        if random() < 0.07:
            registered = _OTHER_PROVINCES[int(random() * len(_OTHER_PROVINCES))]
        card = "" if newborn else self.next_citizen_id(registered, one.sex, born.year)
        social, insurance, benefit = self.insurance(age, kin, commune, card)
        if age > 18 and random() < 0.55:
            phone = self.phone()
        return Person(
            number=number,
            household=household,
            role=one.role,
            name=name,
            sex=one.sex,
            birth=birth,
            ethnic={"kinh": "01", "hoa": "04", "khmer": "05"}[kin],
            occupation=self.occupation(age),
            commune=commune,
            former_commune=old,
            address=address,
            phone=phone,
            citizen_id=card,
            old_card=self.old_card(registered) if age > 30 and random() < 0.3 else "",
            social=social,
            insurance=insurance,
            benefit=benefit,
            mother=mother.number if mother else 0,
            father=father,
            twin=twin,
            births=births,
            allergies=((ALLERGIES[int(random() * len(ALLERGIES))],) if random() < 0.04 else ()),
            blood=_BLOOD.pick(random()) if random() < 0.3 else "",
        )

    def next_citizen_id(self, registered: str, sex: str, year: int) -> str:
        """The next invented number of such people: `citizen_id.invented`, one series per kind."""
        series = self.series.get((registered, sex, year))
        if series is None:
            series = citizen_id.invented(citizen_id.prefix(registered, sex, year))
            self.series[registered, sex, year] = series
        return next(series)

    def old_card(self, registered: str) -> str:
        serial = self.serials.get("old", 0)
        self.serials["old"] = serial = (serial + 61_803) % 1_000_000
        return f"3{registered[1:]}{serial:06d}"

    def insurance(
        self, age: float, kin: names.People, commune: str, card: str
    ) -> tuple[str, str, int]:
        """(social insurance code, number as printed, per cent paid); empty without insurance."""
        random = self.rng.random
        if not card or random() < 0.07:
            return "", "", 0
        serial = self.serials.get("social", 0)
        self.serials["social"] = serial = (serial + 61_803_399) % 100_000_000
        part = self.where.communes[commune].former_province[1:]
        social = f"{part}{serial:08d}"
        if age < 6:
            group = "TE"
        elif age < 18:
            group = "HS"
        elif age > 60 and random() < 0.22:
            group = "HT"
        elif kin == "khmer" and random() < 0.5:
            group = "DT"
        else:
            group = _GROUP.pick(random())
        benefit = self.benefit[group]
        level = {100: 1 if group == "TE" else 2, 95: 3, 80: 4}[benefit]
        dice = random()
        if age < 6 or dice < 0.3:
            return social, f"{group}{level}{part}{social}", benefit
        return social, card if dice > 0.85 else social, benefit

    def occupation(self, age: float) -> str:
        if age < 6:
            return "90001"
        if age < 19:
            return "90002"
        if age > 68:
            return "90005"
        return _WORK.pick(self.rng.random())


_WIVES = frozenset({"head", "spouse"})
