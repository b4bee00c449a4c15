"""The in-tray: files whole or not at all, once, also when the power goes between two steps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sokhoe.errors import NotFound
from sokhoe.exchange import Slip, Translated, Tray, receive, slips
from sokhoe.trust import Actor, Gate, Put, Role, Session
from tests.testland import EPISODE, VisitLine
from tests.worlds import a_gate

LINE = b"VISIT|A1|E-1|T-00001|Ada Test|1980-02-01|female|2026-11-20|I10"
KIND = VisitLine()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    with a_gate(tmp_path) as made:
        yield made


@pytest.fixture
def sender(gate: Gate) -> Session:
    scopes = ("system/*.cruds",)
    actor = Actor("Device/A1", "Alpha", Role.SOFTWARE, "Organization/A1", scopes=scopes)
    return gate.session(actor)


def send(sender: Session, content: bytes) -> Slip:
    return receive(sender, KIND, content, KIND.label(content))


def settle(gate: Gate) -> None:
    tray = Tray(gate, (KIND,))
    for _ in range(20):
        if not tray.step():
            return
    raise AssertionError("the tray never came to rest")


def count(sender: Session, type: str) -> int:
    return sender.search(type, [("_total", "accurate"), ("_count", "1")]).total or 0


def test_a_file_becomes_a_record_with_its_origin(gate: Gate, sender: Session) -> None:
    slip = send(sender, LINE)
    assert slip.status == "requested"
    settle(gate)
    done = slips(sender, EPISODE, "E-1")[0]
    assert (done.status, done.problems) == ("completed", ())
    provenance = sender.read("Provenance", slip.tracking).resource
    assert provenance["entity"][0]["what"]["reference"] == f"Binary/{slip.tracking}"
    assert {one["reference"].split("/")[0] for one in provenance["target"]} == {
        "Patient",
        "Encounter",
        "Condition",
    }


def test_the_same_bytes_again_change_nothing(gate: Gate, sender: Session) -> None:
    send(sender, LINE)
    settle(gate)
    head = sender.head()
    again = send(sender, LINE)
    settle(gate)
    assert again.duplicate
    assert sender.head() == head


def test_a_broken_file_leaves_nothing_but_its_reasons(gate: Gate, sender: Session) -> None:
    slip = send(sender, LINE.replace(b"2026-11-20", b"someday"))
    settle(gate)
    done = slips(sender, EPISODE, "E-1")[0]
    assert done.status == "failed"
    assert (done.problems[0].field, done.problems[0].code) == ("VISIT/day", "DATE")
    assert count(sender, "Patient") == 0
    assert count(sender, "Encounter") == 0
    with pytest.raises(NotFound):
        sender.read("Provenance", slip.tracking)
    assert sender.read("Binary", slip.tracking).resource["data"]  # the bytes are kept


def test_what_our_own_translation_gets_wrong_is_told_to_the_sender(
    gate: Gate, sender: Session
) -> None:
    send(sender, LINE.replace(b"1980-02-01", b"1980-02-31"))
    settle(gate)
    done = slips(sender, EPISODE, "E-1")[0]
    assert done.status == "failed"
    assert done.problems[0].field == "Patient.birthDate"
    assert count(sender, "Encounter") == 0


def test_a_corrected_file_replaces_what_the_first_one_brought(gate: Gate, sender: Session) -> None:
    send(sender, LINE)
    settle(gate)
    send(sender, LINE.replace(b"I10", b"E11"))
    settle(gate)
    found = sender.search("Condition", []).versions
    assert [one.resource["code"]["coding"][0]["code"] for one in found] == ["E11"]
    assert [one.status for one in slips(sender, EPISODE, "E-1")] == ["completed", "completed"]


def test_what_the_correction_no_longer_names_is_deleted(
    gate: Gate, sender: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(sender, LINE)
    settle(gate)
    whole = KIND.translate

    def without_condition(content: bytes) -> Any:
        made = whole(content)
        kept = tuple(one for one in made.resources if one["resourceType"] != "Condition")
        return type(made)(kept)

    monkeypatch.setattr(VisitLine, "translate", lambda self, content: without_condition(content))
    send(sender, LINE + b" ")
    settle(gate)
    assert count(sender, "Condition") == 0
    assert count(sender, "Encounter") == 1


def test_a_crash_before_the_commit_repeats_the_file_and_after_it_does_not(
    gate: Gate, sender: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(sender, LINE)
    real = Session.commit

    def dies(self: Session, *args: Any, **more: Any) -> Any:
        raise ConnectionError("the power went")

    monkeypatch.setattr(Session, "commit", dies)
    with pytest.raises(ConnectionError):
        Tray(gate, (KIND,)).step()
    monkeypatch.setattr(Session, "commit", real)
    settle(gate)
    assert count(sender, "Encounter") == 1
    head = sender.head()
    gate.machine("exchange").done("exchange.tray", 0)  # as if the mark had been lost
    settle(gate)
    assert sender.head() == head


def test_a_file_does_not_take_a_known_place_its_name(gate: Gate, sender: Session) -> None:
    place = {"resourceType": "Organization", "id": "A1", "name": "Alpha Hospital"}
    gate.machine("ops").commit([Put(place)])

    class Nameless(VisitLine):
        def translate(self, content: bytes) -> Translated:
            return Translated(({"resourceType": "Organization", "id": "A1", "active": True},))

    send(sender, LINE)
    Tray(gate, (Nameless(),)).step()
    assert sender.read("Organization", "A1").resource["name"] == "Alpha Hospital"
