"""A clinic's evening: visits signed with one PIN, the line back, and what then cannot change."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from sokhoe import clock
from sokhoe.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from sokhoe.fhir import TYPES, encode
from sokhoe.trust import (
    Actor,
    Delete,
    Gate,
    Makers,
    Place,
    Put,
    Role,
    Session,
    locks,
    open_lines,
)
from sokhoe.trust.auditlog import AuditLog
from sokhoe.trust.keeping import KeepAll
from sokhoe.trust.signatures.desk import Desk, Found, open_desk
from sokhoe.trust.signatures.seam import Algorithm, Chain, Signer, Status, algorithm_of
from sokhoe.trust.signatures.software import SoftwareSigner
from sokhoe.vietnam.retention import Periods, kinds
from tests.trust.authority import Authority, a_line_cut
from tests.worlds import a_gate, a_patient, a_visit, settings_in

YEAR = 365 * 86_400


@dataclass
class Clinic:
    """A doctor, a device and two visits of today."""

    gate: Gate
    desk: Desk
    authority: Authority
    signer: Signer
    visits: list[list[str]]

    @property
    def doctor(self) -> Session:
        place = "Trạm Y tế Cái Nhum"
        actor = Actor("Practitioner/1", "Hoa", Role.DOCTOR, "Organization/86001", place)
        return self.gate.session(actor)

    @property
    def machine(self) -> Session:
        return self.gate.machine("trust")

    def sign(self) -> str:
        return self.desk.sign(self.doctor, self.visits[0], self.signer).provenance

    def found(self, provenance: str) -> Found:
        return self.desk.check(self.doctor, provenance.removeprefix("Provenance/"))

    def stands(self, ref: str) -> dict[str, Any]:
        return self.doctor.read(*ref.split("/")).resource  # type: ignore[arg-type]

    def changed(self, ref: str) -> dict[str, Any]:
        return {**self.stands(ref), "language": "vi"}


def deleting(ref: str) -> Delete:
    type, _, id = ref.partition("/")
    return Delete(type, id)


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    with Authority() as made:
        yield made


@pytest.fixture
def clinic(tmp_path: Path, authority: Authority) -> Iterator[Clinic]:
    authority.anchors(tmp_path / "anchors")
    given = {"timestamp_url": f"{authority.url}/tsa"}
    with a_gate(tmp_path, **given) as gate:
        desk = open_desk(gate, settings_in(tmp_path, **given), Periods())
        issued = authority.issue()
        signer = SoftwareSigner("t", issued.key, issued.chain, algorithm_of(issued.certificate))
        visits = []
        for number in range(2):
            records = a_visit(a_patient(f"p{number}"), code="F32")
            gate.machine("ops").commit([Put(a_patient(f"p{number}")), *map(Put, records)])
            visits.append([f"{one['resourceType']}/{one['id']}" for one in records])
        yield Clinic(gate, desk, authority, signer, visits)


def test_a_visit_is_signed_without_a_line_and_completed_when_it_is_back(clinic: Clinic) -> None:
    with a_line_cut(clinic.authority):
        provenance = clinic.sign()
        assert clinic.found(provenance).verdict.status is Status.WAITING
        with pytest.raises(Unavailable):
            clinic.desk.complete(clinic.machine)
        assert len(clinic.desk.waiting()) == 1
    assert clinic.desk.complete(clinic.machine) == 1
    assert clinic.desk.waiting() == {}
    found = clinic.found(provenance)
    assert (found.verdict.status, found.verdict.level) == (Status.GOOD, "B-LT")
    assert found.role == "doctor"
    assert found.place == "Trạm Y tế Cái Nhum"
    assert {one.partition("/_history")[0] for one in found.targets} == set(clinic.visits[0])


def test_the_signature_lies_in_a_provenance_as_fhir_says(clinic: Clinic) -> None:
    one = clinic.stands(clinic.sign())
    signature = one["signature"][0]
    assert all("/_history/1" in each["reference"] for each in one["target"])
    assert signature["who"] == {"reference": "Practitioner/1", "display": "Hoa"}
    assert signature["sigFormat"] == "application/jose"
    assert signature["targetFormat"] == "application/fhir+json"
    assert b64decode(signature["data"]).startswith(b'{"protected"')


def test_signed_records_do_not_change(clinic: Clinic) -> None:
    clinic.sign()
    for ref in clinic.visits[0]:
        assert locks.state_of(clinic.gate.memory, ref) == "closed"
        with pytest.raises(Conflict, match="signed") as caught:
            clinic.doctor.commit([Put(clinic.changed(ref))])
        assert caught.value.slug == "signed"
        assert "amend" in caught.value.hint
        with pytest.raises(Conflict) as refused:
            clinic.doctor.commit([deleting(ref)])
        assert refused.value.slug == "kept-by-law"
    clinic.doctor.commit([Put(clinic.changed(clinic.visits[1][0]))])  # not signed yet
    clinic.doctor.commit([Put(clinic.stands(clinic.visits[0][0]))])  # the same once more


def test_an_addendum_with_a_reason_is_a_new_version(clinic: Clinic) -> None:
    provenance = clinic.sign()
    ref = clinic.visits[0][0]
    amended = clinic.changed(ref)
    who = {"reference": "Practitioner/1"}
    with pytest.raises(Invalid, match="why"):
        locks.amendment(ref, 2, who, " ")
    why = {**locks.amendment(ref, 2, who, "Bổ sung kết quả muộn"), "id": "why"}
    for wrong in (
        {"reason": [{"text": " "}]},
        {"activity": {"text": "amend"}},
        {"target": [{"reference": "Encounter/x"}]},
    ):
        with pytest.raises(Conflict):
            clinic.doctor.commit([Put(amended), Put({**why, **wrong})])
    clinic.doctor.commit([Put(amended), Put(why)])
    found = clinic.found(provenance)
    assert found.verdict.status is Status.WAITING  # what was signed is still there as it was
    assert found.later == (f"{ref}/_history/1",)
    with pytest.raises(Conflict):  # and the next change needs its own reason
        clinic.doctor.commit([Put({**amended, "language": "en"})])


def test_an_archived_record_takes_no_addendum(clinic: Clinic) -> None:
    ref = clinic.visits[0][0]
    with pytest.raises(Conflict):
        locks.archive(clinic.gate.memory, ref)
    assert locks.state_of(clinic.gate.memory, ref) == "active"
    clinic.sign()
    locks.archive(clinic.gate.memory, ref)
    assert locks.state_of(clinic.gate.memory, ref) == "archived"
    why = {**locks.amendment(ref, 2, {"reference": "Practitioner/1"}, "muộn"), "id": "why"}
    with pytest.raises(Conflict, match="archived"):
        clinic.doctor.commit([Put(clinic.changed(ref)), Put(why)])


def test_a_signature_is_not_swapped_for_another(clinic: Clinic) -> None:
    first, second = clinic.desk.sign_many(clinic.doctor, clinic.visits, clinic.signer)
    one, two = clinic.stands(first.provenance), clinic.stands(second.provenance)
    with pytest.raises(Conflict):
        clinic.doctor.commit([Put({**one, "signature": two["signature"]})])
    with pytest.raises(Conflict):
        clinic.doctor.commit([Put({**one, "target": two["target"]})])
    with pytest.raises(Conflict):
        clinic.doctor.commit([Put({k: v for k, v in one.items() if k != "signature"})])


def test_all_of_a_day_is_signed_with_one_pin_and_a_bad_one_stops_nothing(clinic: Clinic) -> None:
    asked: list[int] = []
    told: list[tuple[int, int]] = []

    class Counting:
        label = "counting"
        chain: Chain = clinic.signer.chain
        algorithm: Algorithm = clinic.signer.algorithm

        def sign(self, payloads: Any) -> list[bytes]:
            asked.append(len(payloads))
            return clinic.signer.sign(payloads)

    documents = [clinic.visits[0], ["Encounter/nowhere"], clinic.visits[1]]
    tell = lambda done, total: told.append((done, total))  # noqa: E731
    found = clinic.desk.sign_many(clinic.doctor, documents, Counting(), tell)
    assert [bool(one.provenance) for one in found] == [True, False, True]
    assert isinstance(found[1].error, NotFound)
    assert asked == [2]
    assert told == [(3, 3)]


def test_who_may_not_write_does_not_sign(clinic: Clinic) -> None:
    auditor = clinic.gate.session(Actor("Practitioner/2", "A", Role.AUDITOR))
    with pytest.raises((Forbidden, NotFound)):
        clinic.desk.sign(auditor, clinic.visits[0], clinic.signer)
    assert clinic.desk.waiting() == {}


def test_a_device_that_fails_is_told_for_each_document(clinic: Clinic) -> None:
    class Gone:
        label = "gone"
        chain: Chain = clinic.signer.chain
        algorithm: Algorithm = clinic.signer.algorithm

        def sign(self, payloads: Any) -> list[bytes]:
            raise Unavailable("unplugged", slug="token")

    found = clinic.desk.sign_many(clinic.doctor, clinic.visits, Gone())
    assert [one.error.slug for one in found if one.error] == ["token", "token"]
    assert locks.state_of(clinic.gate.memory, clinic.visits[0][0]) == "active"


def test_a_revoked_certificate_is_set_aside_with_its_reason(clinic: Clinic) -> None:
    issued = clinic.authority.issue()
    clinic.authority.revoke(issued)
    with clock.standing_at(clock.now() + 5_000_000):
        signer = SoftwareSigner("t", issued.key, issued.chain, algorithm_of(issued.certificate))
        clinic.desk.sign(clinic.doctor, clinic.visits[0], signer)
        assert clinic.desk.complete(clinic.machine) == 0
        assert "revoked" in next(iter(clinic.desk.waiting().values()))["why"]


def test_the_facility_seals_the_audit_of_a_day(clinic: Clinic) -> None:
    made = clinic.desk.seal_day(clinic.gate.machine("ops"), clinic.signer)
    binary = clinic.gate.machine("ops").read(*made.refs[0].split("/")).resource  # type: ignore[arg-type]
    assert b64decode(binary["data"]).decode() in AuditLog(clinic.gate.memory).checkpoints()
    assert clinic.found(made.provenance).verdict.accepted
    assert clinic.gate.memory.kept("seal", f"{clock.today()}")
    with pytest.raises(Conflict):
        clinic.gate.machine("ops").commit([Put({**binary, "data": "YQ=="})])


def test_a_paper_s_code_finds_its_signature_and_a_guess_finds_nothing(clinic: Clinic) -> None:
    made = clinic.desk.sign(clinic.doctor, clinic.visits[0], clinic.signer)
    assert len(made.code) == 26
    assert clinic.desk.paper(clinic.machine, made.code).provenance == made.provenance
    assert clinic.desk.paper(clinic.machine, made.code.lower()).provenance == made.provenance
    for guess in ("A" * 26, made.code[:-1], made.code + "A", "../etc", ""):
        with pytest.raises(NotFound):
            clinic.desk.paper(clinic.machine, guess)


def test_a_signature_that_comes_by_mail_locks_at_the_hub(
    clinic: Clinic, tmp_path: Path, authority: Authority
) -> None:
    made = clinic.desk.sign(clinic.doctor, clinic.visits[0], clinic.signer)
    (tmp_path / "hub").mkdir()
    authority.anchors(tmp_path / "hub" / "anchors")
    given = {"timestamp_url": f"{authority.url}/tsa"}
    with a_gate(tmp_path / "hub", **given) as gate:
        hub = open_desk(gate, settings_in(tmp_path / "hub", **given))
        ops = gate.machine("ops")
        records = [clinic.stands(ref) for ref in clinic.visits[0]]
        # at the hub this visit already has a version, so that numbers differ
        ops.commit([Put({**records[0], "language": "vi"})])
        ops.commit([Put(one) for one in records])
        ops.commit([Put(clinic.stands(made.provenance))])
        forged = {**clinic.stands(made.provenance), "id": "forged"}
        forged["target"] = [{"reference": "Patient/p0/_history/1"}]
        ops.commit([Put(forged)])
        assert hub.take_in() == 2
        assert locks.state_of(gate.memory, clinic.visits[0][0]) == "closed"
        assert gate.memory.kept("locked", "Patient/p0") is None
        assert hub.paper(gate.machine("trust"), made.code).verdict.accepted
        assert hub.complete(gate.machine("trust")) == 1
        assert hub.take_in() == 1  # its own completion, already known
        with pytest.raises(Conflict):
            ops.commit([Put({**records[0], "language": "en"})])


def test_a_bulk_load_does_not_write_over_what_is_signed(clinic: Clinic, tmp_path: Path) -> None:
    clinic.sign()
    signed, free = clinic.visits[0][0], clinic.visits[1][0]
    ops = clinic.gate.machine("ops")

    def load(*refs: str) -> None:
        lines = [encode({**clinic.stands(ref), "language": "en"}) for ref in refs]
        path = tmp_path / "records.ndjson"
        path.write_bytes(b"\n".join(lines))
        with Makers(0) as makers, open_lines(path) as file:
            for batch, _ in makers.batches(file, Place(), ops.dictionary, frozenset(TYPES)):
                ops.load(batch, note="test")

    with pytest.raises(Conflict, match=signed):
        load(signed)
    assert "language" not in clinic.stands(signed)
    load(free)
    assert clinic.stands(free)["language"] == "en"


def test_records_are_kept_as_long_as_the_law_says_and_under_hold_longer(clinic: Clinic) -> None:
    clinic.sign()
    ref = clinic.visits[0][0]
    lock = clinic.gate.memory.kept("locked", ref)
    assert lock["until"] == f"{clock.today().year + 20}-12-31"  # mental illness: 20 years
    assert "33/2025" in lock["rule"]
    gone = deleting(ref)
    with clock.standing_at(clock.now()) as ahead:
        ahead(19 * YEAR)
        with pytest.raises(Conflict, match=r"kept until"):
            clinic.doctor.commit([gone])
        ahead(3 * YEAR)
        locks.hold(clinic.gate.memory, "Patient/p0", "tranh chấp", "Practitioner/9")
        with pytest.raises(Conflict, match="legal hold"):
            clinic.doctor.commit([gone])
        locks.release(clinic.gate.memory, "Patient/p0")
        clinic.doctor.commit([gone])
    with pytest.raises(Invalid):
        locks.hold(clinic.gate.memory, "Patient/p0", " ", "Practitioner/9")


def test_periods_have_a_source_and_the_longest_counts() -> None:
    visit = {"resourceType": "Encounter"}
    closed = date(2026, 11, 23)
    rule = Periods().rule([visit], closed)
    assert rule is not None
    assert rule.until(closed) == date(2036, 12, 31)
    assert rule.source
    dead = {"resourceType": "Patient", "deceasedBoolean": True}
    longest = Periods().rule([visit, dead], closed)
    assert longest is not None
    assert longest.until(closed) == date(2056, 12, 31)
    event = {"resourceType": "AdverseEvent"}
    for_ever = Periods().rule([visit, event], closed)
    assert for_ever is not None
    assert for_ever.until(closed) is None
    road = {"resourceType": "Condition", "code": {"coding": [{"code": "V43"}]}}
    assert set(kinds([road])) == {"visit", "accident"}
    assert KeepAll().rule([visit], closed) is None
