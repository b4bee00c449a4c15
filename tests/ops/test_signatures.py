"""`sokhoe signatures`: what waits, how one stands, the seal, the hold."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from sokhoe.ops import run
from sokhoe.trust import Put
from sokhoe.trust.signatures import pdf
from sokhoe.trust.signatures.seam import algorithm_of
from sokhoe.trust.signatures.software import SoftwareSigner
from tests.trust.authority import Authority
from tests.trust.papers import a_pdf
from tests.worlds import a_gate, a_patient


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    with Authority() as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path, authority: Authority) -> Path:
    authority.anchors(tmp_path / "anchors")
    with a_gate(tmp_path) as gate:
        gate.machine("ops").commit([Put(a_patient("p"))])
    return tmp_path


def test_the_facility_seals_its_audit_and_it_is_completed(
    folder: Path,
    authority: Authority,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = authority.issue("Trạm Y tế Cái Nhum").write(folder)
    given = ["--data", str(folder), "--timestamp-url", f"{authority.url}/tsa"]
    monkeypatch.setattr("sys.stdin", io.StringIO("demo\n"))
    assert run(["signatures", "seal", *given, "--demo", "1", "--signing-key", f"file:{key}"]) == 0
    sealed = capsys.readouterr().out
    assert "is sealed" in sealed
    assert run(["signatures", *given]) == 0
    assert "1 signatures wait" in capsys.readouterr().out
    assert run(["signatures", "complete", *given]) == 0
    assert "1 signatures were time-stamped" in capsys.readouterr().out
    provenance = sealed.split("Provenance/")[1].split(",")[0]
    assert run(["signatures", "check", provenance, *given]) == 0
    told = capsys.readouterr().out
    assert "GOOD B-LT" in told
    assert "Trạm Y tế Cái Nhum" in told


def test_a_paper_is_checked_in_words(
    folder: Path, authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    issued = authority.issue()
    signer = SoftwareSigner("t", issued.key, issued.chain, algorithm_of(issued.certificate))
    paper = folder / "slip.pdf"
    paper.write_bytes(pdf.sign(a_pdf(), signer, url=f"{authority.url}/tsa"))
    assert run(["signatures", "check", str(paper), "--data", str(folder)]) == 0
    assert "(time stamp)" in capsys.readouterr().out
    paper.write_bytes(paper.read_bytes().replace(b"01/12/2026", b"02/12/2026"))
    assert run(["signatures", "check", str(paper), "--data", str(folder)]) == 2
    assert "BROKEN" in capsys.readouterr().out


def test_a_hold_needs_a_reason_and_keeps(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--data", str(folder)]
    assert run(["signatures", "hold", "Patient/p", *at]) == 1
    assert run(["signatures", "hold", "Patient/p", "tranh chấp", *at]) == 0
    assert "under legal hold" in capsys.readouterr().out
    assert run(["signatures", "release", "Patient/p", *at]) == 0


def test_without_a_device_the_seal_says_the_way_out(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("1\n"))
    assert run(["signatures", "seal", "--data", str(folder)]) == 1
    assert "signing_key" in capsys.readouterr().err
