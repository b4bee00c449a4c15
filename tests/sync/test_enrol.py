from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from sokhoe import clock
from sokhoe.errors import Busy, Conflict, Invalid, SokhoeError, Unavailable
from sokhoe.store import Keep
from sokhoe.sync import (
    NodeKey,
    NodeState,
    admit,
    enrol_at,
    enrol_directly,
    enrolment_of,
    make_code,
    node_of,
    nodes,
    revoke,
)
from tests.sync.world import HubEnd, a_pair, a_patient, straight

START = datetime(2026, 11, 23, 7, tzinfo=UTC)
HERE = "Organization/86001"


def take(hub: HubEnd, code: str, node: str = "node-1", address: str = "198.51.100.1") -> None:
    admit(
        hub.store,
        code,
        node=node,
        epoch="epoch-1",
        public_key=NodeKey.draw().public,
        address=address,
    )


@pytest.fixture
def hub(folder: Path) -> HubEnd:
    return HubEnd(folder)


@pytest.fixture
def slow_hub(hub: HubEnd, monkeypatch: pytest.MonkeyPatch) -> HubEnd:
    """A hub on which everybody has read before anybody writes."""
    keep = hub.store.keep

    def slowly(*keeps: Keep) -> None:
        time.sleep(0.2)
        keep(*keeps)

    monkeypatch.setattr(hub.store, "keep", slowly)
    return hub


def test_a_code_read_out_makes_a_station_known(folder: Path) -> None:
    with a_pair(folder, enrolled=False) as (hub, station):
        code = make_code(hub.store, HERE)
        assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}", code)
        told = enrol_at(station.client, station.store, station.folder, code)
        assert (told.node, told.facility) == (station.store.node, HERE)
        assert told.name == "Trạm Y tế Ba Càng"
        assert told.hub_epoch == hub.store.epoch
        assert told.protocol == (1, 1)
        assert enrolment_of(station.store) == told
        node = station.node(hub)
        assert node.state is NodeState.ACTIVE
        assert node.epoch == station.store.epoch
        station.save(a_patient())
        station.send()


def test_the_private_key_never_leaves_the_station(folder: Path) -> None:
    with a_pair(folder, enrolled=False) as (hub, station):
        enrol_at(station.client, station.store, station.folder, make_code(hub.store, HERE))
        secret = (station.folder / "node.key").read_bytes().splitlines()[1]
        assert all(secret not in body for _, body in station.wire.sent)
        assert secret.decode() not in str(hub.store.all_kept("node"))


def test_a_code_works_once(hub: HubEnd) -> None:
    code = make_code(hub.store, HERE)
    take(hub, code)
    with pytest.raises(Invalid, match="wrong, used or too old"):
        take(hub, code, "node-2")
    assert [one.id for one in nodes(hub.store)] == ["node-1"]


def test_a_code_typed_by_many_at_once_works_for_one(slow_hub: HubEnd) -> None:
    hub = slow_hub
    code = make_code(hub.store, HERE)

    def attempt(number: int) -> bool:
        try:
            take(hub, code, f"node-{number}", f"198.51.100.{number}")
        except Invalid:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(attempt, range(8))) == [False] * 7 + [True]
    assert len(nodes(hub.store)) == 1


def test_a_code_lives_for_fifteen_minutes(hub: HubEnd) -> None:
    with clock.standing_at(START) as ahead:
        code = make_code(hub.store, HERE)
        ahead(15 * 60 + 1)
        with pytest.raises(Invalid):
            take(hub, code)
        ahead(-2)
        take(hub, code)


def test_what_people_write_for_a_letter_is_understood(hub: HubEnd) -> None:
    code = make_code(hub.store, HERE)
    take(hub, f" {code.lower().replace('0', 'o').replace('1', 'l').replace('-', ' - ')} ")


def test_after_five_wrong_codes_an_address_waits_and_others_do_not(hub: HubEnd) -> None:
    with clock.standing_at(START) as ahead:
        code = make_code(hub.store, HERE)
        for _ in range(5):
            with pytest.raises(Invalid):
                take(hub, "WRNG-WRNG", address="203.0.113.9")
        with pytest.raises(Busy) as caught:
            take(hub, code, address="203.0.113.9")
        assert caught.value.status == 429
        other = make_code(hub.store, HERE)
        take(hub, other, "node-2", address="198.51.100.2")
        ahead(15 * 60 + 1)
        take(hub, make_code(hub.store, HERE), address="203.0.113.9")


def test_wrong_codes_at_once_are_all_counted(slow_hub: HubEnd) -> None:
    hub = slow_hub

    def attempt(_: int) -> str:
        try:
            take(hub, "WRNG-WRNG", address="203.0.113.9")
        except SokhoeError as error:
            return error.slug
        return "in"

    with ThreadPoolExecutor(5) as threads:
        assert list(threads.map(attempt, range(5))) == ["enrol-code"] * 5
    assert attempt(0) == "enrol-tries"


