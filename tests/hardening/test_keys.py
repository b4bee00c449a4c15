"""Codes, node keys and rotations are attacked on every change, in short."""

from __future__ import annotations

from hardening import keys


def test_nobody_gets_in_and_nothing_is_lost() -> None:
    outcome = keys.run(n=60)
    assert not outcome.bad, "\n".join(outcome.examples)
    assert outcome.planted_caught
    assert outcome.tried > 80


def test_every_forgery_is_one_for_its_own_reason() -> None:
    names = [one.__name__ for one in keys.FORGERIES]
    assert len(set(names)) == len(names) == 7
