"""The verbs: bounds, audit lines, page links."""

from __future__ import annotations

from typing import Any

import pytest

from sokhoe.errors import Conflict, Forbidden, Gone, Invalid, NotFound, Unsupported
from sokhoe.trust import Actor, Delete, Gate, Keep, Put, Role, Session, mark
from tests.worlds import a_patient, a_visit


def as_role(gate: Gate, role: Role, id: str = "Practitioner/1") -> Session:
    return gate.session(Actor(id, f"the {role}", role, place="Organization/86001"))


def audit_of(gate: Gate, patient: str) -> list[dict[str, Any]]:
    auditor = as_role(gate, Role.AUDITOR, "Practitioner/auditor")
    found = auditor.search("AuditEvent", [("patient", patient)])
    return [one.resource for one in found.versions]


@pytest.fixture
def patients(gate: Gate) -> list[dict[str, Any]]:
    made = [a_patient(f"p{number}", name=f"Người {number}") for number in range(3)]
    rows = [Put(one) for one in made]
    rows += [Put(one) for patient in made for one in a_visit(patient)]
    gate.machine("ops").commit(rows)
    return made


@pytest.fixture
def citizen(gate: Gate, patients: list[dict[str, Any]]) -> Session:
    person = {
        "resourceType": "Person",
        "id": "me",
        "link": [{"target": {"reference": "Patient/p0"}}],
    }
    gate.machine("ops").commit([Put(person)])
    return gate.session(Actor("Person/me", "Người 0", Role.CITIZEN))


def test_a_read_leaves_a_line_with_who_and_whom(gate: Gate, patients: Any) -> None:
    as_role(gate, Role.DOCTOR).read("Patient", "p1")
    line = audit_of(gate, "Patient/p1")[0]
    assert line["action"] == "R"
    assert line["agent"][0]["name"] == "the doctor"
    assert line["purposeOfEvent"][0]["coding"][0]["code"] == "TREAT"
    assert line["entity"][0]["what"]["reference"] == "Patient/p1"


def test_a_search_names_everybody_it_showed(gate: Gate, patients: Any) -> None:
    as_role(gate, Role.DOCTOR).search("Observation", [])
    for patient in patients:
        assert audit_of(gate, f"Patient/{patient['id']}")[0]["action"] == "E"


def test_a_refusal_is_in_the_audit_too(gate: Gate, patients: Any) -> None:
    with pytest.raises(Forbidden):
        as_role(gate, Role.STATISTICIAN).read("Patient", "p1")
    auditor = as_role(gate, Role.AUDITOR)
    newest = auditor.search("AuditEvent", [("agent", "Practitioner/1")]).versions[0].resource
    assert newest["outcome"] == "4"


def test_a_write_and_its_line_are_one(gate: Gate) -> None:
    doctor = as_role(gate, Role.DOCTOR)
    with pytest.raises(Conflict):
        doctor.commit([Put(a_patient("x")), Put(a_patient("y"), if_version=7)])
    with pytest.raises(NotFound):
        doctor.read("Patient", "x")
    assert all(line["action"] != "C" for line in audit_of(gate, "Patient/x"))


def test_an_invalid_resource_is_refused_whole(gate: Gate) -> None:
    doctor = as_role(gate, Role.DOCTOR)
    with pytest.raises(Invalid) as caught:
        doctor.commit([Put(a_patient("good")), Put({**a_patient("bad"), "gender": "manly"})])
    assert caught.value.issues[0].location == "Patient.gender"
    with pytest.raises(NotFound):
        doctor.read("Patient", "good")


def test_a_citizen_sees_only_what_is_linked(citizen: Session) -> None:
    assert citizen.read("Patient", "p0").id == "p0"
    with pytest.raises(NotFound):
        citizen.read("Patient", "p1")
    found = citizen.search("Observation", [("_total", "accurate")])
    assert found.total == 1
    assert {one.resource["subject"]["reference"] for one in found.versions} == {"Patient/p0"}
    assert citizen.search("Patient", [("_id", "p1")]).versions == ()
    with pytest.raises(NotFound):
        citizen.history("Patient", "p1")
    with pytest.raises(Forbidden):
        citizen.commit([Put(a_patient("mine"))])


