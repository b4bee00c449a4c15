"""Anybody may ask whether a signed paper still stands: the QR on it leads to /v/<code>.

It tells the status alone: which organisation signed, in what role, when, and whether it is as it
was. No name, no patient, nothing of what was signed; a code is 130 bits of the signature's hash.
"""

from __future__ import annotations

import io
import threading
import time
from collections import OrderedDict

import segno
from starlette.responses import Response
from starlette.routing import Route

from sokhoe.errors import Busy, NotFound
from sokhoe.trust import signing
from sokhoe.web.asking import ROLES, Ask, page
from sokhoe.web.site import Site
from sokhoe.web.texts import key

PER_MINUTE = 30  # questions of one address
MOST_ADDRESSES = 10_000
LETTERS = 26

# status → (kind of mark, what it says, what it means)
WORDS = {
    "good": (
        "good",
        key("The signature is valid"),
        key("What was signed has not been changed since. The time is proven."),
    ),
    "waiting": (
        "waiting",
        key("Signed, waiting for its time stamp"),
        key("What was signed has not been changed since. The proof of the time is still to come."),
    ),
    "changed": (
        "danger",
        key("Changed after signing"),
        key("What is stored is not what was signed. Ask the facility."),
    ),
    "revoked": (
        "danger",
        key("The certificate was revoked"),
        key("The signer's certificate had been withdrawn when this was signed."),
    ),
    "expired": (
        "warning",
        key("The certificate was out of date"),
        key("Nothing proves that the certificate was valid when this was signed."),
    ),
    "untrusted": (
        "danger",
        key("Signed by somebody unknown"),
        key("No authority that we know stands behind this signature."),
    ),
    "misused": (
        "danger",
        key("The certificate is not for signing"),
        key("It was made for something else than signing papers."),
    ),
    "broken": (
        "danger",
        key("Not a valid signature"),
        key("The signature is damaged or was tampered with."),
    ),
}


def routes() -> list[Route]:
    return [
        page("/v", find, public=True),
        page("/v/{code}", status, public=True),
        page("/v/{code}/qr.svg", qr, public=True),
    ]


def find(ask: Ask) -> Response:
    """The code typed by hand, from a paper whose QR cannot be read."""
    code = "".join(ask.query("code").split()).replace("-", "").upper()
    if code:
        return ask.go(f"/v/{code}" if code.isascii() and code.isalnum() else "/v")
    return ask.render("web/paper.html", found=None, word=None, role="")


def status(ask: Ask) -> Response:
    """How the signature on a paper stands."""
    ask.site.rooms.setdefault("papers", Pace(PER_MINUTE)).take(ask.address)
    found = desk_of(ask.site).paper(ask.site.gate.machine("trust"), ask.path["code"])
    role = next((word for one, word in ROLES.items() if one == found.role), "")
    verdict = found.verdict
    answer = ask.render(
        "web/paper.html",
        found=found,
        word=WORDS[str(verdict.status)],
        role=role,
        organisation=verdict.organisation or found.place,
        at=verdict.at.isoformat() if verdict.at is not None else "",
    )
    answer.headers["X-Robots-Tag"] = "noindex"
    return answer


def qr(ask: Ask) -> Response:
    """The QR of a code, to be printed on its paper. It says nothing that the code does not."""
    code = ask.path["code"]
    if len(code) != LETTERS or not (code.isascii() and code.isalnum()):
        raise NotFound("No paper of ours has this code.", slug="no-paper")
    made = segno.make(address(ask.site, code), error="m", micro=False)
    held = io.BytesIO()
    made.save(held, kind="svg", scale=4, border=4, xmldecl=False, svgclass=None, lineclass=None)
    return Response(held.getvalue(), media_type="image/svg+xml")


def address(site: Site, code: str) -> str:
    """What a paper's QR leads to: the hub where there is one, since everybody reaches it."""
    base = str(site.settings.hub_url).rstrip("/") or site.settings.url
    return f"{base}/v/{code}"


def desk_of(site: Site) -> signing.Desk:
    """The signing desk of this server, opened when it is first asked for."""
    desk: signing.Desk | None = site.rooms.get("signing")
    if desk is None:
        retention = site.pack.seam("trust.retention")
        desk = site.rooms["signing"] = signing.open_desk(site.gate, site.settings, retention)
    return desk


class Pace:
    """So many questions of one address in a minute; the longest silent are forgotten first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._turn = threading.Lock()

    def take(self, address: str) -> None:
        """Raises Busy (429)."""
        now = time.monotonic()
        with self._turn:
            since, count = self._seen.pop(address, (now, 0))
            if now - since >= 60:
                since, count = now, 0
            self._seen[address] = since, count + 1
            if len(self._seen) > MOST_ADDRESSES:
                self._seen.popitem(last=False)
        if count >= self._most:
            raise Busy(
                "Too many papers were asked for from here. Wait a minute.",
                slug="too-many-papers",
                status=429,
            )
