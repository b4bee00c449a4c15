"""Enrolment: a code on paper becomes a key at the hub and a name at the station.

The operator of the province makes a code for one facility and reads it out; whoever installs the
station types it once. The code works once, for fifteen minutes. It has 40 bits, and an address
that guesses wrong five times waits fifteen minutes: a thousand addresses guessing all the time
would need some 6,000 years. Wrong guesses do not spend the code: else a stranger could keep
everybody from enrolling.

Letters are Crockford's base 32 (no I, L, O, U); what people write for them is understood.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from sokhoe import clock
from sokhoe.clock import Instant
from sokhoe.errors import Busy, Conflict, Invalid, SokhoeError, Unavailable
from sokhoe.fhir import decode, encode
from sokhoe.store import Keep, Store
from sokhoe.sync.keys import good_public_key, make_key
from sokhoe.sync.registry import Node, NodeState, node_of, note
from sokhoe.sync.wire import RANGE
from sokhoe.trust import digest

CODES, GUESSES = "enrol-code", "enrol-guesses"
ENROL = "/sync/v1/enrol"
LIFE_MINUTES, TRIES = 15, 5
MINUTE = 60_000_000
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 8
_READ_AS = str.maketrans("OIL", "011", " -")


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What the station was told: its name at the hub, its facility, the hub's incarnation, the
    protocols the hub speaks."""

    node: str
    facility: str
    name: str
    hub_epoch: str
    protocol: tuple[int, int]
    at: Instant


# -- at the hub -----------------------------------------------------------------------------------


def make_code(hub: Store, facility: str, by: str = "") -> str:
    """A new one-time code for a facility (`Organization/…`), as `ABCD-EFGH`.

    Raises Invalid when the hub has no such facility. Codes that are over are thrown away here.
    """
    name = _facility_name(hub, facility)
    now = clock.now()
    code = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    value = {
        "facility": facility,
        "name": name,
        "until": now + LIFE_MINUTES * MINUTE,
        "by": by,
    }
    over = [
        Keep(CODES, key, None) for key, one in hub.all_kept(CODES).items() if one["until"] < now
    ]
    hub.keep(Keep(CODES, digest(code), value), *over)
    return f"{code[:4]}-{code[4:]}"


def admit(
    hub: Store, code: str, *, node: str, epoch: str, public_key: str, address: str = ""
) -> dict[str, Any]:
    """Take a station in: its code is spent and its key registered in one transaction.

    Returns the answer of `POST /sync/v1/enrol`. Raises Invalid (code, key), Busy (too many
    guesses), Conflict (the node belongs to another facility).
    """
    _may_guess(hub, address)
    key = digest(_plain(code))
    value = hub.kept(CODES, key)
    if value is None or value["until"] < clock.now():
        _guessed(hub, address)
        raise _bad_code()
    if not good_public_key(public_key) or not node or not epoch:
        raise Invalid(
            "The enrolment carries no valid key, node or epoch.",
            hint="Upgrade the station and try again.",
            slug="enrol-key",
        )
    standing = node_of(hub, node)
    if standing is not None and standing.facility != value["facility"]:
        raise Conflict(
            f"This server is already enrolled for {standing.name}.",
            hint="Set up a fresh server for the other facility: records never change their house.",
            slug="enrol-facility",
        )
    new = Node(node, value["facility"], value["name"], public_key, epoch, clock.now())
    try:
        hub.keep(
            Keep(CODES, key, None, expected=value),
            new.kept(hub.kept("node", node)),
        )
    except Conflict:  # somebody else used the code in this moment
        raise _bad_code() from None
    note(hub, new, f"sync node enrolled, epoch {epoch}")
    return {
        "node": node,
        "facility": new.facility,
        "name": new.name,
        "hub_epoch": hub.epoch,
        "protocol": RANGE,
    }


def _bad_code() -> Invalid:
    return Invalid(
        "This code is wrong, used or too old.",
        hint=f"A code works once and for {LIFE_MINUTES} minutes. Ask the province for a new one.",
        slug="enrol-code",
        location="code",
    )


