"""Papers: PAdES (ETSI EN 319 142) by pyhanko.

    sign      B-B, or B-T where a time-stamping service answers
    lasting   B-LTA: the status of every certificate (DSS), then a time stamp over all of it; done
              again before that stamp's certificate runs out, it goes on for ever
    verify    nothing of the file may have changed but such additions and other signatures

The mathematics and the look at what was appended are pyhanko's; whether the certificates stood is
judged as for the other formats, along the time stamps:

    now ─ newest document stamp ─ older ones ─ signature's own stamp ─ signer's certificate
          good until now          good until the next            good then
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from hashlib import sha256
from io import BytesIO
from typing import Any

from asn1crypto import algos, cms, tsp
from asn1crypto import crl as asn1_crl
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields, general, signers
from pyhanko.sign.diff_analysis import (
    CatalogModificationRule,
    DiffResult,
    DocInfoRule,
    DSSCompareRule,
    FormUpdatingRule,
    MetadataUpdateRule,
    ModificationLevel,
    ObjectStreamRule,
    SigFieldCreationRule,
    SigFieldModificationRule,
    StandardDiffPolicy,
    XrefStreamRule,
)
from pyhanko.sign.timestamps.api import TimeStamper
from pyhanko.sign.validation import generic_cms
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator.registry import SimpleCertificateStore

from sokhoe.errors import Invalid, Unavailable
from sokhoe.trust.signatures import stamps
from sokhoe.trust.signatures.anchors import Anchors
from sokhoe.trust.signatures.chains import drive
from sokhoe.trust.signatures.completing import status_of, status_of_stamp
from sokhoe.trust.signatures.fetching import fetch
from sokhoe.trust.signatures.judging import Judge
from sokhoe.trust.signatures.proofs import Proofs
from sokhoe.trust.signatures.seam import Algorithm, Signer, Status, Verdict

MOST_BYTES = 50_000_000
MOST_SIGNATURES = 20
_END = re.compile(rb"startxref\s+\d+\s+%%EOF\s*\Z")
# What it thinks of a hostile paper is in our verdict, not in the log.
logging.getLogger("pyhanko").setLevel(logging.CRITICAL)
_HASHES = frozenset({"sha256", "sha384", "sha512"})
_KINDS = frozenset({"/ETSI.CAdES.detached", "/adbe.pkcs7.detached"})
_LTA = ModificationLevel.LTA_UPDATES
# Unlike pyhanko's own: no form field may be filled in later, only signed.
RULES = StandardDiffPolicy(
    global_rules=[
        CatalogModificationRule(),
        *(
            rule.as_qualified(_LTA)
            for rule in (
                DocInfoRule(),
                XrefStreamRule(),
                ObjectStreamRule(),
                DSSCompareRule(),
                MetadataUpdateRule(),
            )
        ),
    ],
    form_rule=FormUpdatingRule(field_rules=[SigFieldCreationRule(), SigFieldModificationRule()]),
)


# -- signing ---------------------------------------------------------------------------------


def sign(pdf: bytes, signer: Signer, *, url: str = "", reason: str = "", place: str = "") -> bytes:
    """`url`: the time-stamping service; without it the time is to be proven later (`lasting`).
    Raises Invalid for what is no PDF."""
    try:
        writer = IncrementalPdfFileWriter(BytesIO(pdf))
        count = len(list(PdfFileReader(BytesIO(pdf)).embedded_signatures))
    except Exception as error:
        raise Invalid("This is not a PDF that can be signed.", slug="signature") from error
    about = signers.PdfSignatureMetadata(
        field_name=f"Signature{count + 1}",
        md_algorithm="sha256",
        subfilter=fields.SigSeedSubFilter.PADES,
        reason=reason or None,
        location=place or None,
    )
    made = signers.PdfSigner(about, _Cms(signer), timestamper=_Stamper(url) if url else None)
    out = BytesIO()
    drive(made.async_sign_pdf(writer, output=out))
    return out.getvalue()


def lasting(pdf: bytes, url: str, anchors: Anchors) -> bytes:
    """Put in the status of all certificates, and stamp it all. Raises Unavailable, Invalid."""
    reader = PdfFileReader(BytesIO(pdf))
    stamper = _Stamper(url)
    drive(stamper.async_dummy_response("sha256"))
    proofs = _status_of(reader, anchors)
    proofs += status_of_stamp(stamper.tokens[0], stamper.digests[0], anchors)
    held = BytesIO(pdf)
    DocumentSecurityStore.add_dss(
        held,
        None,
        certs=[asn1_x509.Certificate.load(one) for one in proofs.certificates],
        ocsps=[asn1_ocsp.OCSPResponse.load(one) for one in proofs.ocsps],
        crls=[asn1_crl.CertificateList.load(one) for one in proofs.crls],
    )
    out = BytesIO()
    writer = IncrementalPdfFileWriter(held)
    stamping = signers.PdfTimeStamper(stamper)
    drive(stamping.async_timestamp_pdf(writer, "sha256", output=out))
    return out.getvalue()


def _status_of(reader: PdfFileReader, anchors: Anchors) -> Proofs:
    found = Proofs()
    for one in reader.embedded_signatures:
        own, others = _certificates(one)
        if one.sig_object_type == "/DocTimeStamp":
            found += status_of_stamp(_stamp_in(one), one.compute_digest(), anchors)
            continue
        token = _token(one)
        at = stamps.read(token).tst_info.gen_time if token else None
        found += status_of(own, others, anchors, at=at)
        if token:
            signature = one.signer_info["signature"].native
            found += status_of_stamp(token, sha256(signature).digest(), anchors)
    return found


class _Cms(signers.Signer):
    """Our signer in pyhanko's shape."""

    def __init__(self, signer: Signer) -> None:
        store: Any = SimpleCertificateStore()
        for one in signer.chain[1:]:
            store.register(_asn1(one))
        super().__init__(
            signing_cert=_asn1(signer.chain[0]),
            cert_registry=store,
            embed_roots=False,
            signature_mechanism=algos.SignedDigestAlgorithm(_MECHANISMS[signer.algorithm]),
        )
        self._theirs = signer

    async def async_sign_raw(
        self, data: bytes, digest_algorithm: str, dry_run: bool = False
    ) -> bytes:
        return bytes(512) if dry_run else self._theirs.sign([data])[0]


