"""Proven time: time stamps of an authority (RFC 3161)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from sokhoe.errors import Unavailable
from sokhoe.trust.signatures.anchors import STAMP, Anchors
from sokhoe.trust.signatures.chains import Standing, standing
from sokhoe.trust.signatures.fetching import fetch
from sokhoe.trust.signatures.proofs import Proofs
from sokhoe.trust.signatures.seam import Status

SHA256_OID = "2.16.840.1.101.3.4.2.1"
_GRANTED = bytes.fromhex("3003020100")  # PKIStatusInfo { status 0 }


@dataclass(frozen=True, slots=True)
class Stamped:
    """What a time stamp says: `standing` is that of the stamping authority's certificate."""

    at: datetime
    certificate: x509.Certificate
    others: tuple[x509.Certificate, ...]
    standing: Standing


def stamp(url: str, message: bytes) -> bytes:
    """Have a message's SHA-256 stamped; the token (CMS, DER). Raises Unavailable."""
    if not url:
        raise Unavailable(
            "No time-stamping service is set up.",
            hint="Set timestamp_url.",
            slug="no-timestamp-service",
        )
    asked = TimestampRequestBuilder().data(message).hash_algorithm(HashAlgorithm.SHA256)
    request = asked.nonce(nonce=True).cert_request(cert_request=True).build()
    answer = fetch(url, body=request.as_bytes(), kind="application/timestamp-query")
    try:
        response = decode_timestamp_response(answer)
        if response.status != 0:
            raise ValueError("refused")
        info = response.tst_info
        if info.message_imprint.message != sha256(message).digest() or info.nonce != request.nonce:
            raise ValueError("for something else")
        return bytes(response.time_stamp_token())
    except ValueError as error:
        raise Unavailable("The time stamp that came is of no use.", slug="trust-service") from error


def read(token: bytes) -> TimeStampResponse:
    """Raises ValueError for what is not a time stamp."""
    return decode_timestamp_response(_response(token))


def check(
    token: bytes,
    digest: bytes,
    *,
    anchors: Anchors,
    now: datetime,
    proofs: Proofs | None = None,
) -> Stamped | str:
    """What the stamp proves, or why it proves nothing. `digest`: SHA-256 of what was stamped.
    `now`: until when the stamping certificate must have been valid (a later stamp may stand
    behind this one)."""
    try:
        response = read(token)
        info, signed = response.tst_info, response.signed_data
        certificates = [x509.load_der_x509_certificate(one) for one in signed.certificates]
        if str(info.message_imprint.hash_algorithm.dotted_string) != SHA256_OID:
            return "The time stamp is not over SHA-256."
        if info.message_imprint.message != digest:
            return "The time stamp is for something else."
        signers = list(signed.signer_infos)
        own = next(
            one
            for one in certificates
            if len(signers) == 1
            and one.issuer == signers[0].issuer
            and one.serial_number == signers[0].serial_number
        )
        if info.gen_time > now:
            return "The time stamp is from the future."
        roots = anchors.at(info.gen_time, STAMP)
        if not roots:
            return "No time-stamping authority is set up that was believed then."
        verifier = VerifierBuilder(roots=roots, intermediates=list(anchors.between)).build()
        verifier.verify(response, digest)
    except StopIteration:
        return "The time stamp does not hold its certificate."
    except (ValueError, VerificationError) as error:
        return f"The time stamp is not good ({str(error)[:120]})."
    others = tuple(one for one in certificates if one != own)
    found = standing(own, others, at=info.gen_time, anchors=anchors, use=STAMP, proofs=proofs)
    if own.not_valid_after_utc < now:
        found = Standing(Status.EXPIRED, "The certificate of the time stamp has run out.")
    return Stamped(info.gen_time, own, others, found)


def _response(token: bytes) -> bytes:
    """A token as the answer it came in."""
    body = _GRANTED + token
    size = len(body)
    if size < 128:
        return b"\x30" + bytes([size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return b"\x30" + bytes([0x80 | len(length)]) + length + body
