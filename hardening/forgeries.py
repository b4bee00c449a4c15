"""Known attacks on signatures, each made with all that an attacker can have: signed papers of ours,
a certificate of his own, keys of his own, a clock of his own. None may be accepted."""

from __future__ import annotations

import copy
import hmac
import json
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import SigFieldSpec, append_signature_field

from sokhoe import clock
from sokhoe.fhir import decode, encode
from sokhoe.trust.signatures import completing, jws, pdf, proofs, stamps, xml
from sokhoe.trust.signatures.anchors import Anchors, read_anchors
from sokhoe.trust.signatures.judging import Judge
from sokhoe.trust.signatures.proofs import Proofs
from sokhoe.trust.signatures.seam import Signer, Verdict, algorithm_of
from sokhoe.trust.signatures.software import SoftwareSigner
from tests.trust.authority import Authority, Issued, der, now, rsa_key
from tests.trust.papers import XML, a_pdf

RECORDS = {
    "Encounter/1/_history/2": b'{"resourceType":"Encounter","id":"1","status":"finished"}',
    "Observation/7/_history/1": b'{"resourceType":"Observation","id":"7","status":"final"}',
}
PLACE = "./SIGNED"
DS = f"{{{xml.DS}}}"
Attack = tuple[str, Callable[[], Verdict]]


@dataclass
class World:
    """Our authority and one that is not ours; `judge` asks the first for what is missing."""

    authority: Authority
    stranger: Authority
    anchors: Anchors

    @property
    def judge(self) -> Judge:
        return Judge(self.anchors, ask=proofs.gather)

    @property
    def url(self) -> str:
        return f"{self.authority.url}/tsa"

    def signer(self, issued: Issued | None = None) -> Signer:
        one = issued or self.authority.issue()
        return SoftwareSigner("x", one.key, one.chain, algorithm_of(one.certificate))

    def records(self, issued: Issued | None = None) -> bytes:
        return jws.sign(RECORDS, self.signer(issued))

    def full(self) -> bytes:
        return completing.complete_jws(self.records(), self.url, self.anchors)

    def paper(self, issued: Issued | None = None, *, lasting: bool = False) -> bytes:
        made = pdf.sign(a_pdf(), self.signer(issued), url=self.url)
        return pdf.lasting(made, self.url, self.anchors) if lasting else made

    def file(self, issued: Issued | None = None, *, xades: bool = True) -> bytes:
        return xml.sign(XML, self.signer(issued), inside=PLACE, xades=xades)

    def of_records(self, data: bytes, held: dict[str, bytes] = RECORDS) -> Verdict:
        return jws.verify(data, held.get, self.judge).verdict

    def of_paper(self, data: bytes) -> Verdict:
        return pdf.verify(data, self.judge).verdict

    def of_file(self, data: bytes) -> Verdict:
        return xml.verify(data, self.judge, inside=PLACE).verdict


def world(authority: Authority, stranger: Authority, folder: Path) -> World:
    return World(authority, stranger, read_anchors(authority.anchors(folder / "anchors")))


def attacks(world: World) -> Iterator[Attack]:
    yield from on_headers(world)
    yield from on_records(world)
    yield from on_certificates(world)
    yield from on_time(world)
    yield from on_files(world)
    yield from on_papers(world)


# -- JWS -------------------------------------------------------------------------------------


