"""The checks of consent, emergencies and searches in short; `make hardening` runs them in full."""

from __future__ import annotations

from hardening import breakglass, consent, search_leaks


def test_consents_are_obeyed_as_a_second_reading_says() -> None:
    outcome = consent.run(n=400, seed=5)
    assert not outcome.bad, outcome.examples
    assert outcome.planted_caught


def test_no_emergency_is_open_without_reason_line_notice_and_end() -> None:
    outcome = breakglass.run(n=30, seed=5)
    assert not outcome.bad, outcome.examples
    assert outcome.planted_caught


def test_a_citizen_learns_nothing_of_others_by_searching() -> None:
    outcome = search_leaks.run(n=400, seed=5)
    assert not outcome.bad, outcome.examples
    assert outcome.planted_caught
