"""People are planted and looked for on every change, in short."""

from __future__ import annotations

import random

from hardening import leaks


def test_nobody_is_found_where_nobody_should_be() -> None:
    outcome = leaks.run(n=50)
    assert not outcome.bad, "\n".join(outcome.examples)
    assert outcome.planted_caught
    assert outcome.tried > 40


def test_each_way_of_writing_somebody_is_found() -> None:
    (one,) = leaks.people(1, random.Random(1))
    assert len(set(one.secrets)) == 5
    for secret in one.secrets:
        search = leaks.Search([one])
        search.look("here", b"before " + secret + b" behind")
        search.look("there", secret, asked=secret)
        assert (search.tried, search.bad) == (2, 1)