def test_unlinking_closes_the_record_at_once(gate: Gate, citizen: Session) -> None:
    gate.machine("ops").commit([Put({"resourceType": "Person", "id": "me"})])
    with pytest.raises(NotFound):
        citizen.read("Patient", "p0")
    assert citizen.search("Observation", []).versions == ()


def test_a_citizen_reads_who_looked_and_nothing_of_others(gate: Gate, citizen: Session) -> None:
    as_role(gate, Role.DOCTOR).search("Patient", [])  # one line about all three
    lines = [one.resource for one in citizen.search("AuditEvent", []).versions]
    assert lines
    named = {
        entity["what"]["reference"]
        for line in lines
        for entity in line.get("entity", [])
        if "what" in entity
    }
    assert {name for name in named if name.startswith("Patient/")} == {"Patient/p0"}
    assert citizen.search("AuditEvent", [("patient", "Patient/p1")]).versions == ()


def test_nobody_writes_the_audit(gate: Gate) -> None:
    event = {"resourceType": "AuditEvent", "id": "1"}
    for session in (as_role(gate, Role.HEAD), gate.machine("ops")):
        with pytest.raises((Forbidden, Invalid)):
            session.commit([Put(event)])
        with pytest.raises(Forbidden):
            session.commit([Delete("AuditEvent", "1")])


def test_a_page_link_belongs_to_its_asker_and_its_search(gate: Gate, patients: Any) -> None:
    doctor = as_role(gate, Role.DOCTOR)
    page = doctor.search("Patient", [("_count", "2")])
    assert page.next is not None
    rest = doctor.search("Patient", [("_count", "2"), ("_cursor", page.next)])
    assert {one.id for one in (*page.versions, *rest.versions)} == {"p0", "p1", "p2"}
    for session, pairs in (
        (as_role(gate, Role.DOCTOR, "Practitioner/2"), [("_count", "2")]),
        (doctor, [("_count", "1")]),
    ):
        with pytest.raises(Invalid):
            session.search("Patient", [*pairs, ("_cursor", page.next)])
    forged = page.next[:-1] + ("0" if page.next[-1] != "0" else "1")
    with pytest.raises(Invalid):
        doctor.search("Patient", [("_count", "2"), ("_cursor", forged)])


def test_deleted_is_gone_for_staff(gate: Gate, patients: Any) -> None:
    doctor = as_role(gate, Role.DOCTOR)
    doctor.commit([Delete("Patient", "p2")])
    with pytest.raises(Gone):
        doctor.read("Patient", "p2")
    assert doctor.read("Patient", "p2", version=1).version == 1
    assert [one.deleted for one in doctor.history("Patient", "p2").versions] == [True, False]


def test_an_unknown_parameter_is_an_error(gate: Gate) -> None:
    doctor = as_role(gate, Role.DOCTOR)
    with pytest.raises((Unsupported, Invalid)):
        doctor.search("Patient", [("nmae", "An")])
    with pytest.raises(Unsupported):
        as_role(gate, Role.AUDITOR).search("AuditEvent", [("who", "An")])


def test_a_follower_sees_what_it_may_and_its_mark_moves_with_its_work(gate: Gate) -> None:
    people = gate.machine("people")
    gate.machine("ops").commit([Put(a_patient("p"))])
    found, reach = people.follow("people")
    assert [one.id for one in found] == ["p"]
    assert people.mark_of("people") == 0
    people.done("people", reach)
    assert people.follow("people") == ([], reach)


def test_only_a_machine_follows_or_writes_in_anothers_name(gate: Gate) -> None:
    doctor = as_role(gate, Role.DOCTOR)
    with pytest.raises(Forbidden):
        doctor.follow("mine")
    with pytest.raises(Forbidden):
        doctor.commit([Put(a_patient("p"))], author="Practitioner/other")


BY = {"Observation": ("patient", "subject"), "Condition": ("patient", "subject"), "Patient": ()}


