"""Guessing and forging at the door in short; `make hardening` tries 20,000."""

from __future__ import annotations

from hardening import login


def test_nobody_guesses_or_forges_a_way_in() -> None:
    outcome = login.run(n=600, seed=5)
    assert not outcome.bad, outcome.examples
    assert outcome.planted_caught
    assert outcome.tried > 600
