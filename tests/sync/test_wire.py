from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import zstandard

from sokhoe.errors import Invalid
from sokhoe.store import Commit, seal
from sokhoe.sync import Head, pack, unpack
from sokhoe.sync.receive import check_chain
from sokhoe.sync.wire import START, commit_from_text, commit_text
from tests.sync.world import HubEnd, StationEnd, a_patient, a_reading

Pair = tuple[HubEnd, StationEnd]


def packed(value: Any, **how: Any) -> bytes:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return zstandard.ZstdCompressor(**how).compress(raw)


def a_page(station: StationEnd) -> tuple[list[Commit], bytes]:
    patient = a_patient()
    station.save(patient, a_reading(patient["id"], "72.50"))
    station.save(a_patient(patient["id"], "Sơn \u0110ức \u2028 \U0001f33e"))
    station.delete("Patient", patient["id"])
    commits = station.commits()
    last = commits[-1]
    head = Head(last.seq, last.hash)
    return commits, pack(station.store.node, station.store.epoch, commits, head).body


def test_a_page_brings_commits_byte_for_byte(pair: Pair) -> None:
    _, station = pair
    commits, body = a_page(station)
    page = unpack(body)
    assert (page.node, page.epoch) == (station.store.node, station.store.epoch)
    assert page.head == Head(commits[-1].seq, commits[-1].hash)
    here = [
        replace(one, versions=tuple(replace(v, seq=0) for v in one.versions)) for one in commits
    ]
    assert list(page.commits) == here
    assert b"72.50" in page.commits[0].versions[1].body


def test_every_chain_begins_with_the_same_nothing(pair: Pair) -> None:
    _, station = pair
    commits, _ = a_page(station)
    assert commits[0].seq == 1
    assert commits[0].prev == START


def test_the_shape_on_the_line_is_the_published_one(pair: Pair) -> None:
    _, station = pair
    _, body = a_page(station)
    page = json.loads(zstandard.ZstdDecompressor().decompress(body))
    assert list(page) == ["protocol", "node", "epoch", "from_seq", "commits", "head"]
    assert page["protocol"] == 1
    first, _, last = page["commits"]
    assert list(first) == ["seq", "prev", "hash", "author", "at", "changes"]
    assert list(first["changes"][0]) == ["type", "id", "version", "body"]
    assert last["changes"][0] == {**last["changes"][0], "deleted": True}
    assert "body" not in last["changes"][0]


def test_a_commit_from_before_a_restore_keeps_its_own_epoch(pair: Pair) -> None:
    _, station = pair
    commits, _ = a_page(station)
    body = pack("n", "a-later-epoch", commits, Head(0, START)).body
    assert {one.epoch for one in unpack(body).commits} == {station.store.epoch}


def test_a_commit_kept_as_text_is_the_same_commit(pair: Pair) -> None:
    _, station = pair
    commits, _ = a_page(station)
    again = commit_from_text(station.store.node, commit_text(commits[0]))
    assert seal(again) == again.hash == commits[0].hash


def test_fields_of_a_later_protocol_are_left_alone(pair: Pair) -> None:
    _, station = pair
    _, body = a_page(station)
    page = json.loads(zstandard.ZstdDecompressor().decompress(body))
    page["lane"] = 1
    page["commits"][0]["hlc"] = [1, 2]
    assert unpack(packed(page)).commits[0].seq == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda c: replace(c, author="Practitioner/other"),
        lambda c: replace(c, at=c.at + 1),
        lambda c: replace(c, epoch="other"),
        lambda c: replace(c, versions=c.versions[:1]),
        lambda c: replace(c, versions=c.versions[::-1]),
        lambda c: replace(c, versions=(replace(c.versions[0], version=7), c.versions[1])),
        lambda c: replace(c, versions=(c.versions[0], replace(c.versions[1], id="other"))),
        lambda c: replace(
            c,
            versions=(
                c.versions[0],
                replace(c.versions[1], body=c.versions[1].body.replace(b"72.50", b"72.5")),
            ),
        ),
        lambda c: replace(c, versions=(replace(c.versions[0], deleted=True), c.versions[1])),
    ],
    ids=[
        "author",
        "time",
        "epoch",
        "a record less",
        "order",
        "version",
        "id",
        "one digit",
        "deleted",
    ],
)
def test_a_tampered_commit_does_not_fit_its_hash(pair: Pair, change: Any) -> None:
    _, station = pair
    commits, _ = a_page(station)
    spoiled = [change(commits[0]), *commits[1:]]
    page = unpack(pack(station.store.node, station.store.epoch, spoiled, Head(0, START)).body)
    with pytest.raises(Invalid):
        check_chain(page)


def test_swapped_commits_do_not_make_a_chain(pair: Pair) -> None:
    _, station = pair
    commits, _ = a_page(station)
    page = unpack(pack("n", station.store.epoch, commits, Head(0, START)).body)
    with pytest.raises(Invalid) as caught:
        check_chain(replace(page, commits=(page.commits[0], page.commits[2])))
    assert caught.value.slug == "tampered"


def test_a_page_that_would_unpack_to_a_mountain_is_refused() -> None:
    bomb = packed(b"0" * 200_000_000)
    assert len(bomb) < 20_000
    with pytest.raises(Invalid) as caught:
        unpack(bomb)
    assert caught.value.slug == "page-size"


def test_a_page_that_hides_its_size_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        unpack(packed(b"{}", write_content_size=False))
    assert caught.value.slug == "page-size"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no zstd at all",
        packed(b""),
        packed(b"{"),
        packed(b"\xff\xfe"),
        packed(b"[" * 100_000),
        packed([]),
        packed({"protocol": 1}),
        packed({"protocol": "1", "node": "n", "epoch": "e", "from_seq": 1, "commits": []}),
        packed({"a": "b" * 1000})[:-5],
    ],
)
def test_what_is_no_page_is_refused_with_words(body: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        unpack(body)
    assert "cannot be read" in caught.value.message
    assert caught.value.hint


def test_a_page_with_something_behind_it_is_refused(pair: Pair) -> None:
    _, station = pair
    _, body = a_page(station)
    with pytest.raises(Invalid, match="cannot be read"):
        unpack(body + b"more")


def test_commits_that_are_not_numbered_one_after_the_other_are_refused(pair: Pair) -> None:
    _, station = pair
    commits, _ = a_page(station)
    with pytest.raises(Invalid, match="not numbered"):
        unpack(pack("n", "e", [commits[0], commits[2]], Head(0, START)).body)


def test_a_page_of_an_unknown_protocol_says_which_are_known(pair: Pair) -> None:
    _, station = pair
    _, body = a_page(station)
    page = json.loads(zstandard.ZstdDecompressor().decompress(body))
    with pytest.raises(Invalid) as caught:
        unpack(packed({**page, "protocol": 2}))
    assert caught.value.slug == "protocol"
    assert "1 to 1" in caught.value.message


def test_a_resource_as_deep_as_the_store_takes_does_not_block_the_mail(pair: Pair) -> None:
    hub, station = pair
    deep: dict[str, Any] = {"url": "urn:x", "valueString": "bottom"}
    for _ in range(47):
        deep = {"url": "urn:x", "extension": [deep]}
    station.save({**a_patient("deep"), "extension": [deep]})
    station.save(a_patient("after"))
    station.send()
    assert hub.store.read("Patient", "after") is not None
