"""What a search looks into and brings along is bounded by what its asker may search: no query form
shows, or lets be guessed, a record of another type. On both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sokhoe.errors import Forbidden
from sokhoe.store import open_store
from sokhoe.trust import Actor, Gate, Put, Role, Session
from sokhoe.trust.soon import SoonSession
from tests.worlds import a_patient, a_visit, settings_in


@pytest.fixture
def gate(url: str, tmp_path: Path) -> Iterator[Gate]:
    store = open_store(url, tmp_path / "audit")
    made = Gate(store, settings_in(tmp_path))
    patient = {**a_patient("p1", name="Nguyễn Thị Lan"), "generalPractitioner": [_to("d1")]}
    listed = {
        "resourceType": "List",
        "id": "l1",
        "status": "current",
        "mode": "working",
        "subject": {"reference": "Patient/p1"},
        "entry": [{"item": {"reference": "Observation/o1"}}],
    }
    doctor = {"resourceType": "Practitioner", "id": "d1", "name": [{"text": "Bác sĩ Hoa"}]}
    visit = a_visit(patient)
    visit[1]["id"] = "o1"
    made.machine("ops").commit([Put(one) for one in (doctor, patient, listed, *visit)])
    yield made
    store.close()


def _to(id: str) -> dict[str, Any]:
    return {"reference": f"Practitioner/{id}"}


def software(gate: Gate, *scopes: str) -> Session:
    return gate.session(Actor("Device/lab", "Lab", Role.SOFTWARE, scopes=scopes))


def shown(session: Session, query: str) -> set[str]:
    """The types that a search shows, matches and what comes along."""
    type, _, rest = query.partition("?")
    pairs = [(one.partition("=")[0], one.partition("=")[2]) for one in rest.split("&")]
    page = session.search(type, pairs)
    return {one.type for one in (*page.versions, *page.included)}


ALONG = [
    "Observation?_include=Observation:subject",
    "Observation?_include=Observation:subject:Patient",
    "Observation?_include=Observation:*",
    "Observation?_include=*",
    "Observation?_include=Observation:patient&_include:iterate=Patient:general-practitioner",
    "Observation?_id=o1&_revinclude=List:item",
    "Observation?_revinclude=*:*",
    "Observation?_include=*&_revinclude=*:*&_include:iterate=*",
]


@pytest.mark.parametrize("query", ALONG)
def test_nothing_comes_along_that_the_client_may_not_search(gate: Gate, query: str) -> None:
    assert shown(software(gate, "system/Observation.rs"), query) == {"Observation"}
    assert shown(software(gate, "system/*.rs"), query) > {"Observation"}  # the form does bring more


INTO = [
    "Observation?subject:Patient.name=Lan",
    "Observation?patient.name=Lan",
    "Observation?patient.name=Nobody",
    "Observation?subject.name=Lan",
    "Observation?patient.general-practitioner.name=Hoa",
    "Observation?patient.gender:not=female",
    "Observation?_has:List:item:_id=l1",
    "Observation?_has:List:item:patient.name=Lan",
    "Observation?_list=l1",
    "Observation?_list=nobody",
    "Observation?_filter=patient.name eq Lan",
    "Observation?_filter=not (patient.name co Lan)",
    "Observation?_filter=code eq 8480-6 or patient.name co Lan",
    "Observation?patient.name=Lan&_summary=count",
    "Observation?patient.name=Lan&_total=accurate&_count=1",
]


@pytest.mark.parametrize("query", INTO)
def test_a_search_that_looks_into_a_closed_type_is_refused_whatever_is_there(
    gate: Gate, query: str
) -> None:
    shown(software(gate, "system/*.rs"), query)  # a search that this server understands
    with pytest.raises(Forbidden, match="may not search"):
        shown(software(gate, "system/Observation.rs"), query)
    auditor = gate.session(Actor("Practitioner/a", "Auditor", Role.AUDITOR))
    line = auditor.search("AuditEvent", [("agent", "Device/lab")]).versions[0].resource
    assert line["outcome"] == "4"


def test_of_several_possible_targets_only_the_open_ones_are_looked_into(gate: Gate) -> None:
    group = {"resourceType": "Group", "id": "g1", "type": "person", "actual": True}
    gate.machine("ops").commit([Put(group)])
    both = software(gate, "system/Observation.rs", "system/Group.rs")
    assert shown(both, "Observation?subject._id=g1") == set()
    assert shown(both, "Observation?subject._id=p1") == set()  # Patient is not looked into
    more = software(gate, "system/Observation.rs", "system/Patient.rs")
    assert shown(more, "Observation?subject._id=p1") == {"Observation"}


def test_a_right_to_read_is_no_right_to_search(gate: Gate) -> None:
    reads = software(gate, "system/Observation.rs", "system/Patient.r")
    assert reads.read("Patient", "p1").id == "p1"
    assert shown(reads, "Observation?_include=Observation:subject") == {"Observation"}
    with pytest.raises(Forbidden):
        shown(reads, "Observation?patient.name=Lan")


def test_everything_around_a_patient_and_history_keep_to_the_types(gate: Gate) -> None:
    lab = software(gate, "system/Observation.rs")
    around = lab.around(["Patient/p1"], {"Observation": ["subject"], "Condition": ["subject"]})
    assert {one.type for one in around.versions} == {"Observation"}
    assert {one.type for one in lab.history("Observation").versions} == {"Observation"}
    with pytest.raises(Forbidden):
        lab.history()
    with pytest.raises(Forbidden):
        lab.history("Patient", "p1")
    with pytest.raises(Forbidden):
        lab.around(["Patient/p1"], {"Observation": ["subject"]}, types=frozenset({"Patient"}))
    assert [one.type for one in lab.read_many(["Patient/p1", "Observation/o1"])] == ["Observation"]


def test_conditions_and_filters_of_exports_look_no_further(gate: Gate) -> None:
    lab = software(gate, "system/Observation.cruds")
    chain = [("patient.name", "Lan")]
    with pytest.raises(Forbidden):
        lab.match("Observation", chain)
    with pytest.raises(Forbidden):
        lab.choose([("Observation", chain)], "j")
    more = software(gate, "system/Observation.rs", "system/Patient.rs")
    assert len(more.choose([("Observation", chain)], "j")[1].numbers) == 1


STAFF = [
    (Role.STEWARD, "Patient?_revinclude=Observation:subject", {"Patient"}),
    (Role.STEWARD, "Patient?_revinclude=*:*", {"Patient"}),
    (Role.STEWARD, "Patient?_include=Patient:general-practitioner", {"Patient", "Practitioner"}),
    (Role.OPERATOR, "Practitioner?_revinclude=Patient:general-practitioner", {"Practitioner"}),
    (Role.AUDITOR, "Practitioner?_revinclude=*:*", {"Practitioner"}),
    (Role.DOCTOR, "Observation?_include=Observation:subject", {"Observation", "Patient"}),
]


@pytest.mark.parametrize(("role", "query", "types"), STAFF)
def test_staff_get_along_with_it_what_their_role_may_search(
    gate: Gate, role: Role, query: str, types: set[str]
) -> None:
    session = gate.session(Actor("Practitioner/1", "Somebody", role))
    assert shown(session, query) == types


def test_staff_and_machines_guess_nothing_about_what_their_work_does_not_need(gate: Gate) -> None:
    steward = gate.session(Actor("Practitioner/1", "Steward", Role.STEWARD))
    with pytest.raises(Forbidden):
        shown(steward, "Patient?_has:Condition:subject:code=I10")
    with pytest.raises(Forbidden):
        shown(gate.machine("people"), "Patient?_has:Condition:subject:code=I10")
    assert shown(gate.machine("people"), "Patient?_revinclude=*:*") == {"Patient"}
    with pytest.raises(Forbidden):
        shown(gate.machine("web"), "Practitioner?_has:Patient:general-practitioner:name=Lan")


def test_the_fast_way_answers_for_the_own_type_and_no_other(gate: Gate) -> None:
    gate.add_client("lab", "Lab", ["system/Observation.rs"], secret="a secret that is long enough")
    token = gate.client_token("lab", "a secret that is long enough", "").access_token
    gate.bearer(token).read("Observation", "o1")  # its line opens the journal
    lab = gate.bearer_soon(token)
    assert isinstance(lab, SoonSession)

    async def ask(type: str, *pairs: tuple[str, str]) -> set[str] | None:
        page = await lab.search_soon(type, pairs)
        return None if page is None else {one.type for one in (*page.versions, *page.included)}

    async def all() -> list[Any]:
        own = ("patient", "Patient/p1")
        for _ in range(100):  # PostgreSQL's connections open at the first question
            if await ask("Observation", own) is not None:
                break
            await asyncio.sleep(0.05)
        return [
            await ask("Observation", own),
            await ask("Observation", own, ("_include", "Observation:subject")),
            await ask("Observation", own, ("patient.name", "Lan")),
            await ask("Observation", own, ("_has:List:item:_id", "l1")),
            await ask("Observation", ("_list", "l1")),
            await ask("Patient", ("name", "Lan")),
            await lab.read_soon("Patient", "p1"),
        ]

    assert asyncio.run(all()) == [{"Observation"}, *[None] * 6]  # None: the plain way decides
