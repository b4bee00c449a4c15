"""Check 26: hostile requests to every route of the running app, on both databases.

Bad is: a status of 5xx, an exception that leaves the app, an error of `/fhir` that is no
OperationOutcome, words of a database or of a traceback in an answer, an error in the server's log.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from unittest import mock

from hardening import Outcome
from hardening.asking import Answer, Request, ask
from hardening.hostile import Hostile, targets
from hardening.worlds import fill, hubs
from sokhoe.errors import SokhoeError
from sokhoe.exchange.fhir_api import interactions
from sokhoe.fhir import decode, from_xml
from tests.worlds import Hub

TELLTALE = re.compile(
    rb"Traceback \(most recent|sqlite3?\.|psycopg|syntax error at or near|\bSELECT \w|apsw|"
    rb"File \"/|invalid byte sequence|no such (?:table|column)"
)
PLANTED = 3_000  # tries in which the planted fault must show
REFILL = 500  # tries after which records that were deleted are put back


class Listening(logging.Handler):
    """Keeps what the server says is wrong."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.exc_info[1] if record.exc_info else None
        self.said.append(f"{record.getMessage()}: {type(cause).__name__}: {cause}"[:400])


@contextmanager
def listening() -> Iterator[Listening]:
    """Everything at ERROR of our own loggers, and not on the screen."""
    ours, heard = logging.getLogger("sokhoe"), Listening()
    before = ours.propagate
    ours.addHandler(heard)
    ours.propagate = False
    try:
        yield heard
    finally:
        ours.removeHandler(heard)
        ours.propagate = before


def faults(request: Request, answer: Answer) -> Iterator[str]:
    """What is wrong with an answer, in words."""
    if answer.failure:
        yield f"the app failed: {answer.failure}"
        return
    path = request.target.partition("?")[0]
    fhir = re.match(r"/fhir(/|\Z)", path) and ".well-known" not in path
    # a page may say that a part it needs is not there (the e-ID is not set up here)
    if not 200 <= answer.status < 500 and (fhir or answer.status != 503):
        yield f"status {answer.status}"
    if TELLTALE.search(answer.body):
        yield "the answer tells of our insides"
    if fhir and answer.status >= 400 and request.method != "HEAD" and not is_outcome(answer):
        yield f"status {answer.status} without an OperationOutcome: {answer.body[:100]!r}"


def is_outcome(answer: Answer) -> bool:
    """The body is an OperationOutcome, with words for whoever must act on it."""
    try:
        xml = "xml" in answer.headers.get("content-type", "")
        body = from_xml(answer.body) if xml else decode(answer.body)
        issue = body["issue"][0]
        return body["resourceType"] == "OperationOutcome" and bool(issue["diagnostics"])
    except (SokhoeError, LookupError, TypeError):
        return False


async def _attack(hub: Hub, random: Random, n: int, heard: Listening, most: int = 50) -> list[str]:
    token = hub.software().headers["Authorization"].partition(" ")[2]
    hostile = Hostile(random, targets(hub.app.routes), token)
    bad: list[str] = []
    for number in range(n):
        if number % REFILL == REFILL - 1:
            fill(hub)
        request = hostile.request()
        heard.said.clear()
        answer = await ask(hub.app, request)
        wrong = [*faults(request, answer), *(f"in the log: {one}" for one in heard.said)]
        if wrong:
            bad.append(f"{'; '.join(wrong)}  <-  {request}")
            if len(bad) >= most:
                break
    return bad


def run(n: int = 50_000, seed: int = 26) -> Outcome:
    """`n` requests, shared among the databases that are here."""
    bad: list[str] = []
    with hubs() as servers, listening() as heard:
        share = -(-n // len(servers))
        for number, hub in enumerate(servers):
            random = Random(f"{seed}-{number}")
            bad += asyncio.run(_attack(hub, random, share, heard))
        caught = asyncio.run(_with_a_fault(servers[0], Random(seed), heard))
    return Outcome("26 fuzz", share * len(servers), len(bad), caught, seed, tuple(_kinds(bad)))


async def _with_a_fault(hub: Hub, random: Random, heard: Listening) -> bool:
    """A parameter that is converted without a look at it: `int("x")`."""
    with mock.patch.object(interactions, "_instant", int):
        return bool(await _attack(hub, random, PLANTED, heard, most=1))


def _kinds(bad: list[str]) -> list[str]:
    """One example of each kind, the commonest first."""
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for one in bad:
        kind = re.sub(r"[0-9]+|'[^']*'", "…", one.partition("  <-  ")[0])[:120]
        first.setdefault(kind, one)
        counts[kind] += 1
    return [f"{count} × {first[kind]}" for kind, count in counts.most_common(20)]
