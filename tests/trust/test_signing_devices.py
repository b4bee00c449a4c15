"""Each kind of device signs, and says what is wrong in words: none, key file, token, service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from sokhoe.errors import Forbidden, Invalid, Unavailable
from sokhoe.settings import load
from sokhoe.trust.signatures import jws
from sokhoe.trust.signatures.anchors import read_anchors
from sokhoe.trust.signatures.devices import device_at, device_of
from sokhoe.trust.signatures.judging import Judge
from sokhoe.trust.signatures.seam import Device, Status
from tests.trust import csc
from tests.trust.authority import Authority, Issued, rsa_key
from tests.trust.softhsm import PIN, SoftToken

PAPER = {"Observation/7/_history/2": b'{"resourceType":"Observation","id":"7"}'}


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    with Authority() as made:
        yield made


@pytest.fixture(params=["rsa", "ec"])
def issued(request: pytest.FixtureRequest, authority: Authority) -> Issued:
    key = rsa_key(1) if request.param == "rsa" else ec.generate_private_key(ec.SECP256R1())
    return authority.issue(key=key)


def signs(device: Device, pin: str, authority: Authority, folder: Path) -> jws.Checked:
    judge = Judge(read_anchors(authority.anchors(folder / "anchors")))
    with device.unlock(pin) as signer:
        return jws.verify(jws.sign(PAPER, signer), PAPER.get, judge)


def test_without_a_device_the_way_out_is_said() -> None:
    with pytest.raises(Unavailable) as caught, device_of(load()).unlock("1"):
        pass
    assert caught.value.slug == "no-signer"
    assert "signing_key" in caught.value.hint


@pytest.mark.parametrize("pss", [False, True])
def test_a_key_file_signs_in_the_demo_alone(
    issued: Issued, authority: Authority, tmp_path: Path, pss: bool
) -> None:
    address = f"file:{issued.write(tmp_path)}"
    found = signs(device_at(address, demo=True, pss=pss), "demo", authority, tmp_path)
    assert found.verdict.status is Status.WAITING
    assert found.verdict.organisation == "Trạm Y tế Cái Nhum"
    with pytest.raises(Forbidden, match="only in the demo"), device_at(address).unlock("demo"):
        pass
    with pytest.raises(Forbidden, match="PIN"), device_at(address, demo=True).unlock("9999"):
        pass


@pytest.mark.parametrize("pss", [False, True])
def test_a_token_signs_with_the_right_pin(
    issued: Issued,
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pss: bool,
) -> None:
    token = SoftToken(tmp_path, monkeypatch)
    device = device_at(token.address, pss=pss)
    with pytest.raises(Unavailable, match="no key with its certificate"), device.unlock(PIN):
        pass
    token.take(issued)
    found = signs(device, PIN, authority, tmp_path)
    assert found.verdict.accepted, found.verdict.why
    with pytest.raises(Forbidden, match="PIN"), device.unlock("0000"):
        pass
    again = signs(device, PIN, authority, tmp_path)
    assert again.verdict.accepted


def test_a_token_that_is_not_plugged_in_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = SoftToken(tmp_path, monkeypatch)
    other = device_at(token.address.replace("TramYTe", "Khac"))
    with pytest.raises(Unavailable, match="Khac"), other.unlock(PIN):
        pass
    nowhere = device_at("pkcs11:token=a?module-path=/nowhere.so")
    with pytest.raises(Unavailable, match="no token"), nowhere.unlock(PIN):
        pass


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("pss", [False, True])
def test_a_signing_service_is_given_hashes_and_a_pin(
    issued: Issued, authority: Authority, tmp_path: Path, version: str, pss: bool
) -> None:
    with csc.SigningService(issued) as service:
        address = f"{service.url}/csc/{version}?credential=doctor-1"
        device = device_at(address, demo=True, pss=pss)
        found = signs(device, csc.PIN, authority, tmp_path)
        assert found.verdict.accepted, found.verdict.why
        with device.unlock("000000") as signer, pytest.raises(Forbidden, match="PIN"):
            signer.sign([b"x"])


def test_a_batch_asks_the_service_for_as_few_permissions_as_it_allows(
    authority: Authority,
) -> None:
    with csc.SigningService(authority.issue(), most=4) as service:
        device = device_at(f"{service.url}/csc/v2?credential=doctor-1", demo=True)
        with device.unlock(csc.PIN) as signer:
            assert len(signer.sign([b"%d" % number for number in range(10)])) == 10
        assert service.authorized == 3


def test_a_service_that_answers_too_few_signatures_is_not_believed(authority: Authority) -> None:
    with csc.SigningService(authority.issue()) as service:
        service.answer_short = True
        device = device_at(f"{service.url}/csc/v1?credential=doctor-1", demo=True)
        with device.unlock(csc.PIN) as signer, pytest.raises(Unavailable, match="strange"):
            signer.sign([b"1", b"2"])
        wrong = device_at(f"{service.url}/csc/v1?credential=other", demo=True)
        with pytest.raises(Unavailable, match="refused"), wrong.unlock(csc.PIN):
            pass
    with pytest.raises(Unavailable, match="does not answer"), device.unlock(csc.PIN):
        pass


def test_a_signing_service_is_asked_over_https_outside_the_demo() -> None:
    with pytest.raises(Invalid, match="https"):
        device_at("http://service/csc/v1?credential=1")
    with pytest.raises(Invalid, match="none of"):
        device_at("usb")