def _opened(data: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    whole = decode(data)
    return whole, decode(urlsafe_b64decode(whole["protected"] + "=="))


def _closed(whole: dict[str, Any], protected: dict[str, Any]) -> bytes:
    text = urlsafe_b64encode(encode(protected)).decode().rstrip("=")
    return encode({**whole, "protected": text})


def with_header(data: bytes, **changes: Any) -> bytes:
    whole, protected = _opened(data)
    return _closed(whole, {k: v for k, v in (protected | changes).items() if v is not None})


def on_headers(world: World) -> Iterator[Attack]:
    data = world.records()
    mine = world.stranger.issue()
    changes: dict[str, dict[str, Any]] = {
        "alg none": {"alg": "none"},
        "alg in other letters": {"alg": "nOnE"},
        "alg of another key": {"alg": "RS256"},
        "crit left out": {"crit": None},
        "crit empty": {"crit": []},
        "crit names b64": {"crit": ["sigD", "b64"], "b64": False},
        "b64 false": {"b64": False},
        "crit names what nobody knows": {"crit": ["sigD", "exp"], "exp": 1},
        "jku": {"jku": "https://example.org/jwks"},
        "jwk": {"jwk": {"kty": "oct", "k": "AAAA"}},
        "kid": {"kid": "../../etc/passwd"},
        "x5u": {"x5u": "https://example.org/cert"},
        "x5c left out": {"x5c": None},
        "x5c empty": {"x5c": []},
        "x5c of a stranger": {"x5c": [b64encode(der(mine.certificate)).decode()]},
        "x5c of another of ours": {
            "x5c": [b64encode(der(one)).decode() for one in world.authority.issue("B").chain]
        },
        "time of signing moved": {"sigT": "2020-01-01T00:00:00Z"},
    }
    for name, change in changes.items():
        forged = with_header(data, **change)
        yield f"JWS: {name}", lambda forged=forged: world.of_records(forged)  # type: ignore[misc]
    yield "JWS: HS256 with the public key as secret", lambda: world.of_records(_keyed(data))
    yield "JWS: alg in the unprotected header", lambda: world.of_records(_open_header(data))
    yield "JWS: empty signature", lambda: world.of_records(_member(data, "signature", ""))
    yield "JWS: signature left out", lambda: world.of_records(_member(data, "signature", None))
    yield "JWS: padded base64", lambda: world.of_records(_padded(data))
    yield "JWS: one member twice", lambda: world.of_records(_twice(data))
    yield "JWS: several signatures", lambda: world.of_records(_general(data))
    yield "JWS: payload put in", lambda: world.of_records(_member(data, "payload", "e30"))


def _keyed(data: bytes) -> bytes:
    whole, protected = _opened(data)
    public = jws.read(data).chain[0].public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    forged = decode(_closed(whole, {**protected, "alg": "HS256"}))
    value = hmac.new(pem, f"{forged['protected']}.".encode(), sha256).digest()
    return _member(encode(forged), "signature", urlsafe_b64encode(value).decode().rstrip("="))


def _open_header(data: bytes) -> bytes:
    whole, protected = _opened(data)
    moved = {"alg": "none"}
    return _closed({**whole, "header": moved}, {k: v for k, v in protected.items() if k != "alg"})


def _member(data: bytes, name: str, value: str | None) -> bytes:
    whole = {**decode(data), name: value}
    return encode({k: v for k, v in whole.items() if v is not None})


def _padded(data: bytes) -> bytes:
    whole = decode(data)
    return encode({**whole, "signature": whole["signature"] + "=="})


def _twice(data: bytes) -> bytes:
    whole = decode(data)
    return b'{"protected":"e30",' + json.dumps(whole).encode()[1:]


def _general(data: bytes) -> bytes:
    whole = decode(data)
    return encode({"payload": "", "signatures": [whole, {"protected": "e30", "signature": ""}]})


def on_records(world: World) -> Iterator[Attack]:
    data = world.records()
    _, protected = _opened(data)
    sigd = protected["sigD"]
    first, second = RECORDS
    forged = b'{"resourceType":"Observation","id":"7","status":"amended"}'
    yield "record swapped", lambda: world.of_records(data, RECORDS | {second: forged})
    yield "record gone", lambda: world.of_records(data, {first: RECORDS[first]})
    yield (
        "records in each other's place",
        lambda: world.of_records(data, {first: RECORDS[second], second: RECORDS[first]}),
    )
    for name, change in {
        "version swapped": {"pars": [first.replace("/2", "/1"), second]},
        "hashes swapped": {"hashV": sigd["hashV"][::-1]},
        "one named twice": {"pars": [first, first]},
        "one left out": {"pars": [first], "hashV": sigd["hashV"][:1]},
        "weak hash": {"hashM": "S1"},
        "named in another way": {"mId": "http://uri.etsi.org/19182/HttpHeaders"},
    }.items():
        made = with_header(data, sigD={**sigd, **change})
        held = {ref.replace("/2", "/1"): body for ref, body in RECORDS.items()} | RECORDS
        yield f"JWS: {name}", lambda made=made, held=held: world.of_records(made, held)  # type: ignore[misc]


# -- certificates and time -------------------------------------------------------------------


def on_certificates(world: World) -> Iterator[Attack]:
    """Each kind of certificate that must not sign, in each of the three formats."""
    authority = world.authority
    revoked = authority.issue("revoked")
    authority.revoke(revoked, now() - timedelta(minutes=5))
    bad = {
        "run out": authority.issue(begins=now() - timedelta(days=900), years=1),
        "not yet valid": authority.issue(begins=now() + timedelta(days=9)),
        "revoked": revoked,
        "for servers": authority.issue(kind="server"),
        "for stamping": authority.issue(kind="tsa"),
        "for encrypting": authority.issue(kind="encrypting"),
        "an authority's own": Issued(authority._key, (authority.issuing,)),
        "a stranger's authority": world.stranger.issue(),
    }
    for name, issued in bad.items():
        yield f"JWS: certificate {name}", lambda i=issued: world.of_records(world.records(i))  # type: ignore[misc]
        yield f"XML: certificate {name}", lambda i=issued: world.of_file(world.file(i))  # type: ignore[misc]
        yield f"PDF: certificate {name}", lambda i=issued: world.of_paper(world.paper(i))  # type: ignore[misc]


def on_time(world: World) -> Iterator[Attack]:
    yield "time stamp after the certificate had run out", lambda: _late(world, expired=True)
    yield "time stamp after the revocation", lambda: _late(world, expired=False)
    yield "time stamp of another signature", lambda: world.of_records(_borrowed(world))
    stranger = world.stranger.tsa
    yield "time stamp of a stranger", lambda: _stamped_by(world, stranger, world.stranger)
    signing = world.authority.issue(key=rsa_key(3))
    yield "time stamp by a signing certificate", lambda: _stamped_by(world, signing)
    early = now() - timedelta(days=400)
    old = world.authority.issue(kind="tsa", key=rsa_key(3), begins=early, years=1)
    yield "time stamp by a certificate that had run out", lambda: _stamped_by(world, old)
    ahead = now() + timedelta(days=30)
    tsa = world.authority.tsa
    yield "time stamp from the future", lambda: _stamped_by(world, tsa, at=ahead)
    yield "status of another certificate", lambda: _others_status(world)
    yield "status from before the revocation", lambda: _old_status(world)
    yield "time of signing ahead of us", lambda: _ahead(world)


def _late(world: World, *, expired: bool) -> Verdict:
    """A stolen key is used when it is no longer good, with a perfectly good time stamp."""
    issued = world.authority.issue(years=0.001) if expired else world.authority.issue()
    if not expired:
        world.authority.revoke(issued)
    data = world.records(issued)
    with clock.standing_at(clock.now() + 30 * 86_400_000_000):
        token = stamps.stamp(world.url, jws.stamped_of(data))
        status = world.authority.tsa.chain
        kept = proofs.gather((*issued.chain, world.authority.root))
        kept += proofs.gather((*status, world.authority.root))
        return world.of_records(jws.completed(data, token, kept))


def _borrowed(world: World) -> bytes:
    one, two = decode(world.full()), decode(world.full())
    return encode({**one, "header": two["header"]})


def _stamped_by(
    world: World, tsa: Issued, authority: Authority | None = None, at: datetime | None = None
) -> Verdict:
    from rfc3161_client import TimestampRequestBuilder, decode_timestamp_response

    data = world.records()
    request = TimestampRequestBuilder().data(jws.stamped_of(data)).build()
    made = (authority or world.authority).stamp(request.as_bytes(), at=at, by=tsa)
    token = bytes(decode_timestamp_response(made).time_stamp_token())
    return world.of_records(jws.completed(data, token, Proofs()))


def _others_status(world: World) -> Verdict:
    """A revoked signer shows the good status of somebody else; nobody can be asked."""
    issued, other = world.authority.issue(), world.authority.issue()
    token, data = _stamped(world, issued)
    kept = proofs.gather((*other.chain, world.authority.root))
    world.authority.revoke(issued, now() - timedelta(minutes=5))
    return world.of_records(jws.completed(data, token, kept))


def _old_status(world: World) -> Verdict:
    """A good status is kept for a month; then the key is stolen, revoked, and used with it."""
    issued = world.authority.issue()
    kept = proofs.gather((*issued.chain, world.authority.root))
    kept += proofs.gather((*world.authority.tsa.chain, world.authority.root))
    world.authority.revoke(issued)
    with clock.standing_at(clock.now() + 30 * 86_400_000_000):
        token, data = _stamped(world, issued)
        return world.of_records(jws.completed(data, token, kept))


def _stamped(world: World, issued: Issued) -> tuple[bytes, bytes]:
    data = world.records(issued)
    return stamps.stamp(world.url, jws.stamped_of(data)), data


def _ahead(world: World) -> Verdict:
    with clock.standing_at(clock.now() + 86_400_000_000):
        data = world.records()
    return world.of_records(data)


# -- XML -------------------------------------------------------------------------------------


def on_files(world: World) -> Iterator[Attack]:
    for forge in FORGERIES:
        for xades in (False, True):
            root = etree.fromstring(world.file(xades=xades))
            forge(root)
            made = etree.tostring(root)
            name = f"{'XAdES' if xades else 'XML'}: {(forge.__doc__ or '').rstrip('.')}"
            yield name, lambda made=made: world.of_file(made)  # type: ignore[misc]
    signed = world.file().split(b"?>", 1)[1]
    entity = b'<!DOCTYPE FILE [<!ENTITY a "b">]>'
    yield "XML: document type", lambda: world.of_file(b"<!DOCTYPE FILE>" + signed)
    yield "XML: entity", lambda: world.of_file(entity + signed)


def _wrap(root: Any) -> None:
    """signed document wrapped into another."""
    whole = copy.deepcopy(root)
    for each in list(root):
        root.remove(each)
    root.append(etree.Element("SIGNED"))
    root[0].append(whole.find(f"SIGNED/{DS}Signature"))
    root.append(whole)


def _wrap_in_object(root: Any) -> None:
    """signed document hidden in the signature's Object."""
    signature = root.find(f"SIGNED/{DS}Signature")
    whole = copy.deepcopy(root)
    root.find("RECORDS/RECORD").text = "X"
    etree.SubElement(signature, f"{DS}Object").append(whole)


def _duplicate(root: Any) -> None:
    """two signatures."""
    root.find("SIGNED").append(copy.deepcopy(root.find(f"SIGNED/{DS}Signature")))


def _elsewhere(root: Any) -> None:
    """signature at another place."""
    root.find("RECORDS").append(root.find(f"SIGNED/{DS}Signature"))


def _part_only(root: Any) -> None:
    """reference to a part."""
    for one in root.iter(f"{DS}Reference"):
        if one.get("URI") == "":
            one.set("URI", "#r1")


def _no_reference(root: Any) -> None:
    """no reference at all."""
    for one in list(root.iter(f"{DS}Reference")):
        one.getparent().remove(one)


def _same_name(root: Any) -> None:
    """two elements of one name."""
    properties = root.find(f".//{{{xml.XADES}}}SignedProperties")
    name = properties.get("Id") if properties is not None else "r1"
    etree.SubElement(root.find("RECORDS"), "RECORD").set("Id", name)


def _filter(root: Any) -> None:
    """transform that takes parts out."""
    for one in root.iter(f"{DS}Transforms"):
        more = etree.SubElement(one, f"{DS}Transform")
        more.set("Algorithm", "http://www.w3.org/TR/1999/REC-xpath-19991116")
        etree.SubElement(more, f"{DS}XPath").text = "not(self::RECORD)"


def _strip(root: Any) -> None:
    """signature left out."""
    root.find("SIGNED").remove(root.find(f"SIGNED/{DS}Signature"))


def _keyed_hash(root: Any) -> None:
    """HMAC in place of the signature."""
    method = root.find(f".//{DS}SignatureMethod")
    method.set("Algorithm", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")


def _weak(root: Any) -> None:
    """weak hash."""
    for one in root.iter(f"{DS}DigestMethod"):
        one.set("Algorithm", "http://www.w3.org/2000/09/xmldsig#sha1")


def _edit(root: Any) -> None:
    """name changed."""
    root.find("RECORDS/RECORD").text = "X"


FORGERIES: tuple[Callable[[Any], None], ...] = (
    _wrap,
    _wrap_in_object,
    _duplicate,
    _elsewhere,
    _part_only,
    _no_reference,
    _same_name,
    _filter,
    _strip,
    _keyed_hash,
    _weak,
    _edit,
)


# -- PDF -------------------------------------------------------------------------------------


def on_papers(world: World) -> Iterator[Attack]:
    for kind, paper in (("B-T", world.paper()), ("B-LTA", world.paper(lasting=True))):
        for change in CHANGES:
            name = f"PDF {kind}: {(change.__doc__ or '').rstrip('.')}"
            made = change(paper)
            yield name, lambda made=made: world.of_paper(made)  # type: ignore[misc]
    other = world.paper()
    yield "PDF: signature left out", lambda: world.of_paper(a_pdf())
    yield "PDF: signature of another paper", lambda: world.of_paper(_graft(other, world.paper()))
    stamped = f"{world.stranger.url}/tsa"
    yield (
        "PDF: time stamp of a stranger",
        lambda: world.of_paper(pdf.sign(a_pdf(), world.signer(), url=stamped)),
    )


def _updated(paper: bytes, change: Callable[[IncrementalPdfFileWriter], None]) -> bytes:
    writer = IncrementalPdfFileWriter(BytesIO(paper))
    change(writer)
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


def _content(paper: bytes) -> bytes:
    """other content appended."""

    def change(writer: IncrementalPdfFileWriter) -> None:
        page = writer.root["/Pages"]["/Kids"][0]
        text = generic.StreamObject(stream_data=b"BT /F1 24 Tf 72 700 Td (X) Tj ET")
        page["/Contents"] = writer.add_object(text)
        writer.update_container(page)

    return _updated(paper, change)


def _annotate(paper: bytes) -> bytes:
    """a note laid over the page."""

    def change(writer: IncrementalPdfFileWriter) -> None:
        page = writer.root["/Pages"]["/Kids"][0]
        box = generic.ArrayObject([generic.NumberObject(one) for one in (0, 0, 595, 842)])
        note = generic.DictionaryObject(
            {
                pdf_name("/Type"): pdf_name("/Annot"),
                pdf_name("/Subtype"): pdf_name("/FreeText"),
                pdf_name("/Rect"): box,
                pdf_name("/Contents"): generic.TextStringObject("X"),
            }
        )
        held = list(page.get("/Annots", ()))
        page["/Annots"] = generic.ArrayObject([*held, writer.add_object(note)])
        writer.update_container(page)

    return _updated(paper, change)


def _other_pages(paper: bytes) -> bytes:
    """the catalogue led to other pages."""

    def change(writer: IncrementalPdfFileWriter) -> None:
        pages = generic.DictionaryObject(writer.root["/Pages"])
        pages["/Count"] = generic.NumberObject(1)
        writer.root["/Pages"] = writer.add_object(pages)
        writer.update_root()

    return _updated(paper, change)


def _open_action(paper: bytes) -> bytes:
    """a script that runs when it is opened."""

    def change(writer: IncrementalPdfFileWriter) -> None:
        writer.root["/OpenAction"] = generic.DictionaryObject(
            {
                pdf_name("/S"): pdf_name("/JavaScript"),
                pdf_name("/JS"): generic.TextStringObject("app.alert(1)"),
            }
        )
        writer.update_root()

    return _updated(paper, change)


def _text_field(paper: bytes) -> bytes:
    """a form field with text added."""

    def change(writer: IncrementalPdfFileWriter) -> None:
        append_signature_field(writer, SigFieldSpec("More", box=(10, 10, 400, 400)))
        form = writer.root["/AcroForm"]
        field = generic.DictionaryObject(
            {
                pdf_name("/FT"): pdf_name("/Tx"),
                pdf_name("/T"): generic.TextStringObject("text"),
                pdf_name("/V"): generic.TextStringObject("X"),
            }
        )
        form["/Fields"].append(writer.add_object(field))
        writer.update_container(form["/Fields"])

    return _updated(paper, change)


def _range(paper: bytes) -> bytes:
    """the signed range narrowed."""
    at = paper.index(b"/ByteRange [") + len(b"/ByteRange [")
    end = paper.index(b"]", at)
    first, size, second, rest = paper[at:end].split()
    made = b" ".join((first, size, second, b"%d" % (int(rest) - 10)))
    return paper[:at] + made.ljust(end - at) + paper[end:]


def _text(paper: bytes) -> bytes:
    """a letter changed in place."""
    return paper.replace(b"01/12/2026", b"09/12/2026", 1)


def _tail(paper: bytes) -> bytes:
    """bytes hung on."""
    return paper + b"\n1 0 obj\n<< /X 1 >>\nendobj\n"


CHANGES: tuple[Callable[[bytes], bytes], ...] = (
    _content,
    _annotate,
    _other_pages,
    _open_action,
    _text_field,
    _range,
    _text,
    _tail,
)


def _graft(one: bytes, two: bytes) -> bytes:
    """The signature of one paper in another with a longer text."""
    at = one.index(b"/Contents <") + len(b"/Contents <")
    to = two.index(b"/Contents <") + len(b"/Contents <")
    signature = one[at : one.index(b">", at)]
    grafted = two[:to] + signature + two[two.index(b">", to) :]
    return grafted.replace(b"01/12/2026", b"02/12/2026", 1)
