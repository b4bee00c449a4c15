"""Work that takes longer than a request: who asked for it, how far it is, what came of it.

A job is a kept record (`job`), so it outlives the process, and whichever process is free goes on
with it. Whoever works at one holds it by a lease; when he dies, the lease ends and another goes on
from `mark`, which was written after the last piece that was finished.

    accepted → active → completed → (expires)
                      → failed
             → cancelled (by its owner, at any time)

Only its owner sees a job; to everybody else it is not there. At each step the right to it is asked
anew: a client that was closed, or lost a scope, gets no further.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from sokhoe import clock
from sokhoe.clock import Instant
from sokhoe.errors import Busy, Conflict, Forbidden, NotFound, SokhoeError
from sokhoe.store import Keep
from sokhoe.trust.actors import Actor, Purpose, Role
from sokhoe.trust.clients import covered
from sokhoe.trust.gate import Gate
from sokhoe.trust.session import Session

JOB = "job"
STEP = "job-step"
LEASE = 60_000_000
SECOND = 1_000_000
MOST_OPEN = 20  # of everybody together
_turn = threading.Lock()  # two who ask at once must not both be the last allowed


class State(StrEnum):
    ACCEPTED = "accepted"
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = frozenset({State.ACCEPTED, State.ACTIVE})


@dataclass(frozen=True, slots=True)
class Job:
    """`ask`: what is to be done, `mark`: where to go on, `result`: what came of it, each as its
    kind needs it (JSON). `done` of `total`: progress, in the unit of the kind. `until`: when it is
    forgotten. `failure`: an OperationOutcome, `status` the HTTP status that belongs to it."""

    id: str
    kind: str
    owner: Actor
    purpose: Purpose
    request: str
    created: Instant
    changed: Instant
    until: Instant
    state: State = State.ACCEPTED
    address: str = ""
    ask: Mapping[str, Any] = field(default_factory=dict)
    mark: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    failure: Mapping[str, Any] = field(default_factory=dict)
    status: int = 0
    done: int = 0
    total: int = 0
    worker: str = ""
    lease: Instant = 0

    @property
    def open(self) -> bool:
        return self.state in OPEN


class Jobs:
    """The drawer of jobs. `hours`: how long a finished one is kept; `most`: how many open ones an
    actor may have at once."""

    def __init__(self, gate: Gate, *, hours: int, most: int) -> None:
        self._gate = gate
        self._store = gate.memory
        self._hours = hours
        self._most = most

    # -- for who asks ----------------------------------------------------------------------

    def draw(self) -> str:
        """An id nobody can guess, for a job whose files must lie there before it is taken on."""
        return secrets.token_hex(16)

    def open(
        self, session: Session, kind: str, request: str, ask: Mapping[str, Any], *, id: str = ""
    ) -> Job:
        """Take on a job. Raises Busy (429) when this actor, or the server, has too many."""
        with _turn:
            others = [one for one in self.all() if one.open]
            own = sum(1 for one in others if one.owner.id == session.actor.id)
            if own >= self._most or len(others) >= MOST_OPEN:
                raise Busy(
                    f"You have {own} jobs open, and {self._most} are allowed."
                    if own >= self._most
                    else "The server has as many jobs as it can take.",
                    hint="Wait until one is finished, or cancel one with DELETE.",
                    slug="too-many-jobs",
                    status=429,
                )
            now = clock.now()
            job = Job(
                id=id or self.draw(),
                kind=kind,
                owner=session.actor,
                purpose=session.purpose,
                address=session.address,
                request=request,
                created=now,
                changed=now,
                until=now + self._life,
                ask=ask,
            )
            self._store.keep(Keep(JOB, job.id, as_kept(job), expected=None))
        return job

    def find(self, session: Session, id: str) -> Job:
        """A job of one's own. NotFound for any other: it is not told that it exists."""
        kept = self._store.kept(JOB, id)
        job = from_kept(kept) if kept else None
        if job is None or job.owner.id != session.actor.id or job.until < clock.now():
            raise NotFound(
                "There is no such job.",
                hint="It may have been cancelled, or its time is over; ask anew.",
                slug="no-job",
            )
        if job.state is State.CANCELLED:
            raise NotFound("This job was cancelled.", slug="no-job")
        return job

    def cancel(self, job: Job) -> Job:
        """End it. Who works at it notices at his next step; its files go then."""
        while True:
            try:
                return self.save(job, state=State.CANCELLED)
            except Conflict:
                job = self.again(job)

    # -- for who works ---------------------------------------------------------------------

    def all(self) -> list[Job]:
        return [from_kept(one) for one in self._store.all_kept(JOB).values()]

    def again(self, job: Job) -> Job:
        """As it stands now. Raises NotFound."""
        kept = self._store.kept(JOB, job.id)
        if kept is None:
            raise NotFound("There is no such job.", slug="no-job")
        return from_kept(kept)

    def claim(self, job: Job, worker: str) -> Job | None:
        """Hold it for the next while; None when another does, or it is no longer open."""
        now = clock.now()
        if not job.open or (job.worker not in {"", worker} and job.lease > now):
            return None
        try:
            return self.save(job, state=State.ACTIVE, worker=worker, lease=now + LEASE)
        except Conflict:
            return None

    def save(self, job: Job, **changes: Any) -> Job:
        """Write down how far it is. Conflict when it was changed by another (cancelled)."""
        new, keep = self.changed(job, **changes)
        self._store.keep(keep)
        return new

    def changed(self, job: Job, **changes: Any) -> tuple[Job, Keep]:
        """As `save`, to be written together with the work itself."""
        now = clock.now()
        new = replace(job, changed=now, **changes)
        if job.open:
            new = replace(new, until=now + self._life)
        if new.worker and new.open:
            new = replace(new, lease=now + LEASE)
        return new, Keep(JOB, job.id, as_kept(new), expected=as_kept(job))

    def fail(self, job: Job, error: SokhoeError) -> Job:
        failure = error.outcome()
        return self.save(job, state=State.FAILED, failure=failure, status=error.status)

    def forget(self, job: Job) -> None:
        self.forget_steps(job)
        self._store.keep(Keep(JOB, job.id, None))

    # -- steps that must be done once --------------------------------------------------------

    @contextmanager
    def noting(self, job: Job, step: int, session: Session) -> Iterator[None]:
        """What the session commits meanwhile is noted as this step of the job, in the same
        transaction: after a crash `written` knows whether the step was done."""

        def note(refs: Sequence[str]) -> tuple[Keep, ...]:
            return (Keep(STEP, f"{job.id}/{step}", list(refs)),)

        session.noting = note
        try:
            yield
        finally:
            session.noting = None

    def written(self, job: Job, step: int) -> str:
        """The reference of what a step wrote first; "" when it wrote nothing yet."""
        refs = self._store.kept(STEP, f"{job.id}/{step}")
        return str(refs[0]) if refs else ""

    def forget_steps(self, job: Job) -> None:
        keys = [key for key in self._store.all_kept(STEP) if key.startswith(f"{job.id}/")]
        if keys:
            self._store.keep(*(Keep(STEP, key, None) for key in keys))

    def session(self, job: Job) -> Session:
        """The owner's session, with what he may today. Raises Forbidden when he is gone."""
        actor = job.owner
        if actor.role is Role.SOFTWARE:
            client = self._gate.clients.find(actor.username)
            account = self._store.kept("account", actor.username)
            if client is not None and client.active:
                known = self._gate.clients.rights(client)
            elif account and account["active"]:
                known = tuple(account["scopes"])
            else:
                raise Forbidden("This client was closed.", slug="client-closed")
            scopes = tuple(one for one in actor.scopes if covered(one, known))
            actor = replace(actor, scopes=scopes)
        return self._gate.session(actor, job.purpose, job.address)

    @property
    def _life(self) -> int:
        return self._hours * 3600 * SECOND


_NAMES = tuple(one.name for one in fields(Job))


def as_kept(job: Job) -> dict[str, Any]:
    value = {name: getattr(job, name) for name in _NAMES}
    owner = {**asdict(job.owner), "role": str(job.owner.role), "scopes": list(job.owner.scopes)}
    return {**value, "owner": owner, "purpose": str(job.purpose), "state": str(job.state)}


def from_kept(value: dict[str, Any]) -> Job:
    owner = value["owner"]
    actor = Actor(**{**owner, "role": Role(owner["role"]), "scopes": tuple(owner["scopes"])})
    purpose, state = Purpose(value["purpose"]), State(value["state"])
    return Job(**{**value, "owner": actor, "purpose": purpose, "state": state})
