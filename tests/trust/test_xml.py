"""Signed XML files, and the ways in which such files are commonly forged."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from sokhoe import clock
from sokhoe.errors import Invalid
from sokhoe.trust.signatures import xml
from sokhoe.trust.signatures.anchors import Anchors, read_anchors
from sokhoe.trust.signatures.judging import Judge, moment, online
from sokhoe.trust.signatures.seam import Signer, Status, algorithm_of
from sokhoe.trust.signatures.software import SoftwareSigner
from tests.trust.authority import Authority, Issued, rsa_key
from tests.trust.papers import XML

DS = f"{{{xml.DS}}}"
PLACE = "./SIGNED"


@dataclass
class World:
    authority: Authority
    anchors: Anchors

    def signer(self, issued: Issued | None = None, *, pss: bool = False) -> Signer:
        one = issued or self.authority.issue(key=rsa_key(1))
        return SoftwareSigner("t", one.key, one.chain, algorithm_of(one.certificate, pss=pss))

    def file(self, document: bytes) -> xml.File:
        return xml.verify(document, Judge(self.anchors), inside=PLACE)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Authority() as authority:
        folder = authority.anchors(tmp_path_factory.mktemp("ca") / "anchors")
        yield World(authority, read_anchors(folder))


@pytest.mark.parametrize("xades", [False, True])
@pytest.mark.parametrize("rsa", [False, True])
def test_a_file_is_signed_at_its_place(world: World, rsa: bool, xades: bool) -> None:
    signer = world.signer(None if rsa else world.authority.issue())
    signed = xml.sign(XML, signer, inside=PLACE, xades=xades)
    found = world.file(signed)
    assert found.verdict.status is Status.WAITING, found.verdict.why
    assert found.signed is not None
    assert found.signed.findtext("RECORDS/RECORD") == "Nguyễn Văn An"
    assert found.verdict.organisation == "Trạm Y tế Cái Nhum"
    asked = xml.verify(signed, online(world.anchors), inside=PLACE).verdict
    assert asked.accepted
    if rsa and not xades:
        text = signed.decode()
        for part in (
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
            "http://www.w3.org/2001/04/xmlenc#sha256",
            'URI=""',
        ):
            assert part in text
        assert "KeyValue" not in text


def test_a_changed_name_is_seen(world: World) -> None:
    signed = xml.sign(XML, world.signer(), inside=PLACE)
    forged = signed.replace("Văn An".encode(), "Văn Em".encode())
    assert world.file(forged).verdict.status is Status.CHANGED


def test_it_is_held_against_the_moment_it_came(world: World) -> None:
    signed = xml.sign(XML, world.signer(), inside=PLACE)
    came = moment()
    with clock.standing_at(clock.now()) as ahead:
        ahead(3 * 365 * 86_400)
        assert world.file(signed).verdict.status is Status.EXPIRED
        then = xml.verify(signed, Judge(world.anchors, late=came), inside=PLACE)
        assert then.verdict.accepted


def test_a_revoked_certificate_is_noticed_when_asked(world: World) -> None:
    issued = world.authority.issue()
    world.authority.revoke(issued, moment() - timedelta(minutes=1))
    signed = xml.sign(XML, world.signer(issued), inside=PLACE)
    found = xml.verify(signed, online(world.anchors), inside=PLACE)
    assert found.verdict.status is Status.REVOKED
    assert found.signed is None


def wrapped(root: Any) -> None:
    """The signed document moves into a corner, another takes its place."""
    whole = copy.deepcopy(root)
    for each in list(root):
        root.remove(each)
    root.append(etree.Element("SIGNED"))
    root[0].append(whole.find(f"SIGNED/{DS}Signature"))
    root.append(whole)


def twice(root: Any) -> None:
    root.find("SIGNED").append(copy.deepcopy(root.find(f"SIGNED/{DS}Signature")))


def elsewhere(root: Any) -> None:
    root.find("RECORDS").append(root.find(f"SIGNED/{DS}Signature"))


def another_reference(root: Any) -> None:
    for one in root.iter(f"{DS}Reference"):
        if one.get("URI") == "":
            one.set("URI", "#r1")


def filtered(root: Any) -> None:
    """A transform that takes out what was changed before it is hashed."""
    for one in root.iter(f"{DS}Transforms"):
        more = etree.SubElement(one, f"{DS}Transform")
        more.set("Algorithm", "http://www.w3.org/TR/1999/REC-xpath-19991116")
        etree.SubElement(more, f"{DS}XPath").text = "not(self::RECORD)"


def no_signature(root: Any) -> None:
    root.find("SIGNED").remove(root.find(f"SIGNED/{DS}Signature"))


def keyed_hash(root: Any) -> None:
    method = root.find(f".//{DS}SignatureMethod")
    method.set("Algorithm", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")


def weak_hash(root: Any) -> None:
    for one in root.iter(f"{DS}DigestMethod"):
        one.set("Algorithm", "http://www.w3.org/2000/09/xmldsig#sha1")


@pytest.mark.parametrize(
    "forge",
    [
        wrapped,
        twice,
        elsewhere,
        another_reference,
        filtered,
        no_signature,
        keyed_hash,
        weak_hash,
    ],
)
@pytest.mark.parametrize("xades", [False, True])
def test_a_forged_file_is_refused(world: World, forge: Callable[[Any], None], xades: bool) -> None:
    root = etree.fromstring(xml.sign(XML, world.signer(), inside=PLACE, xades=xades))
    forge(root)
    found = world.file(etree.tostring(root))
    assert not found.verdict.accepted
    assert found.signed is None


def test_a_document_type_is_refused(world: World) -> None:
    signed = xml.sign(XML, world.signer(), inside=PLACE)
    body = signed.split(b"?>", 1)[1]
    for kind in (b"<!DOCTYPE FILE>", b'<!DOCTYPE FILE [<!ENTITY a "b">]>'):
        assert not world.file(kind + body).verdict.accepted
    with pytest.raises(Invalid):
        xml.sign(b"<!DOCTYPE a><a/>", world.signer())


def test_what_cannot_be_signed_says_why(world: World) -> None:
    signed = xml.sign(XML, world.signer(), inside=PLACE)
    with pytest.raises(Invalid, match="already"):
        xml.sign(signed, world.signer(), inside=PLACE)
    with pytest.raises(Invalid, match="PKCS #1"):
        xml.sign(XML, world.signer(pss=True), inside=PLACE)
    with pytest.raises(Invalid, match="NOWHERE"):
        xml.sign(XML, world.signer(), inside="./NOWHERE")
