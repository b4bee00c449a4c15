"""The invented province as the demo, the tests and the benchmarks ask for it. Fills `world`.

Some facilities send exchange files, the others FHIR: in life both come. Same seed, same province;
`today` moves the visits, so that a demo started next year is not a year old.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import cache
from typing import Any

from sokhoe.country import Batch, Citizen
from sokhoe.vietnam import giamdinh, history, population, to_fhir
from sokhoe.vietnam.population import Person
from sokhoe.vietnam.province import province
from sokhoe.vietnam.resources import insurer
from sokhoe.vietnam.visit import Visit

DAYS = 340  # how far back the demo's visits reach
# Of a visit before that many days only what a claim carries came along (as when a hospital loads
# its past): the visit, diagnoses, vaccinations, blood pressure, and medicines of the last months.
# It keeps the demo's start short: some 40,000 resources instead of 110,000.
WHOLE_DAYS = 30
MEDICINE_DAYS = 120
PAST = frozenset({"Encounter", "Condition", "Immunization"})
BLOOD_PRESSURE = "85354-9"
# The first facilities have software that sends exchange files: their visits of the last days come
# through the gateway's tray, translated like any hospital's.
FILE_SENDERS = 4
FILE_DAYS = 30


@cache
def _people(seed: int, count: int, folder: str, today: date) -> tuple[Person, ...]:
    return tuple(population.people(seed, count, as_of=today, folder=folder))


class World:
    def __init__(self, folder: str) -> None:
        self._folder = folder

    def register(self) -> Sequence[dict[str, Any]]:
        return [insurer()] + [
            resource
            for code in province(self._folder).facilities
            for resource in to_fhir.facility_resources(code, folder=self._folder)
        ]

    def facilities(self) -> Sequence[tuple[str, str]]:
        return [(one.code, one.name) for one in province(self._folder).facilities.values()]

    def population(self, seed: int, people: int, today: date) -> dict[str, int]:
        """How many of the invented people live in each commune, with a record or without."""
        found: dict[str, int] = {}
        for person in _people(seed, people, self._folder, today):
            found[person.commune] = found.get(person.commune, 0) + 1
        return found

    def batches(self, seed: int, people: int, today: date) -> Iterator[Batch]:
        everyone = _people(seed, people, self._folder, today)
        by_number = {one.number: one for one in everyone}
        senders = {code for code, _ in self.facilities()[:FILE_SENDERS]}
        for person in everyone:
            for facility, visits in self._by_facility(person, today):
                mother = by_number.get(person.mother) if _newborn(person, today) else None
                if facility in senders:
                    recent = today - timedelta(days=FILE_DAYS)
                    for visit in [one for one in visits if one.start.date() >= recent]:
                        visits.remove(visit)
                        file = giamdinh.build(visit, person, mother=mother, folder=self._folder)
                        yield Batch(facility, (), file)
                    if not visits:
                        continue
                resources = to_fhir.person_resources(
                    person, facility, mother=mother, folder=self._folder
                )
                for visit in visits:
                    age = (today - visit.start.date()).days
                    resources += [
                        one for one in to_fhir.visit_resources(visit) if _came_along(one, age)
                    ]
                yield Batch(facility, tuple(resources))

    def citizens(self, seed: int, people: int, today: date, count: int) -> Sequence[Citizen]:
        """Adults with a number, visits at several facilities and fresh results, the fullest
        records first; nobody with a specially protected illness, since the demo is shown around.
        """
        rows: list[tuple[bool, int, int, Person]] = []
        fresh = today - timedelta(days=WHOLE_DAYS)
        for person in _people(seed, people, self._folder, today):
            if person.citizen_id and len(person.birth) == 10 and person.birth[:4] < "2004":
                seen = self._by_facility(person, today)
                visits = [visit for _, each in seen for visit in each]
                if any(_is_protected(visit) for visit in visits):
                    continue
                results = any(one.labs and one.start.date() > fresh for one in visits)
                rows.append((results, min(len(seen), 3), len(visits), person))
        rows.sort(key=lambda row: (not row[0], -row[1], -row[2], row[3].number))
        return [
            Citizen(person.citizen_id, person.name, person.birth, person.sex)
            for *_, person in rows[:count]
        ]

    def _by_facility(self, person: Person, today: date) -> list[tuple[str, list[Visit]]]:
        first = today - timedelta(days=DAYS)
        found: dict[str, list[Visit]] = {}
        for visit in history.visits(person, today, folder=self._folder):
            if visit.start.date() >= first:
                found.setdefault(visit.facility, []).append(visit)
        return sorted(found.items())


def _is_protected(visit: Visit) -> bool:
    """Mental illness and addiction (F), HIV (B20-B24), sexually transmitted (A50-A64)."""
    codes = [one.code for one in visit.diagnoses]
    return any(code[:1] == "F" or code[:2] in {"B2", "A5", "A6"} for code in codes)


def _came_along(resource: dict[str, Any], days: int) -> bool:
    """Is this part of a visit so many days ago in the demo's province?"""
    type = resource["resourceType"]
    if days <= WHOLE_DAYS or type in PAST:
        return True
    if type == "MedicationRequest":
        return days <= MEDICINE_DAYS
    if type == "Observation":
        return any(one["code"] == BLOOD_PRESSURE for one in resource["code"]["coding"])
    return False


def _newborn(person: Person, today: date) -> bool:
    if len(person.birth) != 10 or not person.mother:
        return False
    return today - date.fromisoformat(person.birth) < timedelta(days=population.NEWBORN_DAYS)
