"""What is added to a signature when there is a line: its time stamp, and the status of every
certificate in it, so that it can be checked when nobody answers any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from cryptography import x509

from sokhoe.errors import Invalid
from sokhoe.trust.signatures import jws, stamps
from sokhoe.trust.signatures.anchors import SIGN, STAMP, Anchors
from sokhoe.trust.signatures.chains import standing
from sokhoe.trust.signatures.judging import moment
from sokhoe.trust.signatures.proofs import Proofs, gather
from sokhoe.trust.signatures.seam import ACCEPTED, Status


def complete_jws(data: bytes, url: str, anchors: Anchors) -> bytes:
    """B-B to B-LT. Raises Unavailable while somebody does not answer, Invalid where the signature
    will never be good (its certificate was revoked, or is none of ours)."""
    parts = jws.read(data)
    stamped = jws.stamped_of(data)
    token = parts.token or stamps.stamp(url, stamped)
    at = stamps.read(token).tst_info.gen_time
    own, others = parts.chain[0], parts.chain[1:]
    proofs = status_of(own, others, anchors, at=at)
    proofs += status_of_stamp(token, sha256(stamped).digest(), anchors)
    return jws.completed(data, token, proofs)


def status_of(
    own: x509.Certificate,
    others: Sequence[x509.Certificate],
    anchors: Anchors,
    *,
    at: datetime | None = None,
    use: str = SIGN,
) -> Proofs:
    """The status answers for a chain that stood at that moment (None: now), asked for now. Raises
    Invalid, Unavailable."""
    when = at or moment()
    found = standing(own, others, at=when, anchors=anchors, use=use)
    _good(found.status)
    proofs = gather(found.path)
    _good(standing(own, others, at=when, anchors=anchors, use=use, proofs=proofs).status)
    return proofs


def status_of_stamp(token: bytes, digest: bytes, anchors: Anchors) -> Proofs:
    """The same for the authority of a time stamp over what has this SHA-256."""
    found = stamps.check(token, digest, anchors=anchors, now=moment())
    if isinstance(found, str):
        raise Invalid(f"The time stamp proves nothing: {found}", slug="signature")
    return status_of(found.certificate, found.others, anchors, at=found.at, use=STAMP)


def _good(status: Status) -> None:
    if status not in ACCEPTED:
        raise Invalid(
            f"The certificate is {status}: this signature will not be good.",
            hint="Sign again with a certificate that is.",
            slug="signature",
        )
