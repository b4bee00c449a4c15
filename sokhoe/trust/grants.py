"""What people let an app do: codes, grants, refresh tokens (RFC 6749 §4.1, RFC 7636, RFC 9700).

    launch   sha256(launch) → {client, patient, by, until}
    code     sha256(code) → {client, redirect, challenge, nonce, grant…, until, spent}
    grant    id → {client, actor…, signin, since, until, redeemed}
    refresh  sha256(token) → {grant, spent}

    authorize ─ code (60 s, once) ─ token ──→ access token + refresh token ──→ … ─→ …
                                              each refresh token works once

A grant is the family of all tokens that came from one yes. A code or refresh token that comes a
second time was stolen from somebody; nobody can say from whom, so the whole family ends.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from sokhoe import clock
from sokhoe.clock import Instant
from sokhoe.errors import Conflict, Forbidden, Invalid
from sokhoe.settings import Settings
from sokhoe.store import Keep, Store
from sokhoe.trust.actors import USUAL_PURPOSE, Actor, Role
from sokhoe.trust.clients import WORDS, Client, Clients, covered, listed_scopes
from sokhoe.trust.passwords import digest, draw
from sokhoe.trust.permits import scope_within
from sokhoe.trust.tokens import GRANT, SECOND, Token, Tokens, actor_of, kept

LAUNCH, CODE, REFRESH = "launch", "code", "refresh"
LAUNCH_SECONDS = 300
CODE_SECONDS = 60
DAY = 24 * 3600 * SECOND
_VERIFIER = re.compile(r"^[A-Za-z0-9._~-]{43,128}$")
_CHALLENGE = re.compile(r"^[A-Za-z0-9_-]{43}$")


@dataclass(frozen=True, slots=True)
class Wish:
    """What an app asks for, as checked: `redirect` and `challenge` bind the answer to who asked;
    `patient` is whom it is about."""

    client: str
    redirect: str
    challenge: str
    scopes: tuple[str, ...]
    nonce: str = ""
    patient: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """A yes that still holds: who gave it to which app, for what, since when and until when."""

    id: str
    client: str
    actor: Actor
    signin: str
    since: Instant
    until: Instant

    @property
    def refreshes(self) -> bool:
        return bool({"offline_access", "online_access"} & set(self.actor.scopes))


Alive = Callable[[str], bool]
Renewed = Callable[[Actor], Actor | None]
Note = Callable[[Actor, str], None]


class Grants:
    """`alive`: whether the sign-in of this key still lives; `renewed`: a person as he is today,
    None when he may come in no more; `note`: writes into the audit what must not go unseen."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        clients: Clients,
        tokens: Tokens,
        alive: Alive,
        renewed: Renewed,
        note: Note,
    ) -> None:
        self._store = store
        self._settings = settings
        self._clients = clients
        self._tokens = tokens
        self._alive = alive
        self._renewed = renewed
        self._note = note

    # -- launch from a patient's page ------------------------------------------------------

    def launch(self, client: str, patient: str, by: str) -> str:
        """A word that tells the app's request which patient lies on the table (EHR launch)."""
        word = draw()
        until = clock.now() + LAUNCH_SECONDS * SECOND
        value = {"client": client, "patient": patient, "by": by, "until": until}
        self._store.keep(Keep(LAUNCH, digest(word), value))
        return word

    def launched(self, word: str, client: str, by: str) -> str:
        """The patient of a launch of this app by this person. Raises Invalid."""
        value = self._store.kept(LAUNCH, digest(word))
        if (
            value is None
            or value["until"] < clock.now()
            or (value["client"], value["by"]) != (client, by)
        ):
            raise Invalid("This launch is unknown or too old.", slug="invalid_request")
        return str(value["patient"])

    # -- yes ---------------------------------------------------------------------------------

    def grant(self, wish: Wish, actor: Actor, signin: str, app: str) -> str:
        """The code for a yes. `app`: the app's name, which stands beside the person's in the
        audit."""
        code, id = draw(), draw()
        now = clock.now()
        through = replace(
            actor,
            name=f"{actor.name} ({app})",
            scopes=wish.scopes,
            client=wish.client,
            patient=wish.patient,
        )
        value = {
            "client": wish.client,
            "redirect": wish.redirect,
            "challenge": wish.challenge,
            "nonce": wish.nonce,
            "grant": id,
            "actor": kept(through),
            "signin": signin,
            "at": now,
            "until": now + CODE_SECONDS * SECOND,
            "spent": False,
        }
        self._store.keep(Keep(CODE, digest(code), value))
        return code

    def redeem(self, client: Client, code: str, redirect: str, verifier: str) -> tuple[Token, str]:
        """Tokens for a code, and the nonce they answer. Raises Invalid (`invalid_grant`)."""
        value = self._store.kept(CODE, digest(code))
        if value is None or value["client"] != client.id:
            raise stale("The code is unknown.")
        if value["spent"]:
            raise self._stolen(value["grant"], actor_of(value["actor"]), "code")
        if value["until"] <= clock.now():
            raise stale("The code is too old.")
        if value["redirect"] != redirect:
            raise stale("redirect_uri is not the one the code was sent to.")
        if not _VERIFIER.match(verifier) or not hmac.compare_digest(
            challenge_of(verifier), value["challenge"]
        ):
            raise stale("code_verifier does not fit.")
        now, actor = clock.now(), actor_of(value["actor"])
        until = now + self._life(actor.scopes)
        grant = Grant(value["grant"], client.id, actor, value["signin"], now, until)
        spent = Keep(CODE, digest(code), {**value, "spent": True}, expected=value)
        try:
            made = self._tokens_of(grant, grant.actor, spent, _keep(grant))
        except Conflict:  # two came at once: one of them is not the app
            raise self._stolen(grant.id, grant.actor, "code") from None
        return made, str(value["nonce"])

    def refresh(self, client: Client, token: str, scope: str = "") -> tuple[Token, Grant]:
        """New tokens for a refresh token, which is used up by it. Raises Invalid
        (`invalid_grant`), Forbidden (`invalid_scope`)."""
        value = self._store.kept(REFRESH, digest(token))
        grant = self.find(value["grant"]) if value is not None else None
        if value is None or grant is None or grant.client != client.id:
            raise stale("The refresh token is unknown or has ended.")
        if value["spent"]:
            raise self._stolen(grant.id, grant.actor, "refresh token")
        actor = self._today(grant, client)
        if actor is None:
            self.end(grant.id)
            raise stale("Who gave this right is not signed in any more.")
        asked = listed_scopes(scope) or actor.scopes
        if any(one not in actor.scopes for one in asked):
            raise Forbidden("More than was granted.", slug="invalid_scope", status=400)
        spent = Keep(REFRESH, digest(token), {**value, "spent": True}, expected=value)
        try:
            made = self._tokens_of(grant, replace(actor, scopes=asked), spent)
        except Conflict:
            raise self._stolen(grant.id, grant.actor, "refresh token") from None
        return made, grant

    def _stolen(self, grant: str, actor: Actor, what: str) -> Invalid:
        """A code or refresh token that comes twice: end all that came of it, and say so."""
        self.end(grant)
        self._note(actor, f"{what} of {actor.client} came twice: its access was ended")
        return stale(f"The {what} was used before; all that came of it has ended.")

    def _life(self, scopes: tuple[str, ...]) -> int:
        """How long a grant can be of use, in microseconds."""
        if "offline_access" in scopes:
            return int(self._settings.refresh_days) * DAY
        if "online_access" in scopes:
            return int(self._settings.session_hours) * 3600 * SECOND
        return int(self._settings.token_minutes) * 60 * SECOND

    def _tokens_of(self, grant: Grant, actor: Actor, *keeps: Keep) -> Token:
        more = ""
        if grant.refreshes:
            more = draw()
            keeps += (Keep(REFRESH, digest(more), {"grant": grant.id, "spent": False}),)
        seconds = int(self._settings.token_minutes) * 60
        made = self._tokens.issue(actor, seconds, client=grant.client, grant=grant.id, keeps=keeps)
        context: dict[str, Any] = {}
        if actor.patient:
            context = {
                "patient": actor.patient.removeprefix("Patient/"),
                "need_patient_banner": True,
            }
        return replace(made, refresh_token=more, context=context)

    def _today(self, grant: Grant, client: Client) -> Actor | None:
        """Who gave the grant, as he is now and with what the app may still have; None when he is
        gone, or only wanted it while signed in and is not."""
        if "offline_access" not in grant.actor.scopes and not self._alive(grant.signin):
            return None
        today = self._renewed(grant.actor)
        if today is None:
            return None
        asked = self._clients.asked(client, grant.actor.scopes)
        scopes = within(today, self._clients.rights(client), asked)
        return replace(today, scopes=scopes, client=client.id, patient=grant.actor.patient)

    # -- what stands --------------------------------------------------------------------------

    def find(self, id: str) -> Grant | None:
        value = self._store.kept(GRANT, id)
        return _grant(id, value) if value and value["until"] > clock.now() else None

    def all(self) -> list[Grant]:
        """All that stand, the newest first."""
        now = clock.now()
        found = [_grant(id, value) for id, value in self._store.all_kept(GRANT).items()]
        return sorted((one for one in found if one.until > now), key=lambda one: -one.since)

    def end(self, id: str) -> None:
        """End a grant: its refresh tokens at once, its access tokens within half a second."""
        self._store.keep(Keep(GRANT, id, None))
        self._tokens.forget()

    def end_refresh(self, client: Client, token: str) -> bool:
        """End the grant of a refresh token, when it is this client's (RFC 7009)."""
        value = self._store.kept(REFRESH, digest(token))
        grant = self.find(value["grant"]) if value is not None else None
        if grant is None or grant.client != client.id:
            return False
        self.end(grant.id)
        return True

    def of_refresh(self, token: str) -> Grant | None:
        """The grant of a refresh token that could be used now."""
        value = self._store.kept(REFRESH, digest(token))
        return self.find(value["grant"]) if value is not None and not value["spent"] else None

    def over(self) -> list[Keep]:
        """What has ended by itself."""
        now = clock.now()
        grants = self._store.all_kept(GRANT)
        gone = {id for id, value in grants.items() if value["until"] < now}
        standing = grants.keys() - gone
        return [
            *(Keep(GRANT, id, None) for id in gone),
            *(
                Keep(REFRESH, key, None)
                for key, value in self._store.all_kept(REFRESH).items()
                if value["grant"] not in standing
            ),
            *(
                Keep(kind, key, None)
                for kind in (CODE, LAUNCH)
                for key, value in self._store.all_kept(kind).items()
                # a code is remembered for an hour, so that its coming twice is noticed
                if value["until"] + 3600 * SECOND < now
            ),
        ]


