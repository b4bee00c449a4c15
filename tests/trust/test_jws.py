"""A signature over stored versions: what it proves, and what it takes to fool it."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from sokhoe import clock
from sokhoe.errors import Invalid
from sokhoe.fhir import decode, encode
from sokhoe.trust.signatures import completing, jws
from sokhoe.trust.signatures.anchors import Anchors, read_anchors
from sokhoe.trust.signatures.judging import Judge, online
from sokhoe.trust.signatures.seam import Signer, Status, Verdict, algorithm_of
from sokhoe.trust.signatures.software import SoftwareSigner
from tests.trust.authority import Authority, Issued, a_line_cut, der, now, rsa_key

VISIT = {
    "Encounter/1/_history/2": b'{"resourceType":"Encounter","id":"1"}',
    "Observation/7/_history/1": b'{"resourceType":"Observation","id":"7"}',
}
DAY = 86_400


@dataclass
class World:
    authority: Authority
    anchors: Anchors

    def signer(self, issued: Issued | None = None, *, pss: bool = False) -> Signer:
        one = issued or self.authority.issue()
        algorithm = algorithm_of(one.certificate, pss=pss)
        return SoftwareSigner("test", one.key, one.chain, algorithm)

    def complete(self, data: bytes) -> bytes:
        return completing.complete_jws(data, f"{self.authority.url}/tsa", self.anchors)

    def verdict(self, data: bytes, held: dict[str, bytes] = VISIT) -> Verdict:
        return jws.verify(data, held.get, Judge(self.anchors)).verdict


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Authority() as authority:
        folder = authority.anchors(tmp_path_factory.mktemp("ca") / "anchors")
        yield World(authority, read_anchors(folder))


@pytest.mark.parametrize("key", [rsa_key(1), ec.generate_private_key(ec.SECP256R1())])
@pytest.mark.parametrize("pss", [False, True])
def test_a_visit_is_signed_stamped_and_good(world: World, key: Any, pss: bool) -> None:
    data = jws.sign(VISIT, world.signer(world.authority.issue(key=key), pss=pss))
    waiting = world.verdict(data)
    assert (waiting.status, waiting.level, waiting.proven) == (Status.WAITING, "B-B", False)
    good = world.verdict(world.complete(data))
    assert (good.status, good.level, good.proven) == (Status.GOOD, "B-LT", True)
    assert good.name == "Bác sĩ Lê Thị Hoa"
    assert good.organisation == "Trạm Y tế Cái Nhum"
    assert good.at is not None
    assert abs(good.at - now()) < timedelta(minutes=1)


def test_what_was_changed_or_is_gone_is_named(world: World) -> None:
    data = jws.sign(VISIT, world.signer())
    for held in (VISIT | {"Observation/7/_history/1": b"{}"}, dict(list(VISIT.items())[:1])):
        found = jws.verify(data, held.get, Judge(world.anchors))
        assert found.verdict.status is Status.CHANGED
        assert found.changed == ("Observation/7/_history/1",)


def test_it_stays_good_after_the_certificate_has_run_out(world: World) -> None:
    plain = jws.sign(VISIT, world.signer())
    full = world.complete(plain)
    with clock.standing_at(clock.now()) as ahead, a_line_cut(world.authority):
        ahead(5 * 365 * DAY)
        assert world.verdict(full).status is Status.GOOD
        assert world.verdict(plain).status is Status.EXPIRED
        ahead(8 * 365 * DAY)  # the time stamp's own certificate is over too
        assert world.verdict(full).status is Status.EXPIRED


def test_a_later_revocation_leaves_it_good_and_an_earlier_one_does_not(world: World) -> None:
    issued = world.authority.issue()
    before = jws.sign(VISIT, world.signer(issued))
    full = world.complete(before)
    world.authority.revoke(issued)
    with clock.standing_at(clock.now() + 60_000_000):
        assert world.verdict(full).status is Status.GOOD
        after = jws.sign(VISIT, world.signer(issued))
        asked = jws.verify(after, VISIT.get, online(world.anchors)).verdict
        assert asked.status is Status.REVOKED
        with pytest.raises(Invalid, match="revoked"):
            world.complete(after)


def test_without_a_line_nothing_is_asked_and_it_waits(world: World) -> None:
    data = jws.sign(VISIT, world.signer())
    with a_line_cut(world.authority):
        assert jws.verify(data, VISIT.get, online(world.anchors)).verdict.status is Status.WAITING


@pytest.mark.parametrize("kind", ["server", "tsa", "encrypting", "ocsp"])
def test_a_certificate_for_something_else_signs_nothing(world: World, kind: str) -> None:
    data = jws.sign(VISIT, world.signer(world.authority.issue(kind=kind)))
    assert world.verdict(data).status is Status.MISUSED


def test_an_authority_itself_signs_no_papers(world: World) -> None:
    ca = Issued(world.authority._key, (world.authority.issuing,))
    assert world.verdict(jws.sign(VISIT, world.signer(ca))).status is Status.MISUSED


def test_a_strangers_authority_is_not_believed(world: World) -> None:
    stranger = Authority("Test Root CA")  # the same name, another key
    data = jws.sign(VISIT, world.signer(stranger.issue()))
    assert world.verdict(data).status is Status.UNTRUSTED
    assert jws.verify(data, VISIT.get, Judge(Anchors())).verdict.status is Status.UNTRUSTED
    stranger._server.server_close()


def test_a_certificate_is_good_only_between_its_days(world: World) -> None:
    for begins in (now() - timedelta(days=900), now() + timedelta(days=2)):
        issued = world.authority.issue(begins=begins, years=1)
        assert world.verdict(jws.sign(VISIT, world.signer(issued))).status is Status.EXPIRED


def changed(data: bytes, **protected: Any) -> bytes:
    """The same signature under another protected header; None takes a member out."""
    whole = decode(data)
    header = decode(urlsafe_b64decode(whole["protected"] + "=="))
    header = {k: v for k, v in (header | protected).items() if v is not None}
    whole["protected"] = urlsafe_b64encode(encode(header)).decode().rstrip("=")
    return encode(whole)


@pytest.mark.parametrize(
    "protected",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "RS256"},
        {"crit": None},
        {"crit": ["sigD", "b64"], "b64": False},
        {"b64": False},
        {"jku": "https://example.org/keys"},
        {"kid": "1"},
        {"sigT": "2020-01-01T00:00:00Z"},
    ],
)
def test_another_header_is_refused(world: World, protected: dict[str, Any]) -> None:
    data = changed(jws.sign(VISIT, world.signer()), **protected)
    assert world.verdict(data).status is Status.BROKEN


def test_another_s_certificate_does_not_fit(world: World) -> None:
    other = world.authority.issue("Bác sĩ khác")
    chain = [b64encode(der(one)).decode() for one in other.chain]
    data = changed(jws.sign(VISIT, world.signer()), x5c=chain)
    assert world.verdict(data).status is Status.BROKEN


def test_a_time_stamp_of_another_signature_is_refused(world: World) -> None:
    one, two = (world.complete(jws.sign(VISIT, world.signer())) for _ in range(2))
    mixed = encode({**decode(one), "header": decode(two)["header"]})
    assert world.verdict(mixed).status is Status.BROKEN


def test_authorities_are_believed_for_what_and_while_the_folder_says(
    world: World, tmp_path: Path
) -> None:
    folder = world.authority.anchors(tmp_path / "anchors")
    data = world.complete(jws.sign(VISIT, world.signer()))
    for row, status in (
        ('for = ["stamp"]', Status.UNTRUSTED),
        ("until = 2020-01-01", Status.BROKEN),
        ("from = 2020-01-01", Status.GOOD),
    ):
        (folder / "anchors.toml").write_text(f'[[anchor]]\nfile = "test-root.pem"\n{row}\n')
        found = jws.verify(data, VISIT.get, Judge(read_anchors(folder))).verdict
        assert found.status is status, (row, found.why)
    (folder / "anchors.toml").write_text('[[anchor]]\nfile = "other.pem"\n')
    with pytest.raises(Invalid, match=r"other\.pem"):
        read_anchors(folder)
