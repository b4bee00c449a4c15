"""A detached JSON signature over stored bytes of resource versions: JWS (RFC 7515) in the shape of
JAdES (ETSI TS 119 182-1), kept in `Provenance.signature.data`.

    {"protected": base64url of {
         "alg":  "ES256",
         "typ":  "jose+json",
         "x5c":  [the signer's certificate, then its issuers],
         "sigT": "2026-11-23T03:00:00Z",                      when the signer says he signed
         "sigD": {"mId": ….ObjectIdByURIHash,                 what was signed:
                  "pars": ["Encounter/1/_history/2", …],       which versions
                  "hashM": "S256", "hashV": [hash of each]},
         "crit": ["sigD"]},
     "header": {"etsiU": [{"sigTst": …}, {"xVals": …}, {"rVals": …}]},    added later, outside
     "signature": "…"}

One signature covers a whole visit; each version can be checked without the others, and one that
was changed is named. The bytes are those of the resource without the server's own `versionId` and
`lastUpdated`, so that they are the same at a station and at the hub.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from sokhoe.errors import Invalid
from sokhoe.fhir import decode, encode
from sokhoe.trust.signatures.judging import Judge, moment
from sokhoe.trust.signatures.proofs import Proofs
from sokhoe.trust.signatures.seam import (
    Algorithm,
    Chain,
    Signer,
    Status,
    Verdict,
    algorithm_of,
)

BY_HASH = "http://uri.etsi.org/19182/ObjectIdByURIHash"
FORMAT = "application/jose"
TARGET_FORMAT = "application/fhir+json"
MOST_TARGETS = 200
MOST_BYTES = 1_000_000
_REF = re.compile(r"[A-Za-z]{1,40}/[A-Za-z0-9\-.]{1,64}/_history/[1-9]\d{0,9}\Z")
_PROTECTED = frozenset({"alg", "typ", "x5c", "sigT", "sigD", "crit"})
_SIGD = frozenset({"mId", "pars", "hashM", "hashV"})
# Which stored bytes a reference with a version stands for; None: there are none here.
Find = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class Draft:
    """Everything but the signature itself: many are made, then signed at once."""

    protected: str
    algorithm: Algorithm

    @property
    def payload(self) -> bytes:
        """What the key signs: the protected header, a dot, and an empty payload."""
        return self.protected.encode() + b"."

    def signed(self, raw: bytes) -> bytes:
        """The finished JWS, as JSON."""
        if self.algorithm is Algorithm.ES256:
            r, s = decode_dss_signature(raw)
            raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return encode({"protected": self.protected, "signature": _b64u(raw)})


@dataclass(frozen=True, slots=True)
class Parts:
    """A JWS that keeps to the rule above."""

    protected: str
    header: Mapping[str, Any]
    signature: str
    targets: Mapping[str, bytes]  # reference with version → SHA-256
    chain: Chain
    said: datetime
    token: bytes | None
    proofs: Proofs | None


@dataclass(frozen=True, slots=True)
class Checked:
    verdict: Verdict
    targets: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def draft(targets: Mapping[str, bytes], chain: Chain, algorithm: Algorithm) -> Draft:
    """`targets`: references with version → their stored bytes."""
    if not 0 < len(targets) <= MOST_TARGETS:
        raise Invalid(f"One signature covers 1 to {MOST_TARGETS} records.", slug="signature-size")
    header = {
        "alg": str(algorithm),
        "typ": "jose+json",
        "x5c": [b64encode(one.public_bytes(Encoding.DER)).decode() for one in chain],
        "sigT": f"{moment():%Y-%m-%dT%H:%M:%SZ}",
        "sigD": {
            "mId": BY_HASH,
            "pars": list(targets),
            "hashM": "S256",
            "hashV": [_b64u(sha256(one).digest()) for one in targets.values()],
        },
        "crit": ["sigD"],
    }
    return Draft(_b64u(encode(header)), algorithm)


def sign(targets: Mapping[str, bytes], signer: Signer) -> bytes:
    made = draft(targets, signer.chain, signer.algorithm)
    return made.signed(signer.sign([made.payload])[0])


def verify(data: bytes, find: Find, judge: Judge) -> Checked:
    """Never raises for what somebody hands in: the verdict says what is wrong."""
    try:
        parts = read(data)
        if not _fits(parts):
            why = "The signature does not fit its certificate."
            return Checked(Verdict(Status.BROKEN, why=why), tuple(parts.targets))
        verdict = judge.judge(
            parts.chain[0],
            parts.chain[1:],
            said=parts.said,
            token=parts.token,
            stamped=parts.signature.encode(),
            proofs=parts.proofs,
        )
    except Exception as error:  # whatever a hostile one makes the readers raise: it is not good
        return Checked(Verdict(Status.BROKEN, why=f"Not a signature by our rule ({error})."[:300]))
    changed = tuple(
        ref
        for ref, digest in parts.targets.items()
        if (held := find(ref)) is None or sha256(held).digest() != digest
    )
    if changed and verdict.accepted:
        why = f"Not as it was signed: {', '.join(changed)[:200]}"
        verdict = replace(verdict, status=Status.CHANGED, why=why)
    return Checked(verdict, tuple(parts.targets), changed)


def read(data: bytes) -> Parts:
    """Take it apart, strictly: what is not in the rule above is refused. Raises Invalid and the
    usual errors of taking apart."""
    if len(data) > MOST_BYTES:
        raise Invalid("too large")
    whole = _exactly(decode(data), {"protected", "signature"}, {"header"})
    protected = _exactly(decode(_unb64u(whole["protected"])), _PROTECTED, set())
    sigd = _exactly(protected["sigD"], _SIGD, set())
    if protected["crit"] != ["sigD"] or protected["typ"] != "jose+json":
        raise Invalid("another kind of JWS")
    if sigd["mId"] != BY_HASH or sigd["hashM"] != "S256":
        raise Invalid("another way of naming what was signed")
    pars, hashes = sigd["pars"], sigd["hashV"]
    if not 0 < len(pars) <= MOST_TARGETS or len(pars) != len(hashes):
        raise Invalid("as many hashes as names")
    if len(set(pars)) != len(pars) or not all(_REF.match(one) for one in pars):
        raise Invalid("names of versions")
    digests = [_unb64u(one) for one in hashes]
    if any(len(one) != 32 for one in digests):
        raise Invalid("hashes of 32 bytes")
    held = protected["x5c"]
    if not isinstance(held, list) or not 0 < len(held) <= 8:
        raise Invalid("a chain of certificates")
    chain = tuple(x509.load_der_x509_certificate(b64decode(one, validate=True)) for one in held)
    said = datetime.strptime(protected["sigT"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    pss = protected["alg"] == Algorithm.PS256
    if protected["alg"] != str(algorithm_of(chain[0], pss=pss)):
        raise Invalid("an algorithm that this certificate's key does not have")
    _unb64u(whole["signature"])
    header = whole.get("header", {})
    token, proofs = _unsigned(header)
    return Parts(
        whole["protected"],
        header,
        whole["signature"],
        dict(zip(pars, digests, strict=True)),
        chain,
        said,
        token,
        proofs,
    )


def read_data(text: str) -> bytes:
    """A JWS from `Signature.data`. Raises Invalid."""
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        raise Invalid("base64") from error


def completed(data: bytes, token: bytes, proofs: Proofs) -> bytes:
    """The same signature with its time stamp (over the signature's text) and the status of the
    certificates beside it."""
    whole = decode(data)
    values: list[dict[str, Any]] = [{"sigTst": {"tstTokens": [{"val": _b64(token)}]}}]
    if proofs:
        certificates = [{"x509Cert": {"val": _b64(one)}} for one in proofs.certificates]
        status = {
            "ocspVals": [{"val": _b64(one)} for one in proofs.ocsps],
            "crlVals": [{"val": _b64(one)} for one in proofs.crls],
        }
        values += [{"xVals": certificates}, {"rVals": status}]
    return encode({**whole, "header": {"etsiU": values}})


def stamped_of(data: bytes) -> bytes:
    """What a time stamp of this signature is over."""
    return str(decode(data)["signature"]).encode()


def _fits(parts: Parts) -> bool:
    """joserfc's word on the mathematics, with the one algorithm that the certificate's key has."""
    key = parts.chain[0].public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    algorithm = decode(_unb64u(parts.protected))["alg"]
    kind = ECKey if algorithm == Algorithm.ES256 else RSAKey
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    # what we understand of `crit` is settled in `read`; the library knows only its own
    try:
        found = registry.get_alg(algorithm).verify(
            f"{parts.protected}.".encode(), _unb64u(parts.signature), kind.import_key(pem)
        )
        return bool(found)
    except (JoseError, ValueError):
        return False


def _unsigned(header: Any) -> tuple[bytes | None, Proofs | None]:
    if not header:
        return None, None
    rows = _exactly(header, {"etsiU"}, set())["etsiU"]
    names = [name for row in rows for name in row]
    if len(names) != len(set(names)) or not set(names) <= {"sigTst", "xVals", "rVals"}:
        raise Invalid("other unsigned values")
    found = {name: value for row in rows for name, value in row.items()}
    tokens = found.get("sigTst", {}).get("tstTokens", [])
    if len(tokens) > 1:
        raise Invalid("one time stamp")
    token = b64decode(tokens[0]["val"], validate=True) if tokens else None
    status = found.get("rVals")
    if status is None:
        return token, None
    return token, Proofs(
        tuple(_values([one["x509Cert"] for one in found.get("xVals", [])])),
        tuple(_values(status.get("ocspVals", []))),
        tuple(_values(status.get("crlVals", []))),
    )


def _values(rows: Sequence[Mapping[str, str]]) -> list[bytes]:
    return [b64decode(one["val"], validate=True) for one in rows]


def _exactly(value: Any, must: frozenset[str] | set[str], may: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or not must <= value.keys() <= must | may:
        raise Invalid(f"just these members: {', '.join(sorted(must))}")
    return value


def _b64(data: bytes) -> str:
    return b64encode(data).decode()


def _b64u(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _unb64u(text: str) -> bytes:
    """One text for each value: no padding, no other letters, no stray bits at the end."""
    held = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _b64u(held) != text:
        raise Invalid("base64url")
    return held
