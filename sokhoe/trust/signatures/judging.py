"""From the parts of a signature to a verdict, the same for all three formats.

own certificate ── fit for signing? ── path to an anchor at the proven time? ── not revoked then?
time stamp ─────── for this signature? ── its own certificate good?
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.x509.oid import NameOID

from sokhoe import clock
from sokhoe.errors import Unavailable
from sokhoe.trust.signatures import stamps
from sokhoe.trust.signatures.anchors import SIGN, Anchors
from sokhoe.trust.signatures.chains import Standing, standing
from sokhoe.trust.signatures.proofs import Proofs, gather
from sokhoe.trust.signatures.seam import Status, Verdict, words_of

AHEAD = timedelta(minutes=5)  # how far a signer's clock may be ahead of ours
Ask = Callable[[Sequence[x509.Certificate]], Proofs]


@dataclass(frozen=True, slots=True)
class Judge:
    """`ask`: how to learn the status of a certificate when none was kept with the signature; None:
    nobody is asked (no line). `late`: check as of this moment, not now (when a file came)."""

    anchors: Anchors
    ask: Ask | None = None
    late: datetime | None = None

    @property
    def now(self) -> datetime:
        return self.late or moment()

    def judge(
        self,
        own: x509.Certificate,
        others: Sequence[x509.Certificate],
        *,
        said: datetime | None,
        token: bytes | None = None,
        stamped: bytes = b"",
        proofs: Proofs | None = None,
        until: datetime | None = None,
        proven: datetime | None = None,
    ) -> Verdict:
        """`said`: when the signer says that he signed; `token`: the time stamp over `stamped`;
        `proofs`: what was kept; `until`: when a later time stamp proves all of this to have been
        there, in place of now; `proven`: such a stamp's time, which stands in for `token`."""
        now = until or self.now
        who = {
            "name": words_of(own.subject, NameOID.COMMON_NAME),
            "organisation": words_of(own.subject, NameOID.ORGANIZATION_NAME),
            "certificate": own,
        }

        def verdict(status: Status, level: str, at: datetime | None, why: str = "") -> Verdict:
            sure = token is not None or proven is not None
            return Verdict(status, level, at=at, proven=sure, why=why, **who)  # type: ignore[arg-type]

        if said is not None and said > self.now + AHEAD:
            return verdict(Status.BROKEN, "", said, "The time of signing lies ahead of us.")
        if token is None and proven is not None:
            found = self._standing(own, others, proven, proofs)
            return verdict(found.status, "B-LT" if proofs else "B-T", proven, found.why)
        if token is None:
            found = self._standing(own, others, now, proofs)
            status = Status.WAITING if found.status is Status.GOOD else found.status
            return verdict(status, "B-B", said, found.why)
        digest = sha256(stamped).digest()
        time = stamps.check(token, digest, anchors=self.anchors, now=now, proofs=proofs)
        if isinstance(time, str):
            return verdict(Status.BROKEN, "", said, time)
        if time.standing.status not in {Status.GOOD, Status.WAITING}:
            return verdict(time.standing.status, "B-T", said, time.standing.why)
        found = self._standing(own, others, time.at, proofs)
        if found.status is not Status.GOOD:
            return verdict(found.status, "B-T", time.at, found.why)
        if proofs and time.standing.status is Status.GOOD:
            return verdict(Status.GOOD, "B-LT", time.at)
        return verdict(Status.GOOD, "B-T", time.at)

    def _standing(
        self,
        own: x509.Certificate,
        others: Sequence[x509.Certificate],
        at: datetime,
        proofs: Proofs | None,
    ) -> Standing:
        found = standing(own, others, at=at, anchors=self.anchors, use=SIGN, proofs=proofs)
        if found.status is Status.WAITING and self.ask is not None and found.path:
            try:
                asked = self.ask(found.path)
            except Unavailable:
                return found
            more = (proofs or Proofs()) + asked
            return standing(own, others, at=at, anchors=self.anchors, use=SIGN, proofs=more)
        return found


def online(anchors: Anchors) -> Judge:
    """A judge who asks the authorities where it is needed."""
    return Judge(anchors, ask=gather)


def moment() -> datetime:
    """This moment by our clock, to the second."""
    return datetime.fromtimestamp(clock.now() // 1_000_000, tz=UTC)
