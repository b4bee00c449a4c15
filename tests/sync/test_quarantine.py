"""A bad record delays only what was written on top of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sokhoe.errors import Invalid, Issue
from sokhoe.fhir import decode
from sokhoe.store import Put, Version
from sokhoe.sync import Quarantined, applying, head_of, quarantine, release, waiting
from sokhoe.trust import Session
from tests.sync.world import OTHER, HubEnd, StationEnd, a_patient, contents

Pair = tuple[HubEnd, StationEnd]


class Rule:
    """A rule of the hub that refuses some names, until it is put right."""

    def __init__(self, patch: pytest.MonkeyPatch, *names: str, error: Exception | None = None):
        self.names = set(names)
        self.error = error or Invalid(
            "Not so.", slug="rule", issues=(Issue("Not so.", "Patient.name[0]"),)
        )
        original = Session.commit

        def commit(session: Session, changes: Any, **how: Any) -> Any:
            for one in changes:
                if isinstance(one, Put) and one.resource["name"][0]["text"] in self.names:
                    raise self.error
            return original(session, changes, **how)

        patch.setattr(Session, "commit", commit)


def lying(pair: Pair) -> list[Quarantined]:
    hub, station = pair
    return waiting(hub.store, station.node(hub))


def test_a_bad_commit_does_not_stop_the_stream(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    hub, station = pair
    Rule(monkeypatch, "xấu")
    station.save(a_patient("p1"))
    station.save(a_patient("p2", "xấu"))
    station.save(a_patient("p3"))
    station.send()
    assert hub.store.read("Patient", "p3") is not None
    assert hub.store.read("Patient", "p2") is None
    assert [(one.seq, one.refs) for one in lying(pair)] == [(2, ("Patient/p2",))]
    assert lying(pair)[0].reason == "rule: Not so. (Patient.name[0])"
    head = head_of(hub.store, station.node(hub))
    assert (head.seq, head.quarantined, head.held) == (3, 1, 1)


def test_only_what_touches_the_same_resources_waits_behind_it(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, station = pair
    Rule(monkeypatch, "xấu")
    station.save(a_patient("p1", "tốt"))
    station.save(a_patient("p1", "xấu"))
    station.save(a_patient("p1", "tốt hơn"), a_patient("p2"))
    station.save(a_patient("p2", "đổi"))
    station.save(a_patient("p3"))
    station.send()
    assert [one.seq for one in lying(pair)] == [2, 3, 4]
    assert lying(pair)[2].reason == "behind: Patient/p2 waits for number 3"
    here = hub.store.read("Patient", "p1")
    assert here is not None
    assert here.resource["name"][0]["text"] == "tốt"
    assert hub.store.read("Patient", "p3") is not None


def test_when_the_cause_is_gone_everything_is_stored_in_order(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, station = pair
    rule = Rule(monkeypatch, "xấu")
    station.save(a_patient("p1", "xấu"))
    station.save(a_patient("p1", "tốt"), a_patient("p2"))
    station.save(a_patient("p2", "đổi"))
    station.send()
    assert release(hub.gate, hub.store, station.node(hub)) == (0, 3)
    rule.names.clear()
    assert release(hub.gate, hub.store, station.node(hub)) == (3, 0)
    assert contents(hub.store) == contents(station.store)
    head = head_of(hub.store, station.node(hub))
    assert (head.seq, head.quarantined, head.held) == (3, 0, 0)
    assert hub.store.all_kept("held") == {}
    station.save(a_patient("p1", "sau đó"))
    station.send()
    assert contents(hub.store) == contents(station.store)


def test_releasing_what_still_does_not_fit_keeps_its_followers_waiting(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, station = pair
    rule = Rule(monkeypatch, "xấu", "xấu nữa")
    station.save(a_patient("p1", "xấu"))
    station.save(a_patient("p1", "tốt"))
    station.save(a_patient("p2", "xấu nữa"))
    station.send()
    rule.names.discard("xấu nữa")
    assert release(hub.gate, hub.store, station.node(hub)) == (1, 2)
    assert hub.store.read("Patient", "p1") is None
    assert hub.store.read("Patient", "p2") is not None
    station.save(a_patient("p1", "mới"))
    station.send()
    assert [one.seq for one in lying(pair)] == [1, 2, 4]
    rule.names.clear()
    assert release(hub.gate, hub.store, station.node(hub)) == (3, 0)
    assert contents(hub.store) == contents(station.store)


def test_mail_that_arrives_during_a_release_stays_in_order(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, station = pair
    rule = Rule(monkeypatch, "xấu")
    station.save(a_patient("p1", "xấu"))
    station.send()
    rule.names.clear()
    arrived: list[str] = []
    original = applying.attempt

    def attempt(*given: Any) -> str:
        if not arrived:
            arrived.append("once")
            station.save(a_patient("p1", "sau"))
            station.send()
        return original(*given)

    monkeypatch.setattr(quarantine, "attempt", attempt)
    assert release(hub.gate, hub.store, station.node(hub)) == (1, 0)
    station.save(a_patient("p1", "sau nữa"))
    station.send()
    assert [one.seq for one in lying(pair)] == [2, 3]
    assert release(hub.gate, hub.store, station.node(hub)) == (2, 0)
    assert contents(hub.store) == contents(station.store)
    head = head_of(hub.store, station.node(hub))
    assert (head.held, head.quarantined) == (0, 0)


def test_two_who_release_at_once_store_each_commit_once(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, station = pair
    rule = Rule(monkeypatch, "xấu")
    station.save(a_patient("p1", "xấu"))
    for number in range(6):
        station.save(a_patient("p1", f"tên {number}"))
    station.send()
    rule.names.clear()
    with ThreadPoolExecutor(3) as threads:
        for _ in range(3):
            threads.submit(release, hub.gate, hub.store, station.node(hub))
    release(hub.gate, hub.store, station.node(hub))
    assert lying(pair) == []
    assert contents(hub.store) == contents(station.store)


def test_a_fault_of_ours_that_a_record_wakes_does_not_stop_the_stream(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, station = pair
    Rule(monkeypatch, "xấu", error=KeyError("given"))
    station.save(a_patient("p1", "xấu"))
    station.save(a_patient("p2"))
    station.send()
    assert lying(pair)[0].reason == "failure: KeyError: 'given'"
    assert hub.store.read("Patient", "p2") is not None


def test_a_commit_in_quarantine_that_is_sent_again_is_a_duplicate(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, station = pair
    Rule(monkeypatch, "xấu")
    station.save(a_patient("p1", "xấu"))
    station.send()
    path, body = station.wire.sent[-1]
    assert path.endswith("push")
    request = station.client.build_request("POST", path, content=body)
    sent_again = station.sender._node_key().headers(station.store.node, "POST", path, body, 1)
    request.headers.update(sent_again)
    answer = hub.answer(request, body).json()
    assert answer["results"] == [{"from": 1, "to": 1, "result": "duplicate"}]
    assert len(lying(pair)) == 1


def test_a_body_that_cannot_be_understood_spoils_no_other(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, station = pair
    station.save({**a_patient("p1"), "name": [{"text": "a"}, {"text": "b"}]})
    station.save({**OTHER, "alias": ["b"]}, {**a_patient(), "name": [{"text": "b"}]})
    station.save(a_patient("p2"))

    def strict(version: Version) -> Any:
        if b'"b"' in version.body:
            raise Invalid("This is not the JSON that FHIR asks for.", slug="not-json")
        return decode(version.body)

    monkeypatch.setattr(Version, "resource", property(strict))
    station.send()
    assert [one.reason.split(":")[0] for one in lying(pair)] == ["not-json", "not-json"]
    assert hub.store.read("Patient", "p2") is not None


def test_quarantine_stands_in_the_audit_without_the_value_that_was_wrong(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, station = pair
    Rule(monkeypatch, "xấu", error=Invalid("Nguyễn Thị Sen is wrong.", slug="rule"))
    station.save(a_patient("p1", "xấu"))
    station.send()
    notes = [line.entry.note for line in hub.store.entries()]
    assert "sync number 1 quarantined: rule" in notes
    assert not any("Sen" in one for one in notes)
