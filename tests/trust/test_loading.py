"""NDJSON into batches: whole lines, right numbers, bad ones named, however the file is cut."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sokhoe.errors import Invalid, NotFound, Unavailable
from sokhoe.fhir import TYPES, encode
from sokhoe.store import Dictionary
from sokhoe.trust import Batch, Makers, Place, loading, open_lines, refusals
from tests.worlds import a_patient

NONE = Dictionary(0, b"")
ALL = frozenset(TYPES)


def batches(path: Path, **more: Any) -> list[tuple[Batch, Place]]:
    with Makers(0) as makers, open_lines(path) as file:
        return list(makers.batches(file, Place(), lambda: NONE, more.pop("may", ALL)))


@given(
    lengths=st.lists(st.integers(0, 40), max_size=30),
    ending=st.booleans(),
    block=st.integers(1, 60),
    lines=st.integers(1, 5),
    start=st.integers(0, 10),
)
@settings(deadline=None)
def test_blocks_are_the_file_however_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory,
    lengths: list[int],
    ending: bool,
    block: int,
    lines: int,
    start: int,
) -> None:
    content = b"\n".join(bytes([97 + n % 26]) * length for n, length in enumerate(lengths))
    content += b"\n" if ending and content else b""
    path = tmp_path_factory.mktemp("b") / "x.ndjson"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "BLOCK", block)
        with path.open("rb") as file:
            found = list(loading.blocks(file, Place(), lambda: lines))
        assert b"".join(one.content for one in found) == content
        at = Place()
        for one in found:
            assert one.first == at.line + 1
            assert content[at.offset : one.behind.offset] == one.content
            count = one.content.count(b"\n") + (not one.content.endswith(b"\n"))
            assert one.behind.line == at.line + count
            assert one.content.endswith(b"\n") or one is found[-1]
            at = one.behind
        if found:
            middle = found[start % len(found)].behind
            with path.open("rb") as file:
                rest = list(loading.blocks(file, middle, lambda: lines))
            assert b"".join(one.content for one in rest) == content[middle.offset :]


def test_a_line_longer_than_any_may_be_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "BLOCK", 300)
    monkeypatch.setattr(loading, "LONGEST", 1_000)
    path = tmp_path / "x.ndjson"
    good = encode(a_patient("a"))
    long = encode({**a_patient("long"), "name": [{"text": "x" * 5_000}]})
    middling = encode({**a_patient("b"), "name": [{"text": "x" * 600}]})
    path.write_bytes(b"\n".join([good, long, middling]))
    found = batches(path)
    assert sum(one.count for one, _ in found) == 2
    ((number, outcome),) = [bad for one, _ in found for bad in one.bad]
    assert number == 2 and outcome["issue"][0]["code"] == "too-long"
    assert found[-1][1] == Place(path.stat().st_size, 3)


BAD = [
    b"{",
    b"[]",
    b'{"resourceType":"Patience","id":"1"}',
    b'{"resourceType":"Patient","id":"1","gender":"manly"}',
    b'{"resourceType":"Patient"}',
    b'{"resourceType":"Patient","id":"a/b"}',
    b'{"resourceType":"Patient","id":"1","id":"2"}',
    b'{"resourceType":"AuditEvent","id":"1"}',
    b"\xff\xfe",
]


def test_bad_lines_are_named_and_the_others_made_ready(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    lines = [line for bad in BAD for line in (encode(a_patient("good")), bad, b"")]
    path.write_bytes(b"\r\n".join(lines))
    ((batch, place),) = batches(path, may=ALL - {"AuditEvent"})
    assert batch.count == len(BAD)
    assert [number for number, _ in batch.bad] == [3 * n + 2 for n in range(len(BAD))]
    assert place.line == 3 * len(BAD) - 1
    told = [json.loads(line) for line in refusals(batch, "x.ndjson").splitlines()]
    assert {one["resourceType"] for one in told} == {"OperationOutcome"}
    assert told[0]["extension"][1] == {"url": "urn:sokhoe:line", "valueInteger": 2}
    assert told[4]["issue"][0]["expression"] == ["Patient.id"]
    assert batch.types == ("Patient",) and batch.patients == ("Patient/good",)


def test_a_compressed_file_is_read_as_well(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson.gz"
    path.write_bytes(gzip.compress(encode(a_patient("a")) + b"\n"))
    ((batch, _),) = batches(path)
    assert batch.count == 1
    with pytest.raises(NotFound):
        open_lines(tmp_path / "none")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(Invalid, match="decompressed"):
        batches(path)


def test_processes_give_the_same_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "FIRST_LINES", 3)
    path = tmp_path / "x.ndjson"
    path.write_bytes(b"".join(encode(a_patient(f"p{n}")) + b"\n" for n in range(20)))
    with Makers(2) as makers, open_lines(path) as file:
        found = list(makers.batches(file, Place(), lambda: NONE, ALL))
    assert found == batches(path)
    assert [one.count for one, _ in found] == [3] * 6 + [2]


def test_a_process_that_dies_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.ndjson"
    path.write_bytes(encode(a_patient("a")))
    with Makers(1) as makers, open_lines(path) as file:
        assert makers._pool is not None
        makers._pool.submit(int, "1").result()
        for process in makers._pool._processes.values():
            process.kill()
        with pytest.raises(Unavailable):
            list(makers.batches(file, Place(), lambda: NONE, ALL))
