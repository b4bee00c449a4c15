"""Signed papers: from B-B to B-LTA, and what somebody may do to one afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from sokhoe import clock
from sokhoe.errors import Invalid
from sokhoe.trust.signatures import pdf
from sokhoe.trust.signatures.anchors import Anchors, read_anchors
from sokhoe.trust.signatures.judging import Judge, online
from sokhoe.trust.signatures.seam import Signer, Status, Verdict, algorithm_of
from sokhoe.trust.signatures.software import SoftwareSigner
from tests.trust.authority import Authority, Issued, a_line_cut, now, rsa_key
from tests.trust.papers import a_pdf

YEAR = 365 * 86_400


@dataclass
class World:
    authority: Authority
    anchors: Anchors

    def signer(self, issued: Issued | None = None, *, pss: bool = False) -> Signer:
        one = issued or self.authority.issue()
        return SoftwareSigner("t", one.key, one.chain, algorithm_of(one.certificate, pss=pss))

    @property
    def url(self) -> str:
        return f"{self.authority.url}/tsa"

    def verdict(self, paper: bytes) -> Verdict:
        return pdf.verify(paper, Judge(self.anchors)).verdict

    def lasting(self, signer: Signer | None = None, *, stamped: bool = True) -> bytes:
        url = self.url if stamped else ""
        made = pdf.sign(a_pdf(), signer or self.signer(), url=url)
        return pdf.lasting(made, self.url, self.anchors)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Authority() as authority:
        folder = authority.anchors(tmp_path_factory.mktemp("ca") / "anchors")
        yield World(authority, read_anchors(folder))


@pytest.mark.parametrize("pss", [False, True])
@pytest.mark.parametrize("rsa", [False, True])
def test_a_paper_is_signed_stamped_and_made_lasting(world: World, rsa: bool, pss: bool) -> None:
    signer = world.signer(world.authority.issue(key=rsa_key(1)) if rsa else None, pss=pss)
    plain = world.verdict(pdf.sign(a_pdf(), signer))
    assert (plain.status, plain.level, plain.proven) == (Status.WAITING, "B-B", False)
    stamped = pdf.sign(a_pdf(), signer, url=world.url)
    assert world.verdict(stamped).level == "B-T"
    lasting = world.verdict(pdf.lasting(stamped, world.url, world.anchors))
    assert (lasting.status, lasting.level, lasting.proven) == (Status.GOOD, "B-LTA", True)
    assert lasting.organisation == "Trạm Y tế Cái Nhum"


def test_a_paper_signed_without_a_line_is_completed_later(world: World) -> None:
    with a_line_cut(world.authority):
        signed = pdf.sign(a_pdf(), world.signer())
    found = world.verdict(pdf.lasting(signed, world.url, world.anchors))
    assert (found.status, found.level, found.proven) == (Status.GOOD, "B-LTA", True)
    assert found.at is not None
    assert abs(found.at - now()) < timedelta(minutes=1)


@pytest.mark.parametrize("stamped", [False, True])
def test_it_is_good_ten_years_later_with_nobody_to_ask(world: World, stamped: bool) -> None:
    lasting = world.lasting(stamped=stamped)
    plain = pdf.sign(a_pdf(), world.signer())
    with clock.standing_at(clock.now()) as ahead, a_line_cut(world.authority):
        ahead(10 * YEAR)
        assert world.verdict(lasting).status is Status.GOOD
        assert world.verdict(plain).status is Status.EXPIRED
        ahead(3 * YEAR)  # after the stamp's own end, without having been renewed
        assert world.verdict(lasting).status is Status.EXPIRED


def test_renewed_in_time_it_outlives_the_stamp(world: World) -> None:
    lasting = world.lasting()
    old = world.authority.tsa
    with clock.standing_at(clock.now()) as ahead:
        ahead(10 * YEAR)
        world.authority.tsa = world.authority.issue(
            "Later TSA", kind="tsa", key=rsa_key(2), years=9
        )
        renewed = pdf.lasting(lasting, world.url, world.anchors)
        ahead(5 * YEAR)
        assert world.verdict(renewed).status is Status.GOOD
        assert world.verdict(lasting).status is Status.EXPIRED
    world.authority.tsa = old


def test_the_independent_judge_agrees(world: World) -> None:
    """pyhanko's own AdES validation (ETSI EN 319 102-1, §5.6.3), of today."""
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation.ades import ades_lta_validation
    from pyhanko.sign.validation.policy_decl import (
        PdfSignatureValidationSpec,
        SignatureValidationSpec,
    )
    from pyhanko_certvalidator.context import CertValidationPolicySpec
    from pyhanko_certvalidator.policy_decl import REQUIRE_REVINFO, CertRevTrustPolicy
    from pyhanko_certvalidator.registry import SimpleTrustManager

    from sokhoe.trust.signatures.chains import drive

    trusted = SimpleTrustManager.build([pdf._asn1(world.authority.root)])
    spec = PdfSignatureValidationSpec(
        SignatureValidationSpec(
            CertValidationPolicySpec(trusted, CertRevTrustPolicy(REQUIRE_REVINFO))
        )
    )
    reader = PdfFileReader(BytesIO(world.lasting()))
    found = drive(ades_lta_validation(reader.embedded_regular_signatures[0], spec))
    assert found.ades_subindic.standard_name == "OK", found


def test_a_revoked_certificate_is_noticed_before_and_not_after(world: World) -> None:
    issued = world.authority.issue()
    before = world.lasting(world.signer(issued))
    world.authority.revoke(issued)
    with clock.standing_at(clock.now() + 60_000_000):
        assert world.verdict(before).status is Status.GOOD
        after = pdf.sign(a_pdf(), world.signer(issued), url=world.url)
        assert pdf.verify(after, online(world.anchors)).verdict.status is Status.REVOKED
        with pytest.raises(Invalid):
            pdf.lasting(after, world.url, world.anchors)


def test_the_doctor_signs_and_then_the_facility(world: World) -> None:
    doctor = pdf.sign(a_pdf(), world.signer(), url=world.url)
    both = pdf.sign(doctor, world.signer(world.authority.issue("Trạm Y tế")), url=world.url)
    found = pdf.verify(pdf.lasting(both, world.url, world.anchors), Judge(world.anchors))
    assert [one.name for one in found.signatures] == ["Bác sĩ Lê Thị Hoa", "Trạm Y tế"]
    assert {one.status for one in found.signatures} == {Status.GOOD}


def test_what_is_appended_after_signing_is_seen(world: World) -> None:
    for paper in (pdf.sign(a_pdf(), world.signer(), url=world.url), world.lasting()):
        writer = IncrementalPdfFileWriter(BytesIO(paper))
        page = writer.root["/Pages"]["/Kids"][0]
        content = b"BT /F1 24 Tf 72 700 Td (10 ngay nghi) Tj ET"
        page["/Contents"] = writer.add_object(generic.StreamObject(stream_data=content))
        writer.update_container(page)
        out = BytesIO()
        writer.write(out)
        assert world.verdict(out.getvalue()).status is Status.CHANGED


def test_a_changed_byte_and_a_paper_without_signature_are_not_good(world: World) -> None:
    paper = bytearray(pdf.sign(a_pdf(), world.signer()))
    at = paper.index(b"01/12/2026")
    paper[at] ^= 1
    assert not world.verdict(bytes(paper)).accepted
    assert world.verdict(a_pdf()).why == "There is no signature in it."
    assert not world.verdict(b"%PDF-1.7 nothing").accepted
    with pytest.raises(Invalid):
        pdf.sign(b"nothing", world.signer())