def test_codes_that_are_over_are_thrown_away(hub: HubEnd) -> None:
    with clock.standing_at(START) as ahead:
        make_code(hub.store, HERE)
        ahead(16 * 60)
        make_code(hub.store, HERE)
        assert len(hub.store.all_kept("enrol-code")) == 1


def test_a_code_is_not_kept_in_the_clear(hub: HubEnd) -> None:
    code = make_code(hub.store, HERE)
    kept = str(hub.store.all_kept("enrol-code"))
    assert code not in kept
    assert code.replace("-", "") not in kept


def test_no_code_for_a_facility_that_the_province_does_not_have(hub: HubEnd) -> None:
    for facility in ("Organization/99999", "86001", "Patient/86001", "", "Organization/"):
        with pytest.raises(Invalid) as caught:
            make_code(hub.store, facility)
        assert caught.value.slug == "enrol-facility-unknown"


def test_a_station_cannot_move_to_another_facility(folder: Path) -> None:
    with a_pair(folder) as (hub, station):
        code = make_code(hub.store, "Organization/86002")
        with pytest.raises(Conflict) as caught:
            enrol_at(station.client, station.store, station.folder, code)
        assert caught.value.slug == "enrol-facility"
        assert station.node(hub).facility == HERE


def test_a_key_that_is_none_is_refused_and_the_code_not_spent(hub: HubEnd) -> None:
    code = make_code(hub.store, HERE)
    with pytest.raises(Invalid) as caught:
        admit(hub.store, code, node="n", epoch="e", public_key="AAAA")
    assert caught.value.slug == "enrol-key"
    take(hub, code)


def test_a_closed_station_is_refused_at_once_and_a_new_code_opens_it(folder: Path) -> None:
    with a_pair(folder) as (hub, station):
        station.save(a_patient())
        station.send()
        revoke(hub.store, station.store.node, "stolen", "Practitioner/operator", "Operator")
        station.save(a_patient())
        station.sender.send_now()
        assert not station.sender.step()
        status = station.line.status()
        assert (status.up, status.waiting) == (False, 1)
        assert "closed" in status.note
        code = make_code(hub.store, HERE)
        enrol_at(station.client, station.store, station.folder, code)
        station.send()
        assert station.line.status().up


def test_enrolling_and_closing_stand_in_the_audit(folder: Path) -> None:
    with a_pair(folder) as (hub, station):
        revoke(hub.store, station.store.node, "stolen", "Practitioner/operator", "Operator")
        closed, enrolled, *_ = [line.entry for line in hub.store.entries()]
        assert "stolen" in closed.note
        assert closed.actor == "Practitioner/operator"
        assert "enrolled" in enrolled.note
        assert enrolled.place == HERE


def test_without_a_line_enrolment_says_so_and_the_code_is_good_later(folder: Path) -> None:
    with a_pair(folder, enrolled=False) as (hub, station):
        code = make_code(hub.store, HERE)

        def cut(request: httpx.Request, body: bytes, go: object) -> httpx.Response:
            raise httpx.ConnectError("cut", request=request)

        station.wire.passing = cut
        with pytest.raises(Unavailable) as caught:
            enrol_at(station.client, station.store, station.folder, code)
        assert caught.value.slug == "hub-unreachable"
        station.wire.passing = straight
        enrol_at(station.client, station.store, station.folder, code)
        assert node_of(hub.store, station.store.node) is not None


def test_a_page_of_a_strange_server_is_not_an_enrolment(folder: Path) -> None:
    with a_pair(folder, enrolled=False) as (_, station):
        station.wire.passing = lambda request, body, hub: httpx.Response(
            200, content=b"<html>sign in</html>", request=request
        )
        with pytest.raises(Unavailable):
            enrol_at(station.client, station.store, station.folder, "ABCD-EFGH")
        assert enrolment_of(station.store) is None


def test_enrolling_directly_is_the_same_enrolment(folder: Path) -> None:
    with a_pair(folder, enrolled=False) as (hub, station):
        told = enrol_directly(hub.store, station.store, station.folder, HERE)
        assert station.node(hub).key
        assert told == enrolment_of(station.store)
        assert hub.store.all_kept("enrol-code") == {}


def test_a_malformed_enrolment_is_refused_with_words(folder: Path) -> None:
    with a_pair(folder, enrolled=False) as (_, station):
        answer = station.client.post("/sync/v1/enrol", content=b'{"code": 7}')
        assert answer.status_code == 400
        assert answer.json()["error"] == "enrol-form"
