"""Who looked, in words a person can judge."""

from __future__ import annotations

from typing import Any

from sokhoe.book.access import Deed, read
from sokhoe.book.words import look
from sokhoe.web import Speaker

ENGLISH = Speaker("en", {})
PLACES = {"Organization/h": "Hospital"}
ME = "Person/me"


def an_event(
    who: str = "Practitioner/tam",
    role: str = "doctor",
    *,
    at: str = "2026-11-23T08:00:00.000Z",
    what: tuple[str, ...] = ("Observation/1",),
    action: str = "R",
    outcome: str = "0",
    purpose: str = "TREAT",
    place: str = "Organization/h",
    name: str = "Dr Tám",
) -> dict[str, Any]:
    agent: dict[str, Any] = {
        "who": {"reference": who},
        "name": name,
        "role": [{"coding": [{"code": role}]}],
    }
    if place:
        agent["extension"] = [{"url": "urn:sokhoe:place", "valueReference": {"reference": place}}]
    return {
        "resourceType": "AuditEvent",
        "action": action,
        "outcome": outcome,
        "recorded": at,
        "agent": [agent],
        "purposeOfEvent": [{"coding": [{"code": purpose}]}],
        "entity": [{"what": {"reference": ref}} for ref in ("Patient/1", *what)],
    }


def test_who_where_what_when_and_why_stand_in_one_sentence() -> None:
    (one,) = read([an_event()], ME, PLACES).people
    assert look(one, ENGLISH) == "Dr Tám (doctor) at Hospital looked at: results, to treat you."


def test_repeated_looks_of_one_day_are_one_line_with_a_count() -> None:
    log = read(
        [
            an_event(at="2026-11-23T09:00:00.000Z", what=("MedicationRequest/1",)),
            an_event(at="2026-11-23T08:00:00.000Z"),
            an_event(at="2026-11-22T08:00:00.000Z"),
        ],
        ME,
        PLACES,
    )
    assert [one.count for one in log.people] == [2, 1]
    first = log.people[0]
    assert first.what == ("medicines", "results")
    assert (first.first[11:16], first.last[11:16]) == ("08:00", "09:00")


def test_another_person_place_purpose_or_deed_is_a_line_of_its_own() -> None:
    log = read(
        [
            an_event(),
            an_event("Practitioner/hoa", "nurse", name="Hoa"),
            an_event(place=""),
            an_event(purpose="ETREAT"),
            an_event(action="U"),
            an_event(outcome="4"),
        ],
        ME,
        PLACES,
    )
    assert len(log.people) == 6
    assert [one.deed for one in log.people][-2:] == [Deed.WROTE, Deed.REFUSED]
    assert look(log.people[3], ENGLISH).endswith("in an emergency.")
    assert look(log.people[5], ENGLISH).endswith("tried to open your record.")


def test_what_i_opened_myself_is_counted_apart() -> None:
    log = read([an_event(ME, "citizen", place="")] * 3, ME, PLACES)
    assert (log.own, log.people, log.system) == (3, (), ())


def test_machines_are_folded_and_explained() -> None:
    machine: dict[str, Any] = {"role": "machine", "place": "", "purpose": "HOPERAT"}
    log = read(
        [
            an_event("Device/people", name="sokhoe people", **machine),
            an_event("Device/people", name="sokhoe people", at="2026-11-01T08:00:00Z", **machine),
            an_event("Device/warehouse", name="sokhoe warehouse", **machine),
            an_event("Device/new-room", name="sokhoe new", **machine),
        ],
        ME,
        PLACES,
    )
    assert log.people == ()
    assert [(one.name, one.count) for one in log.system] == [
        ("found out which records are yours", 2),
        ("counted for the statistics, without names", 1),
        ("sokhoe new", 1),
    ]
    assert log.system_count == 4


def test_software_of_a_hospital_is_no_part_of_the_system() -> None:
    by: dict[str, Any] = {"who": "Device/his", "role": "software", "place": "Organization/h"}
    events = [an_event(name="HIS", **by), an_event(name="Hospital", **by),
              an_event(name="HIS", action="U", **by)]  # fmt: skip
    said = [look(one, ENGLISH) for event in events for one in read([event], ME, PLACES).people]
    assert said[0].startswith("HIS (software) at Hospital looked at")
    assert said[1].startswith("Hospital (software) looked at")
    assert said[2] == "Hospital sent records about you, by its software."


def test_a_list_in_which_i_stood_among_others_is_said_so() -> None:
    event = an_event(what=())
    event["entity"] = []
    (one,) = read([event], ME, PLACES).people
    assert "saw a list with your name in it" in look(one, ENGLISH)


def test_no_line_is_lost() -> None:
    events = [
        an_event(ME, "citizen"),
        an_event(),
        an_event("Device/sync", "machine"),
        an_event("Practitioner/x", "nurse"),
        an_event(),
    ]
    log = read(events, ME, PLACES)
    assert log.own + log.system_count + sum(one.count for one in log.people) == len(events)


def test_a_copy_taken_in_bulk_is_called_so() -> None:
    event = an_event("Device/who", "software", what=(), place="", name="Statistics office")
    event["type"] = {"code": "110106"}
    event["entity"] = [
        {"what": {"reference": "Patient/1"}},
        {"what": {"type": "Observation"}},
    ]
    (one,) = read([event], ME, PLACES).people
    assert one.deed is Deed.EXPORTED
    assert one.what == ("results",)
    assert look(one, ENGLISH).startswith("Statistics office (software) took a copy of: results")