_SHA256 = {"algorithm": "sha256"}
_MECHANISMS: dict[Algorithm, dict[str, Any]] = {
    Algorithm.RS256: {"algorithm": "sha256_rsa"},
    Algorithm.ES256: {"algorithm": "sha256_ecdsa"},
    Algorithm.PS256: {
        "algorithm": "rsassa_pss",
        "parameters": {
            "hash_algorithm": _SHA256,
            "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": _SHA256},
            "salt_length": 32,
        },
    },
}


class _Stamper(TimeStamper):
    """Our way of asking in pyhanko's shape; keeps what came."""

    def __init__(self, url: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._url = url
        self.tokens: list[bytes] = []
        self.digests: list[bytes] = []

    async def async_timestamp(self, message_digest: bytes, md_algorithm: str) -> Any:
        token = await super().async_timestamp(message_digest, md_algorithm)
        self.tokens.append(token.dump())
        self.digests.append(message_digest)
        return token

    async def async_request_tsa_response(self, req: tsp.TimeStampReq) -> tsp.TimeStampResp:
        if not self._url:
            raise Unavailable(
                "No time-stamping service is set up.",
                hint="Set timestamp_url.",
                slug="no-timestamp-service",
            )
        body = fetch(self._url, body=req.dump(), kind="application/timestamp-query")
        return tsp.TimeStampResp.load(body)


# -- verifying -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Paper:
    """`verdict`: the worst of all signatures; `signatures`: each, the first made first."""

    verdict: Verdict
    signatures: tuple[Verdict, ...] = ()


def verify(pdf: bytes, judge: Judge) -> Paper:
    """Never raises for what somebody hands in: the verdict says what is wrong."""
    if len(pdf) > MOST_BYTES:
        return Paper(Verdict(Status.BROKEN, why="The file is too large."))
    try:
        found = _verify(pdf, judge)
    except Exception as error:  # whatever a hostile file makes the reader raise: it is not good
        why = f"The file cannot be read ({type(error).__name__})."
        return Paper(Verdict(Status.BROKEN, why=why))
    if not found:
        return Paper(Verdict(Status.BROKEN, why="There is no signature in it."))
    order = list(Status)
    return Paper(max(found, key=lambda one: order.index(one.status)), tuple(found))


def _verify(pdf: bytes, judge: Judge) -> list[Verdict]:
    if not _END.search(pdf[-100:]):
        return [Verdict(Status.CHANGED, why="Something is hung on behind the end of the paper.")]
    reader = PdfFileReader(BytesIO(pdf), strict=True)
    every = list(reader.embedded_signatures)
    if len(every) > MOST_SIGNATURES:
        return [Verdict(Status.BROKEN, why="There are too many signatures in it.")]
    papers = [one for one in every if one.sig_object_type == "/Sig"]
    times = [one for one in every if one.sig_object_type == "/DocTimeStamp"]
    if len(papers) + len(times) != len(every):
        return [Verdict(Status.BROKEN, why="There is something in it that signs in another way.")]
    for one in every:
        why = _altered(one)
        if why:
            return [Verdict(Status.CHANGED, why=why)]
    proofs = _kept(reader)
    return [_judged(one, times, proofs, judge) for one in papers]


def _judged(
    one: EmbeddedPdfSignature,
    times: list[EmbeddedPdfSignature],
    proofs: Proofs | None,
    judge: Judge,
) -> Verdict:
    why = _unsound(one)
    if why:
        return Verdict(Status.BROKEN, why=why)
    until, stamped_at = judge.now, None
    later = [time for time in times if time.signed_revision > one.signed_revision]
    for time in sorted(later, key=lambda each: each.signed_revision, reverse=True):
        digest = time.compute_digest()
        found = stamps.check(
            _stamp_in(time), digest, anchors=judge.anchors, now=until, proofs=proofs
        )
        if isinstance(found, str):
            return Verdict(Status.BROKEN, why=found)
        if found.standing.status not in {Status.GOOD, Status.WAITING}:
            return Verdict(found.standing.status, why=found.standing.why)
        until = stamped_at = found.at
    own, others = _certificates(one)
    verdict = judge.judge(
        own,
        others,
        said=one.self_reported_timestamp,
        token=_token(one),
        stamped=one.signer_info["signature"].native,
        proofs=proofs,
        until=until,
        proven=stamped_at,
    )
    if stamped_at is not None and verdict.level == "B-LT":
        return replace(verdict, level="B-LTA")
    return verdict


def _altered(one: EmbeddedPdfSignature) -> str:
    """What is not as it was when this was signed; "" when only what may be added was."""
    one.compute_integrity_info(diff_policy=RULES)
    if one.coverage is None or one.coverage < SignatureCoverageLevel.ENTIRE_REVISION:
        return "The signature does not cover the whole paper."
    result = one.diff_result
    if not isinstance(result, DiffResult):
        return f"Something was added that may not be ({result})."[:300]
    if result.modification_level > ModificationLevel.FORM_FILLING:
        return "Something was added that may not be."
    permitted = one.docmdp_level
    if permitted is not None and result.modification_level.value > permitted.value:
        return "The paper was locked when it was signed, and something was added."
    if one.md_algorithm not in _HASHES or one.external_md_algorithm not in _HASHES:
        return "It was signed with a hash that is no longer safe."
    return ""


def _unsound(one: EmbeddedPdfSignature) -> str:
    """What is wrong with the signature itself, "" when nothing is."""
    if one.sig_object.get("/SubFilter") not in _KINDS:
        return "It is signed in a way that we do not know."
    own = one.signer_cert
    attribute = generic_cms.get_signing_cert_attr(one.signer_info["signed_attrs"])
    if attribute is None or not general.check_ess_certid(own, attribute["certs"][0]):
        return "The signature does not name its certificate."
    intact, valid = generic_cms.validate_sig_integrity(
        one.signer_info, own, expected_content_type="data", actual_digest=one.compute_digest()
    )
    return "" if intact and valid else "The signature does not fit the paper."


def _kept(reader: PdfFileReader) -> Proofs | None:
    """What lies in the document security store."""
    if "/DSS" not in reader.root:
        return None
    store = DocumentSecurityStore.read_dss(reader)
    return Proofs(
        tuple(one.dump() for one in store.load_certs()),
        tuple(one.get_object().data for one in store.ocsps),
        tuple(one.get_object().data for one in store.crls),
    )


def _stamp_in(one: EmbeddedPdfSignature) -> bytes:
    """The token of a document's time stamp, without the room that was left behind it."""
    return bytes(cms.ContentInfo.load(one.pkcs7_content).dump())


def _token(one: EmbeddedPdfSignature) -> bytes | None:
    """The time stamp over the signature. Raises ValueError when there are several."""
    attributes = one.signer_info["unsigned_attrs"]
    held = [
        each for each in attributes or () if each["type"].native == "signature_time_stamp_token"
    ]
    if not held:
        return None
    if len(held) > 1 or len(held[0]["values"]) > 1:
        raise ValueError("several time stamps")
    return bytes(held[0]["values"][0].dump())


def _certificates(
    one: EmbeddedPdfSignature,
) -> tuple[x509.Certificate, tuple[x509.Certificate, ...]]:
    load = x509.load_der_x509_certificate
    return load(one.signer_cert.dump()), tuple(
        load(each.dump()) for each in one.other_embedded_certs
    )


def _asn1(certificate: x509.Certificate) -> Any:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
