"""Consents: the decision, what becomes of it in SQL, and a second reading all say the same; a
revocation binds at once. On both databases where the store is asked."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sokhoe import clock
from sokhoe.errors import NotFound
from sokhoe.fhir import compartments
from sokhoe.store import open_store
from sokhoe.trust import Actor, Gate, Purpose, Put, Role
from sokhoe.trust.consents import Request, decide, read
from tests.trust import consent_oracle as oracle
from tests.trust.privacy import PLACES, TYPES, a_consent, a_memory, doctor, kinds_of
from tests.worlds import settings_in


@pytest.fixture
def hub(url: str, tmp_path: Path) -> Iterator[Gate]:
    store = open_store(url)
    yield Gate(store, settings_in(tmp_path, role="hub"))
    store.close()


def a_simple(id: str, patient: str, **provision: Any) -> dict[str, Any]:
    base = a_consent(random.Random(0), id, patient, ["Patient/x", "Patient/y"])
    return base | {"status": "active", "provision": {"type": "deny", **provision}}


def names(ref: str) -> list[dict[str, Any]]:
    return [{"role": {"text": "who"}, "reference": {"reference": ref}}]


def homes_of(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {
        f"Patient/{one['id']}": one["managingOrganization"]["reference"]
        for one in rows
        if one["resourceType"] == "Patient"
    }


def groups_of(rows: list[dict[str, Any]]) -> list[list[str]]:
    return [
        [link["target"]["reference"] for link in one["link"]]
        for one in rows
        if one["resourceType"] == "Person"
    ]


def whos(
    rows: list[dict[str, Any]], actor: Actor, purpose: str, opened: frozenset[str]
) -> Iterator[tuple[list[str], oracle.Who]]:
    """Each personal record with the patients of its person, as a request of this actor."""
    homes, now = homes_of(rows), clock.now()
    for group in groups_of(rows):
        treated = any(homes[one] == actor.place for one in group) and purpose != "ETREAT"
        for record in rows:
            own = compartments(record) & set(group)
            if record["resourceType"] not in TYPES or not own:
                continue
            yield (
                group,
                oracle.Who(
                    [actor.id, actor.place],
                    purpose,
                    now,
                    record,
                    kinds_of(record),
                    own=any(homes[one] == actor.place for one in own),
                    treated=treated,
                    opened=bool(own & opened) and purpose == "ETREAT",
                ),
            )


@pytest.mark.parametrize("seed", range(40))
def test_the_decision_agrees_with_a_second_reading(seed: int) -> None:
    draw = random.Random(seed)
    refs = [f"{type}/{n}" for type in TYPES for n in range(3)]
    for _ in range(40):
        consents = [a_consent(draw, f"k{n}", "Patient/1", refs) for n in range(draw.randint(0, 3))]
        record = {"resourceType": draw.choice(TYPES), "id": str(draw.randint(0, 2))}
        who = oracle.Who(
            draw.sample((*PLACES, "Practitioner/da"), 2),
            draw.choice(("TREAT", "ETREAT")),
            clock.now(),
            record,
            draw.sample(("mental", "hiv"), draw.randint(0, 2)),
            own=draw.random() < 0.2,
            treated=draw.random() < 0.5,
            opened=draw.random() < 0.3,
        )
        request = Request(
            frozenset(who.names),
            who.purpose,
            who.now,
            str(record["resourceType"]),
            f"{record['resourceType']}/{record['id']}",
            frozenset(who.kinds),
            who.own,
            who.treated,
            who.opened,
        )
        given = [found for one in consents if (found := read(one)) is not None]
        assert decide(given, request).permit == oracle.may(consents, who), (consents, who)


@pytest.mark.parametrize("seed", range(5))
def test_what_the_hub_shows_is_what_the_second_reading_allows(hub: Gate, seed: int) -> None:
    draw = random.Random(seed)
    rows = a_memory(hub, draw)
    refs = [f"{one['resourceType']}/{one['id']}" for one in rows if one["resourceType"] in TYPES]
    for round in range(4):
        consents = [
            a_consent(draw, f"k{n}", draw.choice(groups_of(rows))[0], refs) for n in range(5)
        ]
        hub.machine("ops").commit([Put(one) for one in consents])
        for place in PLACES[:2]:
            session = hub.session(doctor(place))
            shown = {
                one.ref
                for type in TYPES
                for one in session.search(type, [("_count", "200")]).versions
            }
            wanted = set()
            for group, who in whos(rows, session.actor, "TREAT", frozenset()):
                said = [one for one in consents if one["patient"]["reference"] in group]
                if oracle.may(said, who):
                    wanted.add(f"{who.record['resourceType']}/{who.record['id']}")
            assert shown == wanted, (seed, round)
            for ref in refs:
                type, _, id = ref.partition("/")
                if ref in wanted:
                    session.read(type, id)
                else:
                    with pytest.raises(NotFound):
                        session.read(type, id)
                    with pytest.raises(NotFound):
                        session.history(type, id)


def test_a_consent_and_its_revocation_bind_at_once(hub: Gate) -> None:
    rows = a_memory(hub, random.Random(1))
    group = groups_of(rows)[0]
    home = homes_of(rows)
    place, other = home[group[0]], home[group[1]]
    session = hub.session(doctor(place))
    there = group[1].removeprefix("Patient/")
    assert session.read("Patient", there)  # linked to somebody who is treated here
    closed = a_simple("k", group[0], actor=names(place))
    hub.machine("ops").commit([Put(closed)])
    with pytest.raises(NotFound):
        session.read("Patient", there)
    assert session.read("Patient", group[0].removeprefix("Patient/"))  # its own stays
    assert hub.session(doctor(other)).read("Patient", there)
    hub.machine("ops").commit([Put(closed | {"status": "inactive"})])
    assert session.read("Patient", there)


def test_who_has_no_ground_sees_nobody(hub: Gate) -> None:
    rows = a_memory(hub, random.Random(2))
    nobody = hub.session(Actor("Practitioner/z", "BS Z", Role.DOCTOR, "Organization/z"))
    assert nobody.search("Patient", [("_total", "accurate")]).total == 0
    assert hub.session(Actor("Practitioner/z", "BS Z", Role.DOCTOR)).search("Patient").total is None
    patient = groups_of(rows)[0][0]
    hub.machine("ops").commit(
        [Put(a_simple("k", patient, type="permit", actor=names("Organization/z")))]
    )
    found = nobody.search("Patient", [("_total", "accurate")])
    assert {one.ref for one in found.versions} == set(groups_of(rows)[0])


def test_a_new_link_brings_the_closing_along_and_an_old_one_takes_it_away(hub: Gate) -> None:
    rows = a_memory(hub, random.Random(3))
    software = hub.session(Actor("Device/his", "HIS", Role.SOFTWARE, scopes=("system/*.rs",)))
    first, second = groups_of(rows)[0]
    hub.machine("ops").commit([Put(a_simple("k", first))])
    assert {one.ref for one in software.search("Patient").versions}.isdisjoint({first, second})
    person = next(one for one in rows if one["resourceType"] == "Person")
    hub.machine("ops").commit([Put(person | {"link": person["link"][:1]})])
    hub.grounds.forget()
    seen = {one.ref for one in software.search("Patient").versions}
    assert second in seen
    assert first not in seen


def test_a_station_shows_all_of_its_own_people_whatever_was_closed(
    url: str, tmp_path: Path
) -> None:
    store = open_store(url)
    station = Gate(store, settings_in(tmp_path, role="station"))
    rows = a_memory(station, random.Random(4))
    group = groups_of(rows)[0]
    station.machine("ops").commit([Put(a_simple("k", group[0]))])
    place = homes_of(rows)[group[0]]
    session = station.session(doctor(place))
    assert session.read("Patient", group[0].removeprefix("Patient/"))
    with pytest.raises(NotFound):  # came here from elsewhere
        session.read("Patient", group[1].removeprefix("Patient/"))
    store.close()


def test_an_emergency_without_an_opening_opens_nobody(hub: Gate) -> None:
    rows = a_memory(hub, random.Random(5))
    session = hub.session(doctor(PLACES[0]), Purpose.ETREAT)
    assert session.search("Patient", [("_total", "accurate")]).total == 0
    with pytest.raises(NotFound):
        session.read("Patient", groups_of(rows)[0][0].removeprefix("Patient/"))


@pytest.mark.parametrize(
    ("provision", "what"),
    [
        ({"type": "permit", "actor": names("Organization/a"), "code": [{"text": "x"}]}, None),
        ({"type": "permit", "actor": names("CareTeam/1")}, None),
        ({"type": "deny", "action": [{"coding": [{"code": "correct"}]}]}, None),
        ({"type": "deny", "actor": names("CareTeam/1")}, frozenset()),
        ({"type": "deny", "actor": names("Organization/a")}, frozenset({"Organization/a"})),
    ],
)
def test_what_is_not_understood_never_opens(provision: dict[str, Any], what: Any) -> None:
    found = read(a_simple("k", "Patient/1") | {"provision": provision})
    assert (found and found.rule.actors) == what
