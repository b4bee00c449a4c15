"""A bad line, thousands of times: everything saved arrives exactly once, in order, whole.

Each seed is one story of saving, sending, restarting and clock jumps on a line that drops before
and after delivery, doubles, damages, truncates, delays and delivers late, answers in the hub's
place, or is cut. Both ends are real. At the end the line is mended and both memories must be equal.
A failing seed can be played again: `pytest tests/sync/test_chaos.py -k "seed_17]"`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from sokhoe import clock
from sokhoe.store import Keep
from sokhoe.sync import LetterBox, applying, head_of, heads, receive
from sokhoe.sync.pace import PageSize
from sokhoe.sync.sender import Ack, Sender
from tests import postgres
from tests.sync.world import (
    Answering,
    HubEnd,
    StationEnd,
    a_pair,
    a_patient,
    a_reading,
    contents,
    straight,
)

START = datetime(2026, 11, 23, 7, tzinfo=UTC)
SMALL_PAGES = PageSize(300, 3.0, floor=300, cap=3000)
YEAR = 365 * 24 * 3600.0


class BadLine:
    """What may happen to a request, by chance; the odds add up to about one half."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.old: list[tuple[httpx.Request, bytes]] = []
        self.late: list[tuple[httpx.Request, bytes]] = []
        self.met: set[str] = set()
        self.fates: dict[str, Callable[..., httpx.Response]] = {
            "lost on the way": self.lost,
            "answer lost": self.answer_lost,
            "twice": self.twice,
            "twice at once": self.at_once,
            "truncated": self.truncated,
            "damaged": self.damaged,
            "an old page first": self.old_first,
            "arrives late": self.arrives_late,
            "answer truncated": self.answer_truncated,
            "a portal answers": self.portal,
            "busy": self.busy,
        }

    def __call__(self, request: httpx.Request, body: bytes, hub: Answering) -> httpx.Response:
        if self.late and self.chance.random() < 0.5:
            hub(*self.late.pop(0))
        self.old.append((request, body))
        if self.chance.random() < 0.5:
            return hub(request, body)
        fate = self.chance.choice(sorted(self.fates))
        self.met.add(fate)
        return self.fates[fate](request, body, hub)

    def lost(self, request: httpx.Request, body: bytes, hub: Answering) -> httpx.Response:
        raise httpx.ConnectError("lost", request=request)

    def answer_lost(self, request: httpx.Request, body: bytes, hub: Answering) -> httpx.Response:
        hub(request, body)
        raise httpx.ReadTimeout("no answer", request=request)

    def twice(self, request: httpx.Request, body: bytes, hub: Answering) -> httpx.Response:
        hub(request, body)
        return hub(request, body)

    def at_once(self, request: httpx.Request, body: bytes, hub: Answering) -> httpx.Response:
        with ThreadPoolExecutor(3) as threads:
            answers = [threads.submit(hub, request, body) for _ in range(3)]
        return self.chance.choice([one.result() for one in answers])

    def truncated(self, request: httpx.Request, body: bytes, hub: Answering) -> httpx.Response:
        return hub(request, body[: self.chance.randrange(len(body) + 1)])

    def damaged(self, request: httpx.Request, body: bytes, hub: Answering) -> httpx.Response:
        if body:
            place = self.chance.randrange(len(body))
            body = body[:place] + bytes([body[place] ^ 0x10]) + body[place + 1 :]
        return hub(request, body)

    def old_first(self, request: httpx.Request, body: bytes, hub: Answering) -> httpx.Response:
        hub(*self.chance.choice(self.old))
        return hub(request, body)

    def arrives_late(self, request: httpx.Request, body: bytes, hub: Answering) -> httpx.Response:
        self.late.append((request, body))
        raise httpx.ReadTimeout("still on its way", request=request)

    def answer_truncated(
        self, request: httpx.Request, body: bytes, hub: Answering
    ) -> httpx.Response:
        answer = hub(request, body).content
        cut = answer[: self.chance.randrange(len(answer))]
        return httpx.Response(200, content=cut, request=request)

    def portal(self, request: httpx.Request, body: bytes, hub: Answering) -> httpx.Response:
        return httpx.Response(200, content=b"<html>Wi-Fi: please sign in</html>", request=request)

    def busy(self, request: httpx.Request, body: bytes, hub: Answering) -> httpx.Response:
        return httpx.Response(503, content=b"upstream", request=request)