def test_many_read_at_once_are_each_within_bounds(
    gate: Gate, citizen: Session, patients: Any
) -> None:
    asked = ["Patient/p1", "Patient/p0", "Patient/none", "Nothing/1", "AuditEvent/1"]
    assert [one.ref for one in citizen.read_many(asked)] == ["Patient/p0"]
    doctor = as_role(gate, Role.DOCTOR)
    assert [one.ref for one in doctor.read_many(asked)] == ["Patient/p1", "Patient/p0"]
    assert audit_of(gate, "Patient/p1")[0]["agent"][0]["name"] == "the doctor"
    assert as_role(gate, Role.STATISTICIAN).read_many(asked) == []


def test_what_lies_around_is_within_bounds(gate: Gate, citizen: Session, patients: Any) -> None:
    own = citizen.around(["Patient/p0"], BY)
    assert [one.type for one in own.versions] == ["Patient", "Observation", "Condition"]
    assert citizen.around(["Patient/p1"], BY).versions == ()
    doctor = as_role(gate, Role.DOCTOR).around(["Patient/p1"], BY, count=2)
    assert [one.type for one in doctor.versions] == ["Patient", "Observation"]
    assert doctor.next is not None
    with pytest.raises(Invalid, match="page link"):
        citizen.around(["Patient/p1"], BY, cursor=doctor.next)
    with pytest.raises(Forbidden):
        as_role(gate, Role.STATISTICIAN).around(["Patient/p1"], BY)
    with pytest.raises(Forbidden):
        as_role(gate, Role.STEWARD).around(
            ["Patient/p1"], BY, types=frozenset({"Patient", "Condition"})
        )
    steward = as_role(gate, Role.STEWARD).around(["Patient/p1"], BY)
    assert [one.ref for one in steward.versions] == ["Patient/p1"]


def test_what_is_sent_unasked_is_within_bounds_and_has_its_line(
    gate: Gate, citizen: Session, patients: Any
) -> None:
    named = [("Patient", "p0", 1), ("Patient", "p1", 1), ("Patient", "p0", 9)]
    assert [one.ref for one in citizen.tell(named, "told")] == ["Patient/p0"]
    line = audit_of(gate, "Patient/p0")[0]
    assert line["agent"][0]["name"] == "Người 0"
    others = audit_of(gate, "Patient/p1")
    assert "Người 0" not in {one["agent"][0]["name"] for one in others}
    gate.machine("ops").commit([Delete("Patient", "p1"), Delete("Patient", "p0")])
    gone = [("Patient", "p0", 2), ("Patient", "p1", 2)]
    assert [one.ref for one in citizen.tell(gone, "told")] == ["Patient/p0"]
    assert as_role(gate, Role.STATISTICIAN).tell(named, "told") == []


def test_a_room_opens_only_its_own_drawers(gate: Gate) -> None:
    exchange = gate.machine("exchange")
    exchange.keep(Keep("exchange.x", "1", {"a": 1}), mark("exchange.y", 3))
    assert exchange.kept("exchange.x", "1") == {"a": 1}
    assert exchange.all_kept("exchange.x") == {"1": {"a": 1}}
    assert exchange.mark_of("exchange.y") == 3
    for kind in ("secret", "client", "people.x"):
        with pytest.raises(Forbidden):
            exchange.kept(kind, "server")
        with pytest.raises(Forbidden):
            exchange.all_kept(kind)
        with pytest.raises(Forbidden):
            exchange.keep(Keep(kind, "server", None))
    with pytest.raises(Forbidden):
        exchange.keep(mark("people", 3))
    with pytest.raises(Forbidden):
        as_role(gate, Role.DOCTOR).kept("exchange.x", "1")


def test_a_registered_client_has_what_it_is_granted_now(gate: Gate) -> None:
    gate.add_client("lab", "Labor", ["system/Patient.crs"])
    session = gate.software("Device/lab")
    assert session is not None
    version = session.commit([Put(a_patient("q"))]).versions[0]
    assert gate.author_of(version) == "Device/lab"
    assert session.sees(version)
    client = gate.memory.kept("client", "lab")
    gate.memory.keep(Keep("client", "lab", {**client, "scopes": ["system/Observation.rs"]}))
    narrowed = gate.software("Device/lab")
    assert narrowed is not None
    assert not narrowed.sees(version)
    gate.memory.keep(Keep("client", "lab", None))
    assert gate.software("Device/lab") is None
    assert gate.software("Practitioner/1") is None
