"""Certificate status as it is kept with a signature: OCSP answers, CRLs and the certificates
between, so that it can be checked years later with nobody left to ask (LTV)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from sokhoe.errors import Unavailable
from sokhoe.trust.signatures.fetching import MOST_LIST, fetch


@dataclass(frozen=True, slots=True)
class Proofs:
    """All in DER, as they came."""

    certificates: tuple[bytes, ...] = ()
    ocsps: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.ocsps or self.crls)

    def __add__(self, other: Proofs) -> Proofs:
        pairs = (
            (self.certificates, other.certificates),
            (self.ocsps, other.ocsps),
            (self.crls, other.crls),
        )
        return Proofs(*(tuple(dict.fromkeys((*one, *two))) for one, two in pairs))


def gather(path: Sequence[x509.Certificate]) -> Proofs:
    """Ask for the status of each certificate of a path (signer first, root last). Raises
    Unavailable. Only for paths that lead to an anchor: the addresses stand in the certificates."""
    ocsps: list[bytes] = []
    crls: list[bytes] = []
    for own, issuer in pairwise(path):
        where = _ocsp_address(own)
        try:
            if where:
                ocsps.append(_ask_ocsp(where, own, issuer))
                continue
        except Unavailable:
            if not _crl_addresses(own):
                raise
        crls += [fetch(url, most=MOST_LIST) for url in _crl_addresses(own)[:1]]
    certificates = tuple(one.public_bytes(Encoding.DER) for one in path)
    return Proofs(certificates, tuple(ocsps), tuple(crls))


def _ask_ocsp(url: str, own: x509.Certificate, issuer: x509.Certificate) -> bytes:
    # SHA-1 only names the certificate here; responders commonly know no other (RFC 5019)
    asked = ocsp.OCSPRequestBuilder().add_certificate(own, issuer, hashes.SHA1())  # noqa: S303
    body = asked.build().public_bytes(Encoding.DER)
    answer = fetch(url, body=body, kind="application/ocsp-request")
    try:
        good = ocsp.load_der_ocsp_response(answer).response_status
    except ValueError as error:
        raise Unavailable("The OCSP answer cannot be read.", slug="trust-service") from error
    if good is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise Unavailable(f"OCSP answered {good.name}.", slug="trust-service")
    return answer


def _ocsp_address(own: x509.Certificate) -> str:
    try:
        held = own.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return ""
    for one in held:
        if one.access_method == AuthorityInformationAccessOID.OCSP:
            return str(one.access_location.value)
    return ""


def _crl_addresses(own: x509.Certificate) -> list[str]:
    try:
        held = own.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return []
    names = [name for point in held for name in point.full_name or ()]
    return [str(name.value) for name in names if isinstance(name, x509.UniformResourceIdentifier)]
