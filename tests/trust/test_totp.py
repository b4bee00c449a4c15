"""Codes of an authenticator app: the vectors of RFC 6238 and RFC 4226, and one use each."""

from __future__ import annotations

from base64 import b32encode

import pytest

from sokhoe.trust import totp

SECRET = b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_the_vectors_of_rfc_6238(seconds: int, code: str) -> None:
    assert totp.code_of(SECRET, totp.step_at(seconds * 1_000_000), digits=8) == code


@pytest.mark.parametrize(
    ("count", "code"), list(enumerate("755224 287082 359152 969429 338314 254676".split()))
)
def test_the_vectors_of_rfc_4226(count: int, code: str) -> None:
    assert totp.code_of(SECRET, count) == code


def test_a_code_fits_its_time_and_the_steps_beside_it() -> None:
    now = 1_800_000_000_000_000
    step = totp.step_at(now)
    for off in range(-3, 4):
        found = totp.fitting_step(SECRET, totp.code_of(SECRET, step + off), now, last=0)
        assert found == (step + off if abs(off) <= 1 else None)


def test_a_code_that_was_used_is_wrong_from_then_on() -> None:
    now = 1_800_000_000_000_000
    step = totp.step_at(now)
    code = totp.code_of(SECRET, step)
    assert totp.fitting_step(SECRET, code, now, last=step) is None
    assert totp.fitting_step(SECRET, totp.code_of(SECRET, step - 1), now, last=step) is None
    assert totp.fitting_step(SECRET, totp.code_of(SECRET, step + 1), now, last=step) == step + 1


def test_the_app_reads_the_address() -> None:
    said = totp.address(SECRET, "nurse.an")
    assert said.startswith("otpauth://totp/So%20Khoe%3Anurse.an?secret=GEZDG")
    assert len(totp.draw_secret()) == 32
