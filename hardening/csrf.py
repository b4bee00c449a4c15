"""Check 25: forms that another site sends in somebody's name, and pages that would let a stranger's
script run.

Every route of a running hub and station that changes something is sent a form by a browser that is
signed in, in every role: without token, with somebody else's, with one of a sign-in that is over,
with the right one but from another origin. Bad is an answer that is no refusal, and a memory that
is not as it was. Then every page is looked at as its role sees it: no inline script, style or
handler, nothing from elsewhere, and the strict policy on every answer.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from lxml.html import document_fromstring
from starlette.routing import Route
from starlette.testclient import TestClient

from hardening import Outcome
from sokhoe.trust import Actor, Role
from sokhoe.web import asking, cookie_name
from tests.testland import Pack
from tests.worlds import Hub, Server, Station, a_patient

PEOPLE = [one for one in Role if one not in {Role.SOFTWARE, Role.MACHINE}]
EVIL = "https://evil.test"
# What software asks with a token of its own: a browser's cookie must open nothing there.
FOR_SOFTWARE = ("/fhir", "/api", "/oauth", "/sync/v", "/.well-known", "/smart")
DRAWERS = ("account", "factor", "passkey", "device", "client", "token", "partner", "grant")
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
}


@dataclass(frozen=True, slots=True)
class Attack:
    """How a form arrives. `token`: which token it carries; `headers`: what the browser says."""

    name: str
    token: str
    headers: tuple[tuple[str, str], ...] = ()


ATTACKS = (
    Attack("no token", ""),
    Attack("another's token", "other"),
    Attack("an old token", "old"),
    Attack("nonsense as token", "x" * 32),
    Attack("foreign origin, no token", "", (("origin", EVIL),)),
    Attack("foreign origin, right token", "own", (("origin", EVIL),)),
    Attack("origin that only begins alike", "own", (("origin", "http://127.0.0.1.evil.test"),)),
    Attack("cross-site, right token", "own", (("sec-fetch-site", "cross-site"),)),
    Attack("same-site, right token", "own", (("sec-fetch-site", "same-site"),)),
)


@dataclass(slots=True)
class Browser:
    """A browser that is signed in at a server, and the tokens an attacker may have."""

    client: TestClient
    tokens: dict[str, str]


def run(n: int = 6_000, seed: int = 20261123) -> Outcome:
    """So many forms and pages at most, drawn from all."""
    random, bad, tried = Random(seed), list[str](), 0
    with servers() as made:
        forms = [
            (server, path, method, role, attack)
            for server in made
            for path, method in changing(server)
            for role in [*PEOPLE, None]
            for attack in ATTACKS
        ]
        random.shuffle(forms)
        browsers = {(server.url, role): browser(server, role) for server in made for role in PEOPLE}
        for server, path, method, role, attack in forms[: n * 3 // 4]:
            tried += 1
            sender = browsers[server.url, role] if role else Browser(server.client(), {})
            bad += attacked(server, sender, path, method, attack)
        pages = [
            (server, path, role) for server in made for path in readable(server) for role in PEOPLE
        ]
        random.shuffle(pages)
        for server, path, role in pages[: n // 4]:
            tried += 1
            bad += looked_at(browsers[server.url, role].client, path)
        caught = _planted(made[0], random)
    return Outcome("25 CSRF and CSP", tried, len(bad), caught, seed, tuple(bad[:10]))


# -- forms ----------------------------------------------------------------------------------------


def changing(server: Place) -> list[tuple[str, str]]:
    """Every route that changes something: (address, method)."""
    return [
        (_filled(route.path), method)
        for route in server.server.app.routes
        if isinstance(route, Route)
        for method in sorted((route.methods or set()) & UNSAFE)
    ]


def attacked(
    server: Place, sender: Browser, path: str, method: str, attack: Attack
) -> Iterator[str]:
    """Send one form; what was wrong with what came of it."""
    if not sender.tokens and attack.token == "own":
        return  # nobody is signed in, and nothing says it comes from elsewhere
    origin_only = not sender.tokens
    if origin_only and not attack.headers:
        return
    before = memory(server.server)
    fields = {
        "csrf": sender.tokens.get(attack.token, attack.token),
        "username": "nurse",
        "do": "save",
    }
    answer = sender.client.request(method, path, data=fields, headers=dict(attack.headers))
    what = f"{method} {path}: {attack.name}"
    if answer.status_code < 400 or answer.status_code >= 500:
        yield f"{what}: answered {answer.status_code}"
    if answer.headers.get("set-cookie", "").startswith(server.cookie):
        yield f"{what}: a sign-in was given"
    if memory(server.server) != before:
        yield f"{what}: something changed"


def memory(server: Server) -> Any:
    """What must be as it was: the records, and the drawers of accounts, keys and clients."""
    kept = {kind: server.store.all_kept(kind) for kind in DRAWERS}
    return server.store.head(), kept, sorted(server.store.all_kept("signin"))


# -- pages ----------------------------------------------------------------------------------------


def readable(server: Place) -> list[str]:
    """Every page: routes that answer GET and are for people."""
    return [
        _filled(route.path)
        for route in server.server.app.routes
        if isinstance(route, Route)
        and "GET" in (route.methods or set())
        and not route.path.startswith((*FOR_SOFTWARE, "/static", "/health"))
    ]


def looked_at(client: TestClient, path: str) -> Iterator[str]:
    """Open a page; what in it would let a stranger's script run."""
    answer = client.get(path)
    if answer.headers.get("content-type", "").startswith("text/html") and answer.text.strip():
        policy = {
            one.strip() for one in answer.headers.get("content-security-policy", "").split(";")
        }
        if path != "/state/line":  # a part of a page
            for rule in sorted(POLICY - policy):
                yield f"{path}: the policy lacks {rule}"
        if any("unsafe" in one or "http" in one for one in policy):
            yield f"{path}: the policy is loose"
        yield from (f"{path}: {fault}" for fault in page_faults(answer.text))


