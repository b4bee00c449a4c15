"""Forged words, codes and tokens in short; `make hardening` tries 5,000."""

from __future__ import annotations

from random import Random

from hardening import tokens


def test_no_forgery_of_software_is_accepted() -> None:
    outcome = tokens.run(n=210, seed=5)
    assert not outcome.bad, outcome.examples
    assert outcome.planted_caught


def test_each_forgery_is_tried_and_is_a_forgery_only_by_one_thing() -> None:
    assert len(tokens.FORGERIES) > 30
    with tokens.court() as court:
        assert court.honest()
        for number, forgery in enumerate(tokens.FORGERIES):
            assert not tokens.accepted(court, forgery, Random(number)), forgery.__name__
        assert not court.failures
