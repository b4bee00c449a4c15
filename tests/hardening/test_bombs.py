"""Every bomb is put out: they are all thrown on every change."""

from __future__ import annotations

from hardening import bombs, explosives
from hardening.asking import Answer


def test_every_bomb_is_put_out() -> None:
    outcome = bombs.run()
    assert not outcome.bad, "\n".join(outcome.examples)
    assert outcome.planted_caught
    assert outcome.tried >= 80


def test_no_two_bombs_have_the_same_name() -> None:
    names = [one.name for one in explosives.bombs()]
    assert len(set(names)) == len(names)


def test_what_a_bomb_does_is_seen() -> None:
    refused = Answer(400)
    assert not list(bombs.Blast(refused, 0.1, 1_000).faults())
    assert list(bombs.Blast(Answer(200), 0.1, 1_000).faults()) == ["status 200"]
    assert list(bombs.Blast(refused, 1.2, 1_000).faults()) == ["1.2 s of CPU"]
    assert list(bombs.Blast(refused, 0.1, 200_000_000).faults()) == ["grew by 200 MB"]
    assert list(bombs.Blast(Answer(0, failure="x"), 0.1, 0).faults()) == ["the app failed: x"]
