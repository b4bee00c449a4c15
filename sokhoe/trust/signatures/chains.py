"""Did this certificate stand at that time? RFC 5280 path validation by pyhanko-certvalidator, with
the status answers that are at hand and never a look at the network.

A status answer may be younger than the moment that is asked about: that a certificate is good on
Friday says that it was not revoked on Monday. It may not have run out before that moment.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from asn1crypto import crl as asn1_crl
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator import errors as refusals
from pyhanko_certvalidator.policy_decl import (
    CertRevTrustPolicy,
    RevocationCheckingPolicy,
    RevocationCheckingRule,
)

from sokhoe.trust.signatures.anchors import SIGN, STAMP, Anchors
from sokhoe.trust.signatures.proofs import Proofs
from sokhoe.trust.signatures.seam import Status

T = TypeVar("T")
DOCUMENTS = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")  # RFC 9336
# What authorities put into certificates of people and organisations who sign papers.
_SIGNING = frozenset(
    {
        DOCUMENTS,
        Purpose.EMAIL_PROTECTION,
        Purpose.CLIENT_AUTH,
        Purpose.ANY_EXTENDED_KEY_USAGE,
        x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.12"),  # Microsoft document signing
        x509.ObjectIdentifier("1.2.840.113583.1.1.5"),  # Adobe authentic documents
    }
)
# Who has one of these besides is a machine for something else.
_OTHER = frozenset({Purpose.TIME_STAMPING, Purpose.OCSP_SIGNING, Purpose.CODE_SIGNING})


@dataclass(frozen=True, slots=True)
class Standing:
    """`path`: the certificates up to the anchor, signer first; empty where none was found."""

    status: Status
    why: str = ""
    path: tuple[x509.Certificate, ...] = ()


def standing(
    own: x509.Certificate,
    others: Sequence[x509.Certificate],
    *,
    at: datetime,
    anchors: Anchors,
    use: str = SIGN,
    proofs: Proofs | None = None,
) -> Standing:
    """GOOD: it stood at that moment, and the proofs say so of each certificate; WAITING: it stood,
    but of its status nothing is known."""
    if not fit(own, use):
        return Standing(Status.MISUSED, f"The certificate is not one to {use} with.")
    roots = [_asn1(one) for one in anchors.at(at, use)]
    if not roots:
        return Standing(Status.UNTRUSTED, "No authority is set up that was believed then.")
    held = [one.public_bytes(Encoding.DER) for one in (*others, *anchors.between)]
    distinct = dict.fromkeys((*held, *(proofs or Proofs()).certificates))
    between = [asn1_x509.Certificate.load(one) for one in distinct]
    found = _validate(own, between, roots, at, proofs)
    if found.status is Status.WAITING and proofs is not None:
        # the path, though without status
        path = _validate(own, between, roots, at, None).path
        return Standing(found.status, found.why, path)
    if found.status is Status.GOOD and proofs is None:
        return Standing(Status.WAITING, "Its status has not been asked for yet.", found.path)
    return found


def fit(own: x509.Certificate, use: str) -> bool:
    """Whether a certificate is one to sign papers, or to stamp times, with."""
    try:
        constraints = own.extensions.get_extension_for_class(x509.BasicConstraints).value
        if constraints.ca:
            return False
    except x509.ExtensionNotFound:
        pass
    except ValueError:
        return False
    try:
        usage = own.extensions.get_extension_for_class(x509.KeyUsage).value
        if not (usage.digital_signature or usage.content_commitment):
            return False
    except x509.ExtensionNotFound:
        if use == SIGN:
            return False
    try:
        purposes = set(own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return use == SIGN
    if use == STAMP:
        return purposes == {Purpose.TIME_STAMPING}
    return bool(purposes & _SIGNING) and not purposes & _OTHER


def _validate(
    own: x509.Certificate,
    between: Sequence[Any],
    roots: Sequence[Any],
    at: datetime,
    proofs: Proofs | None,
) -> Standing:
    rule = RevocationCheckingRule
    policy = (
        RevocationCheckingPolicy(rule.NO_CHECK, rule.NO_CHECK)
        if proofs is None
        else RevocationCheckingPolicy(rule.CRL_OR_OCSP_REQUIRED, rule.CHECK_IF_DECLARED)
    )
    try:
        context = ValidationContext(
            trust_roots=roots,
            other_certs=between,
            moment=at,
            crls=[asn1_crl.CertificateList.load(one) for one in (proofs or Proofs()).crls],
            ocsps=[asn1_ocsp.OCSPResponse.load(one) for one in (proofs or Proofs()).ocsps],
            allow_fetching=False,
            revinfo_policy=CertRevTrustPolicy(policy, retroactive_revinfo=True),
        )
        validator = CertificateValidator(_asn1(own), between, context)
        path = drive(validator.async_validate_path())
        return Standing(Status.GOOD, path=tuple(map(_from_asn1, reversed(list(path)))))
    except refusals.RevokedError as error:
        return Standing(Status.REVOKED, _sentence(error))
    except (refusals.ExpiredError, refusals.NotYetValidError) as error:
        return Standing(Status.EXPIRED, _sentence(error))
    except (refusals.InsufficientRevinfoError, refusals.StaleRevinfoError) as error:
        return Standing(Status.WAITING, _sentence(error))
    except (refusals.ValidationError, refusals.PathError) as error:
        return Standing(Status.UNTRUSTED, _sentence(error))
    except (ValueError, TypeError, KeyError) as error:  # bytes that are no certificate, CRL …
        return Standing(Status.BROKEN, f"A certificate cannot be read ({type(error).__name__}).")


def _sentence(error: Exception) -> str:
    return str(error).split("\n")[0][:300]


def _asn1(certificate: x509.Certificate) -> Any:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))


def _from_asn1(certificate: Any) -> x509.Certificate:
    return x509.load_der_x509_certificate(certificate.dump())


def drive(work: Coroutine[Any, Any, T]) -> T:
    """Run a library's coroutine to its end from where nobody awaits; also in a thread that has a
    loop of its own already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    found: list[T] = []
    failed: list[BaseException] = []

    def inside() -> None:
        try:
            found.append(asyncio.run(work))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]