def within(actor: Actor, rights: tuple[str, ...], scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Of the scopes an app asks for, what it may have (`rights`, see `Clients.rights`) and what the
    role of the person allows; rights to data narrowed to the person's own."""
    purpose = USUAL_PURPOSE[actor.role]
    found: list[str] = []
    for one in dict.fromkeys(scopes):
        if "/" not in one or one == "launch/patient":
            if one in WORDS and one in rights:
                found.append(one)
        elif covered(one, rights):
            own = scope_within(actor, purpose, one)
            if own:
                found.append(own)
    return tuple(dict.fromkeys(found))


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636 §4.2)."""
    return urlsafe_b64encode(sha256(verifier.encode("ascii")).digest()).decode().rstrip("=")


def is_challenge(text: str) -> bool:
    return _CHALLENGE.match(text) is not None


def may_grant(actor: Actor) -> bool:
    """Machines and software act for nobody; an app acts for a person, not for another app."""
    return actor.role not in {Role.SOFTWARE, Role.MACHINE} and not actor.client


def stale(text: str) -> Invalid:
    return Invalid(text, hint="Ask the user again.", slug="invalid_grant")


def _keep(grant: Grant) -> Keep:
    value = {
        "client": grant.client,
        "actor": kept(grant.actor),
        "signin": grant.signin,
        "since": grant.since,
        "until": grant.until,
    }
    return Keep(GRANT, grant.id, value, expected=None)


def _grant(id: str, value: Mapping[str, Any]) -> Grant:
    return Grant(
        id,
        value["client"],
        actor_of(value["actor"]),
        value["signin"],
        value["since"],
        value["until"],
    )