class SlowDisk(LetterBox):
    """Whoever pushes at the same time has looked at the head before anybody has stored."""

    def _attempt(self, *given: Any) -> str:
        time.sleep(0.001)
        return super()._attempt(*given)


class Story:
    """One seed's story."""

    def __init__(self, seed: int, hub: HubEnd, station: StationEnd, ahead: Any) -> None:
        self.chance = random.Random(seed)
        self.hub, self.station, self.ahead = hub, station, ahead
        self.patients: list[str] = []
        self.saved = 0
        self.cut = False
        self.line = BadLine(self.chance)
        station.given["is_cut"] = lambda: self.cut
        station.wire.passing = self.line
        station.restart()

    def play(self, scenes: int) -> None:
        scene = [self.save] * 8 + [self.step] * 10 + [self.restart, self.pull_the_plug, self.jump]
        for _ in range(scenes):
            self.chance.choice(scene)()
            self.nothing_is_promised_too_early()
        self.cut = False
        self.station.wire.passing = straight
        self.station.send(500)
        for request, body in self.line.late:
            self.hub.answer(request, body)

    def save(self) -> None:
        resources: list[dict[str, Any]] = []
        for _ in range(self.chance.randint(1, 4)):
            if self.patients and self.chance.random() < 0.5:
                id = self.chance.choice(self.patients)
                resources.append(a_patient(id, self.chance.choice(["Sen", "Sen Hồng", "Ước"])))
            else:
                resources.append(a_patient())
                self.patients.append(resources[-1]["id"])
            resources.append(a_reading(resources[-1]["id"], f"{self.chance.randint(30, 90)}.50"))
        self.station.save(*resources, author=self.chance.choice(["Practitioner/a", "Device/b"]))
        if self.chance.random() < 0.1:
            self.station.delete("Patient", self.chance.choice(self.patients))
        self.saved += 1

    def step(self) -> None:
        self.ahead(self.chance.choice([0.1, 1.0, 20.0]))
        if self.chance.random() < 0.3:
            self.station.sender.send_now()
        self.station.sender.step()

    def restart(self) -> None:
        self.chance.choice([self.station.restart, self.hub.restart])()

    def pull_the_plug(self) -> None:
        self.cut = not self.cut

    def jump(self) -> None:
        self.ahead(self.chance.choice([-10 * YEAR, -3600.0, 3600.0, 10 * YEAR]))

    def nothing_is_promised_too_early(self) -> None:
        acked = self.station.line.state().acked
        assert acked <= head_of(self.hub.store, self.station.node(self.hub)).seq


def play(seed: int, folder: Path, scenes: int = 30, url: str = "") -> set[str]:
    """Play a seed; raises AssertionError when the two memories differ. Returns what was met."""
    with (
        clock.standing_at(START) as ahead,
        a_pair(folder, box=SlowDisk, url=url, pages=SMALL_PAGES) as (hub, station),
    ):
        story = Story(seed, hub, station, ahead)
        story.play(scenes)
        sent, there = station.commits(), hub.store.commits(1, limit=100_000, max_bytes=1 << 30)
        assert [_told(one) for one in there] == [_told(one) for one in sent]
        assert contents(hub.store) == contents(station.store)
        assert list(hub.store.verify()) == []
        assert station.line.status().waiting == 0
        return story.line.met


def _told(commit: Any) -> tuple[str, list[tuple[str, int, bool]]]:
    return commit.author, [(one.ref, one.version, one.deleted) for one in commit.versions]


