"""Whoever has the turn to write: alone he does not wait, in a crowd he lets the others arrive."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from sokhoe.errors import Conflict
from sokhoe.store import Keep
from sokhoe.store.planning import Prepared, Work
from sokhoe.store.writer import CROWD, Tray


def a_commit() -> Work:
    return Work(changes=(Prepared(("Patient", "1"), None, 1, b""),))


class Groups:
    def __init__(self) -> None:
        self.sizes: list[int] = []

    def write(self, works: Sequence[Work]) -> None:
        self.sizes.append(len(works))
        for work in works:
            work.done = True


def test_in_a_crowd_the_first_lets_the_others_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = Groups()
    tray = Tray(groups.write)
    tray._crowd = CROWD
    coming = [a_commit() for _ in range(3)]

    def sleep(seconds: float) -> None:
        if coming:
            tray._waiting.append(coming.pop())

    monkeypatch.setattr(time, "sleep", sleep)
    tray.put(a_commit())
    assert groups.sizes == [4]


def test_alone_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(seconds: float) -> None:
        raise AssertionError(seconds)

    groups = Groups()
    tray = Tray(groups.write)
    monkeypatch.setattr(time, "sleep", never)
    for _ in range(3):
        tray.put(a_commit())
    assert groups.sizes == [1, 1, 1]


def test_a_crowd_that_has_gone_is_not_waited_for() -> None:
    groups = Groups()
    tray = Tray(groups.write)
    tray._crowd = CROWD
    tray.put(a_commit())
    assert tray._crowd == 1


def test_a_refused_work_raises_in_its_own_thread_only() -> None:
    def write(works: Sequence[Work]) -> None:
        for work in works:
            work.error, work.done = Conflict("no"), True

    with pytest.raises(Conflict):
        Tray(write).put(a_commit())


def test_only_what_may_come_twice_waits_for_no_fsync() -> None:
    assert Work().may_be_repeated
    assert Work(keeps=(Keep("mark", "people", 7),)).may_be_repeated
    assert not Work(keeps=(Keep("mark", "people", 7), Keep("account", "a", 1))).may_be_repeated
    assert not a_commit().may_be_repeated
