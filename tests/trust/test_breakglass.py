"""An opening in an emergency: one person, one day, a reason; told at once, judged by another."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sokhoe import clock
from sokhoe.errors import Busy, Forbidden, Invalid, NotFound
from sokhoe.trust import Actor, Gate, Purpose, Put, Role, Session, breakglass
from tests.trust.privacy import a_consent, a_memory, doctor
from tests.worlds import a_gate

WORDS = "Bất tỉnh sau tai nạn, cần biết dị ứng"
FAR = "Organization/z"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Gate]:
    with a_gate(tmp_path, role="hub") as made:
        yield made


@pytest.fixture
def people(hub: Gate) -> list[list[str]]:
    rows = a_memory(hub, random.Random(7))
    persons = [one for one in rows if one["resourceType"] == "Person"]
    return [[link["target"]["reference"] for link in one["link"]] for one in persons]


def emergency(hub: Gate) -> Session:
    return hub.session(doctor(FAR), Purpose.ETREAT)


def seen(session: Session, type: str) -> set[str]:
    return {one.ref for one in session.search(type, [("_count", "100")]).versions}


def close(hub: Gate, patient: str, **provision: Any) -> None:
    consent = a_consent(random.Random(0), "k", patient, ["Patient/x", "Patient/y"])
    hub.machine("ops").commit(
        [Put(consent | {"status": "active", "provision": {"type": "deny", **provision}})]
    )


def test_one_person_is_open_to_one_actor_for_a_day(
    hub: Gate, people: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert seen(emergency(hub), "Patient") == set()
    hub.emergencies.open(hub.session(doctor(FAR)), people[0][0], "unconscious", WORDS)
    assert seen(emergency(hub), "Patient") == set(people[0])
    assert seen(emergency(hub), "Condition")
    assert seen(hub.session(doctor(FAR)), "Patient") == set()  # for the emergency alone
    other = Actor("Practitioner/other", "BS Khác", Role.DOCTOR, FAR)
    assert seen(hub.session(other, Purpose.ETREAT), "Patient") == set()
    later = clock.now() + 24 * 3_600_000_000
    monkeypatch.setattr(clock, "now", lambda: later)
    assert seen(emergency(hub), "Patient") == set()


def test_a_facility_that_was_closed_is_open_and_what_was_closed_by_kind_stays_so(
    hub: Gate, people: list[list[str]]
) -> None:
    rows = hub.machine("ops").search("Condition", [("patient", people[0][0])]).versions
    close(hub, people[0][0])
    hub.emergencies.open(hub.session(doctor(FAR)), people[0][0], "unconscious", WORDS)
    assert {one.ref for one in rows} <= seen(emergency(hub), "Condition")
    closed = rows[0].ref
    item = {"meaning": "instance", "reference": {"reference": closed}}
    close(hub, people[0][0], data=[item])
    assert closed not in seen(emergency(hub), "Condition")
    with pytest.raises(NotFound):
        emergency(hub).read("Condition", rows[0].id)
    close(hub, people[0][0], purpose=[{"code": "ETREAT"}])
    assert seen(emergency(hub), "Condition") == set()


def test_the_citizen_is_told_and_finds_it_in_the_log(hub: Gate, people: list[list[str]]) -> None:
    hub.emergencies.open(hub.session(doctor(FAR)), people[0][0], "life-threat", WORDS)
    emergency(hub).read("Patient", people[0][1].removeprefix("Patient/"))
    citizen = hub.session(Actor("Person/x0", "Người 0", Role.CITIZEN))
    (told,) = citizen.search("Communication").versions
    assert told.resource["payload"][0]["contentString"] == WORDS
    assert told.resource["sender"]["display"] == "BS z"
    for patient in people[0]:
        lines = [
            one.resource
            for one in citizen.search("AuditEvent", [("patient", patient)]).versions
            if one.resource["purposeOfEvent"][0]["coding"][0]["code"] == "ETREAT"
        ]
        assert lines
        assert {one["agent"][0]["name"] for one in lines} == {"BS z"}
    stranger = hub.session(Actor("Person/x1", "Người 1", Role.CITIZEN))
    assert not stranger.search("Communication").versions


@pytest.mark.parametrize(
    ("role", "reason", "text", "error"),
    [
        (Role.DOCTOR, "curiosity", WORDS, Invalid),
        (Role.DOCTOR, "", WORDS, Invalid),
        (Role.DOCTOR, "unconscious", "1234567890 !!", Invalid),
        (Role.DOCTOR, "unconscious", "vì gấp", Invalid),
        (Role.STEWARD, "unconscious", WORDS, Forbidden),
        (Role.CITIZEN, "unconscious", WORDS, Forbidden),
    ],
)
def test_nobody_opens_without_a_reason_or_an_office(
    hub: Gate, people: list[list[str]], role: Role, reason: str, text: str, error: type[Exception]
) -> None:
    actor = Actor("Practitioner/1", "Somebody", role, FAR)
    with pytest.raises(error):
        hub.emergencies.open(hub.session(actor), people[0][0], reason, text)
    assert not hub.machine("emergency").search("Task", [("code", breakglass.TOKEN)]).versions


def test_an_opening_of_nobody_is_in_the_audit(hub: Gate, people: list[list[str]]) -> None:
    with pytest.raises(NotFound):
        hub.emergencies.open(hub.session(doctor(FAR)), "Patient/none", "unconscious", WORDS)
    auditor = hub.session(Actor("Practitioner/a", "Auditor", Role.AUDITOR))
    assert auditor.search("AuditEvent", [("agent", "Practitioner/dz")]).versions


def test_nobody_has_very_many_open_at_once(
    hub: Gate, people: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breakglass, "MOST", 2)
    for _ in range(2):
        hub.emergencies.open(hub.session(doctor(FAR)), people[0][0], "unconscious", WORDS)
    with pytest.raises(Busy):
        hub.emergencies.open(hub.session(doctor(FAR)), people[1][0], "unconscious", WORDS)


def test_the_head_of_the_facility_judges_what_another_opened(
    hub: Gate, people: list[list[str]]
) -> None:
    head = hub.session(Actor("Practitioner/head", "Trưởng trạm", Role.HEAD, FAR))
    opening = hub.emergencies.open(hub.session(doctor(FAR)), people[0][0], "unconscious", WORDS)
    (review,) = hub.emergencies.reviews(head)
    assert (review.id, review.reason, review.text, review.done) == (
        opening.id, "unconscious", WORDS, False,
    )  # fmt: skip
    hub.emergencies.judge(head, opening.id, False, "Không có lý do")
    (review,) = hub.emergencies.reviews(head)
    assert review.done
    assert review.justified is False
    with pytest.raises(Invalid):
        hub.emergencies.judge(head, opening.id, True, "")
    elsewhere = hub.session(Actor("Practitioner/h2", "Khác", Role.HEAD, "Organization/a"))
    with pytest.raises(NotFound):
        hub.emergencies.judge(elsewhere, opening.id, True, "")
    with pytest.raises(Forbidden):
        hub.emergencies.reviews(hub.session(doctor(FAR)))


def test_what_a_head_opened_is_judged_by_somebody_else(hub: Gate, people: list[list[str]]) -> None:
    head = hub.session(Actor("Practitioner/head", "Trưởng trạm", Role.HEAD, FAR))
    opening = hub.emergencies.open(head, people[0][0], "unconscious", WORDS)
    with pytest.raises(Forbidden):
        hub.emergencies.judge(head, opening.id, True, "")