@pytest.mark.parametrize("seed", range(200), ids="seed_{}".format)
def test_on_a_bad_line_everything_arrives_exactly_once_and_in_order(
    seed: int, folder: Path
) -> None:
    play(seed, folder)


@pytest.mark.postgres
def test_a_hub_on_postgresql_takes_it_no_worse(folder: Path) -> None:
    programs = postgres.programs()
    if programs is None:
        pytest.skip("NO POSTGRESQL: the hub's usual database is not tested on this machine")
    server = postgres.Server(programs)
    try:
        for seed in range(10):
            play(3000 + seed, folder / str(seed), url=server.emptied())
    finally:
        server.stop()


def test_the_chaos_meets_everything_it_can_do(folder: Path) -> None:
    met: set[str] = set()
    for seed in range(12):
        met |= play(1000 + seed, folder / str(seed))
    assert met == set(BadLine(random.Random(0)).fates)


# -- planted faults: the chaos must notice each, else it proves nothing ---------------------------


def _no_compare_and_set(patch: pytest.MonkeyPatch) -> None:
    """The head moves whatever it was. The pause lets a second push look at the same head: without
    it the machine's mood would decide whether the fault can show."""

    def moved(node: Any, standing: heads.NodeHead, new: heads.NodeHead) -> Keep:
        time.sleep(0.005)
        return Keep(*_name_and_value(original(node, standing, new)))

    original = heads.moved
    patch.setattr(heads, "moved", moved)


def _name_and_value(keep: Keep) -> tuple[str, str, Any]:
    return keep.kind, keep.key, keep.value


def _head_moves_in_another_transaction(patch: pytest.MonkeyPatch) -> None:
    """The commit is stored first and the head after it, as two transactions: between them the
    answer is lost or another push looks at the head."""

    def attempt(session: Any, commit: Any, keeps: Any) -> str:
        reason = original(session, commit, [])
        session._store.keep(*keeps)
        return reason

    original = applying.attempt
    patch.setattr(receive, "attempt", attempt)


def _duplicates_are_not_known(patch: pytest.MonkeyPatch) -> None:
    """A commit that is stored already is stored again."""

    def take(self: Any, session: Any, node: Any, commit: Any) -> receive.Taken:
        head = head_of(self._store, node)
        original(session, commit, heads.step(node, head, commit, "accepted"))
        return receive.Taken(commit.seq, receive.Result.ACCEPTED)

    original = applying.attempt
    patch.setattr(receive.LetterBox, "_take", take)


def _a_gap_is_taken(patch: pytest.MonkeyPatch) -> None:
    """The sender goes on behind what it sent last, and the hub does not ask for what is missing."""

    def page(self: Sender) -> bool:
        state = self._memory.state
        last = self._store.commits(state.acked, limit=1)[-1]
        with_lost = self._failures and last.seq > state.acked
        if with_lost:
            ack = Ack(last.seq, last.hash.hex(), state.hub_epoch, clock.now())
            self._take(ack, last)
        return bool(original(self))

    original = Sender._page
    patch.setattr(Sender, "_page", page)


def _any_answer_is_believed(patch: pytest.MonkeyPatch) -> None:
    """Status 200 counts as "stored", whoever said it."""

    def page(self: Sender) -> bool:
        ahead = False
        try:
            ahead = original(self)
        except Exception:
            last = self._store.commits(self._memory.state.acked, limit=1)[-1]
            self._take(Ack(last.seq, last.hash.hex(), "", clock.now()), last)
        return ahead

    original = Sender._page
    patch.setattr(Sender, "_page", page)


@pytest.mark.parametrize(
    "plant",
    [
        _no_compare_and_set,
        _head_moves_in_another_transaction,
        _duplicates_are_not_known,
        _a_gap_is_taken,
        _any_answer_is_believed,
    ],
)
def test_a_planted_fault_is_noticed(
    plant: Callable[[pytest.MonkeyPatch], None], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    noticed = 0
    for seed in range(60):
        try:
            play(seed, folder / str(seed))
        except AssertionError:
            noticed += 1
            break
    assert noticed
