"""XML files: an enveloped signature (XMLDSig, RSA or P-256 with SHA-256, C14N 1.0), with or without
XAdES' signing time and certificate hash, by signxml.

Who receives such a file reads what `verify` hands back, not the file: only that was signed.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from lxml import etree
from signxml.algorithms import (
    CanonicalizationMethod,
    DigestAlgorithm,
    SignatureConstructionMethod,
    SignatureMethod,
)
from signxml.signer import XMLSigner
from signxml.verifier import SignatureConfiguration, VerifyResult, XMLVerifier
from signxml.xades.xades import (
    XAdESDataObjectFormat,
    XAdESSignatureConfiguration,
    XAdESSigner,
    XAdESVerifier,
)

from sokhoe.errors import Invalid
from sokhoe.trust.signatures.judging import Judge
from sokhoe.trust.signatures.seam import Algorithm, Signer, Status, Verdict

MOST_BYTES = 50_000_000
DS = "http://www.w3.org/2000/09/xmldsig#"
XADES = "http://uri.etsi.org/01903/v1.3.2#"
C14N = CanonicalizationMethod.CANONICAL_XML_1_0
ENVELOPED = f"{DS}enveloped-signature"
_TRANSFORMS = frozenset({ENVELOPED, C14N.value, "http://www.w3.org/2001/10/xml-exc-c14n#"})
_METHODS = {
    Algorithm.RS256: SignatureMethod.RSA_SHA256,
    Algorithm.ES256: SignatureMethod.ECDSA_SHA256,
}
_MOST = {
    "location": "./",
    "signature_methods": frozenset(_METHODS.values()),
    "digest_algorithms": frozenset({DigestAlgorithm.SHA256}),
}


def sign(document: bytes, signer: Signer, *, inside: str = "", xades: bool = True) -> bytes:
    """The document with its signature. `inside`: path of the element that receives it (`./SIGNED`;
    empty: at the end of the root). Raises Invalid."""
    if signer.algorithm not in _METHODS:
        raise Invalid("XML is signed with RSA (PKCS #1) or P-256.", slug="signing-key")
    root = parse(document)
    place = root if not inside else root.find(inside)
    if place is None:
        raise Invalid(f"There is no {inside} to put a signature in.", slug="signature")
    if next(root.iter(f"{{{DS}}}Signature"), None) is not None:
        raise Invalid("It is signed already.", slug="signature")
    placeholder = etree.SubElement(place, f"{{{DS}}}Signature", nsmap={"ds": DS})
    placeholder.set("Id", "placeholder")
    how = {
        "method": SignatureConstructionMethod.enveloped,
        "signature_algorithm": _METHODS[signer.algorithm],
        "digest_algorithm": DigestAlgorithm.SHA256,
        "c14n_algorithm": C14N,
    }
    made: XMLSigner
    if xades:
        form = XAdESDataObjectFormat(Description="", MimeType="text/xml")
        made = XAdESSigner(data_object_format=form, **how)  # type: ignore[arg-type]
    else:
        made = XMLSigner(**how)  # type: ignore[arg-type]
    signed = made.sign(
        root,
        key=_Borrowed(signer),  # type: ignore[arg-type]
        cert=list(signer.chain),
        always_add_key_value=False,
    )
    return bytes(etree.tostring(signed, xml_declaration=True, encoding="UTF-8"))


@dataclass(frozen=True, slots=True)
class File:
    """`signed`: the document as it was signed, without the signature; None when it is not good."""

    verdict: Verdict
    signed: Any = None


def verify(document: bytes, judge: Judge, *, inside: str = "") -> File:
    """Just one signature, at its place, over the whole document. Never raises for what somebody
    hands in."""
    try:
        return _verify(document, judge, inside)
    except Exception as error:  # whatever a hostile file makes the readers raise: it is not good
        why = f"The signature is not good ({str(error)[:160] or type(error).__name__})."
        changed = "Digest mismatch" in why
        return File(Verdict(Status.CHANGED if changed else Status.BROKEN, why=why))


def _verify(document: bytes, judge: Judge, inside: str) -> File:
    root = parse(document)
    place = root if not inside else root.find(inside)
    found = list(root.iter(f"{{{DS}}}Signature"))
    if place is None or len(found) != 1 or found[0].getparent() is not place:
        raise Invalid("not just one signature at its place")
    signature = found[0]
    xades = next(signature.iter(f"{{{XADES}}}SignedProperties"), None) is not None
    count = _check_references(signature, xades)
    _check_writing(signature)
    own, others = _certificates(signature)
    location = "./" if not inside else f"{inside.rstrip('/')}/"
    now = judge.now
    # whether the certificate stood is judged below, with its status
    inner = min(max(now, own.not_valid_before_utc), own.not_valid_after_utc)
    settings = {**_MOST, "location": location, "verification_time": inner}
    said = None
    results: list[VerifyResult]
    if xades:
        expected = XAdESSignatureConfiguration(expect_references=count, **settings)  # type: ignore[arg-type]
        results = list(XAdESVerifier().verify(root, x509_cert=own, expect_config=expected))
        said = _said(signature)
    else:
        plain = SignatureConfiguration(expect_references=1, **settings)  # type: ignore[arg-type]
        one = XMLVerifier().verify(root, x509_cert=own, expect_config=plain)
        assert isinstance(one, VerifyResult)
        results = [one]
    whole = next((each.signed_xml for each in results if _is_root(each.signed_xml, root)), None)
    if whole is None:
        raise Invalid("the whole document is not what was signed")
    verdict = judge.judge(own, others, said=said)
    return File(verdict, whole if verdict.accepted else None)


def parse(document: bytes) -> Any:
    """Strictly: no document type, no entity, nothing fetched. Raises Invalid."""
    if len(document) > MOST_BYTES:
        raise Invalid("The file is too large.", slug="too-large")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=False,
    )
    try:
        root = etree.fromstring(document, parser)
    except etree.XMLSyntaxError as error:
        raise Invalid(f"This is no XML: {error.msg}", slug="signature") from error
    if str(getattr(root.getroottree().docinfo, "doctype", "")):
        raise Invalid("A document type is not accepted.", slug="signature")
    return root


def _check_references(signature: Any, xades: bool) -> int:
    """How many there are: one to the whole document (URI ""), for XAdES one to its own properties
    and perhaps one to its certificates; only the transforms that take the signature out and write
    it in one way; and no name in the document is borne by two elements that are referred to."""
    references = signature.findall(f"{{{DS}}}SignedInfo/{{{DS}}}Reference")
    own = [
        *signature.findall(
            f"{{{DS}}}Object/{{{XADES}}}QualifyingProperties/{{{XADES}}}SignedProperties"
        ),
        *(signature.findall(f"{{{DS}}}KeyInfo") if xades else ()),
    ]
    known = {f"#{one.get('Id')}" for one in own if one.get("Id")}
    uris = [one.get("URI") for one in references]
    wanted = {"", *(f"#{one.get('Id')}" for one in own[:1])} if xades else {""}
    if len(set(uris)) != len(uris) or not wanted <= set(uris) <= wanted | known:
        raise Invalid("other references")
    if len(list(signature.iter(f"{{{DS}}}Reference"))) != len(uris):
        raise Invalid("references elsewhere")
    names = [
        f"#{one.get(name)}"
        for one in signature.getroottree().iter()
        for name in ("Id", "ID", "id")
        if one.get(name)
    ]
    if any(names.count(uri) != 1 for uri in uris if uri):
        raise Invalid("one name for two things")
    for one in references:
        transforms = [each.get("Algorithm") for each in one.iter(f"{{{DS}}}Transform")]
        if not set(transforms) <= _TRANSFORMS or (one.get("URI") == "") != (
            ENVELOPED in transforms
        ):
            raise Invalid("other transforms")
    return len(uris)


def _check_writing(signature: Any) -> None:
    """One way of writing each value, since what stands in the signature is not itself signed."""
    value = "".join((signature.findtext(f"{{{DS}}}SignatureValue") or "").split())
    if b64encode(b64decode(value, validate=True)).decode() != value:
        raise Invalid("base64")
    for one in signature.iter(f"{{{XADES}}}QualifyingProperties"):
        if one.get("Target") != f"#{signature.get('Id')}":
            raise Invalid("properties of another signature")


def _certificates(signature: Any) -> tuple[x509.Certificate, tuple[x509.Certificate, ...]]:
    held = signature.findall(f"{{{DS}}}KeyInfo/{{{DS}}}X509Data/{{{DS}}}X509Certificate")
    if not 0 < len(held) <= 8:
        raise Invalid("a chain of certificates")
    chain = [x509.load_der_x509_certificate(b64decode(one.text)) for one in held]
    return chain[0], tuple(chain[1:])


def _said(signature: Any) -> datetime | None:
    text = signature.findtext(f".//{{{XADES}}}SigningTime")
    if text is None:
        return None
    found = datetime.fromisoformat(text.strip())
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _is_root(signed: Any, root: Any) -> bool:
    return signed is not None and signed.tag == root.tag and signed.get("Id") == root.get("Id")


@dataclass(frozen=True, slots=True)
class _Borrowed:
    """The signer as signxml uses a key: it asks it to sign, and how long it is."""

    signer: Signer

    def sign(self, data: bytes, **how: Any) -> bytes:
        return self.signer.sign([bytes(data)])[0]

    @property
    def key_size(self) -> int:
        return int(getattr(self.signer.chain[0].public_key(), "key_size", 0))