def _plain(code: str) -> str:
    """The code as it was drawn, whatever a person made of it."""
    return code.strip().upper().translate(_READ_AS)


def _facility_name(hub: Store, facility: str) -> str:
    type, _, id = facility.partition("/")
    found = hub.read(type, id) if type == "Organization" and id else None
    if found is None or found.deleted:
        raise Invalid(
            f"The province has no facility {facility!r}.",
            hint="Register the facility first; its reference looks like Organization/….",
            slug="enrol-facility-unknown",
            location="facility",
        )
    return str(found.resource.get("name") or facility)


def _may_guess(hub: Store, address: str) -> None:
    guesses = hub.kept(GUESSES, address)
    if guesses and guesses["count"] >= TRIES and clock.now() < guesses["until"]:
        raise Busy(
            f"Too many wrong codes. Try again in {LIFE_MINUTES} minutes.",
            slug="enrol-tries",
            status=429,
        )


def _guessed(hub: Store, address: str) -> None:
    while True:
        standing = hub.kept(GUESSES, address)
        past = standing is None or standing["until"] <= clock.now()
        count = 1 if past else standing["count"] + 1
        value = {"count": count, "until": clock.now() + LIFE_MINUTES * MINUTE}
        try:
            hub.keep(Keep(GUESSES, address, value, expected=standing))
            return
        except Conflict:  # two guesses at once must count as two
            continue


# -- at the station -------------------------------------------------------------------------------


def enrolment_of(station: Store) -> Enrolment | None:
    """What this station was told at its enrolment; None before it."""
    kept = station.kept("mail", "enrolment")
    return Enrolment(**{**kept, "protocol": tuple(kept["protocol"])}) if kept else None


def enrol_at(hub: httpx.Client, station: Store, folder: Path, code: str) -> Enrolment:
    """Enrol this station at the hub that `hub` reaches. Safe to repeat with a new code.

    Raises Invalid (code), Busy (too many tries), Unavailable (the hub cannot be reached).
    """
    key = make_key(folder)
    body = encode(
        {"code": code, "public_key": key.public, "epoch": station.epoch, "node": station.node}
    )
    try:
        response = hub.post(ENROL, content=body, headers={"Content-Type": "application/json"})
        answer = decode(response.content)
        if response.is_error:
            raise _as_error(response.status_code, answer)
        return _keep(station, answer)
    except (httpx.HTTPError, Invalid, KeyError, TypeError) as error:
        if isinstance(error, Invalid) and error.slug.startswith("enrol"):
            raise
        raise Unavailable(
            f"The province cannot be reached at {hub.base_url} ({type(error).__name__}).",
            hint="Check the line and the setting hub_url.",
            slug="hub-unreachable",
        ) from error


def enrol_directly(hub: Store, station: Store, folder: Path, facility: str) -> Enrolment:
    """Enrol without a line, when both stores are at hand (demo, tests); the same steps."""
    key = make_key(folder)
    code = make_code(hub, facility)
    answer = admit(
        hub, code, node=station.node, epoch=station.epoch, public_key=key.public, address="local"
    )
    return _keep(station, answer)


def _as_error(status: int, answer: Any) -> SokhoeError:
    kind = Busy if status == 429 else Conflict if status == 409 else Invalid
    return kind(answer["message"], hint=answer["hint"], slug=answer["error"], status=status)


def _keep(station: Store, answer: dict[str, Any]) -> Enrolment:
    told = Enrolment(
        node=str(answer["node"]),
        facility=str(answer["facility"]),
        name=str(answer["name"]),
        hub_epoch=str(answer["hub_epoch"]),
        protocol=(int(answer["protocol"][0]), int(answer["protocol"][1])),
        at=clock.now(),
    )
    station.keep(Keep("mail", "enrolment", {**asdict(told), "protocol": list(told.protocol)}))
    return told


__all__ = [
    "ENROL",
    "Enrolment",
    "NodeState",
    "admit",
    "enrol_at",
    "enrol_directly",
    "enrolment_of",
    "make_code",
]