def page_faults(html: str) -> Iterator[str]:
    """Inline script, style or handler, and what would come from another server."""
    for tag in document_fromstring(html).iter():
        if not isinstance(tag.tag, str):
            continue
        if tag.tag == "style" or (tag.tag == "script" and not tag.get("src")):
            yield f"<{tag.tag}> in the page"
        for name, value in ((str(name), str(value)) for name, value in tag.attrib.items()):
            if name.startswith("on") or name == "style":
                yield f"{name} on <{tag.tag}>"
            fetched = tag.tag in {"script", "link", "img", "iframe", "source", "form"}
            if fetched and name in {"src", "href", "action", "srcset"} and urlsplit(value).netloc:
                yield f"<{tag.tag}> from {urlsplit(value).netloc}"
            if value.strip().lower().startswith("javascript:"):
                yield f"javascript: in {name}"


# -- the servers ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """One of the servers under attack."""

    server: Server

    @property
    def url(self) -> str:
        return str(self.server.settings.url)

    @property
    def cookie(self) -> str:
        return cookie_name(self.server.site) + "="

    def client(self) -> TestClient:
        return TestClient(self.server.app, base_url=self.url, follow_redirects=False)


@contextmanager
def servers() -> Iterator[list[Place]]:
    """A hub and a station with a patient."""
    folder = Path(tempfile.mkdtemp(prefix="sokhoe-csrf-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        hub = stack.enter_context(Hub(folder / "hub", Pack(), port=8701))
        facility = {"resourceType": "Organization", "id": "86001", "name": "Testland"}
        hub.put(facility)
        station = stack.enter_context(Station(folder / "station", hub, "86001"))
        for one in (hub, station):
            one.put(a_patient("p1"))
            one.gate.accounts.add_once("nurse", role=Role.NURSE, name="N", actor="Practitioner/n")
        yield [Place(hub), Place(station)]


def browser(server: Place, role: Role) -> Browser:
    """A browser signed in as this role, with its own token, another's, and an old one."""
    gate, client = server.server.gate, server.client()

    def token(name: str, close: bool = False) -> tuple[str, str]:
        actor = Actor(f"Practitioner/{name}", name, role, "Organization/86001", username=name)
        cookie = gate.admit(actor)
        signed_in = gate.signed_in(cookie)
        assert signed_in is not None
        if close:
            gate.sign_out(cookie)
        return cookie, signed_in.csrf

    cookie, own = token(f"{role}-own")
    client.cookies.set(cookie_name(server.server.site), cookie)
    other, old = token(f"{role}-other")[1], token(f"{role}-own", close=True)[1]
    return Browser(client, {"own": own, "other": other, "old": old})


def _filled(path: str) -> str:
    """A route's address with something in each of its places."""
    return re.sub(r"\{[^}]+\}", "p1", path)


def _planted(place: Place, random: Random) -> bool:
    """Without the token's check a form must come through, and a page with a handler be seen."""
    found: list[str] = []
    sender = browser(place, Role.STEWARD)
    with mock.patch.object(asking, "_check_form", lambda *_: None):
        for path, method in changing(place):
            if not path.startswith(FOR_SOFTWARE):
                found += attacked(place, sender, path, method, ATTACKS[0])
    pages = list(page_faults('<p onclick="x()"><script src="https://evil.test/x.js"></script>'))
    return bool(found) and len(pages) == 2
