"""How a citizen comes in: out to the e-ID, back with its word, and then: whose record is it?

The e-ID says who somebody is; which record is theirs is ours to find, and there a mistake shows
one person's illnesses to another. So the citizen ID must be the very same, and birth date and
name must fit by the person index's own judgement; a birth date that only nearly fits is enough to
link two papers, not to open a Book. Where it does not fit, nothing is shown, the citizen is told
the way out, and the desk of the person index gets a task.

Between leaving and coming back nothing is kept here: the attempt travels sealed in a cookie.
"""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID, uuid5

from starlette.responses import Response

from sokhoe import clock
from sokhoe.book.oidc import ATTEMPT_SECONDS, Attempt, Provider
from sokhoe.book.seams import CitizenFacts, PlainSignIn, SignIn
from sokhoe.book.troubles import trouble_of
from sokhoe.errors import Conflict, Forbidden, Invalid, NotFound, SokhoeError, Unavailable
from sokhoe.people import (
    Facts,
    PersonView,
    Reason,
    Verdict,
    identity_of,
    judge,
    of_citizen,
)
from sokhoe.trust import Actor, Level, Origin, Put, Role
from sokhoe.web import Ask, Site, cookie_name, keep_device, local_path, origin_of, set_cookie

log = logging.getLogger("sokhoe.book")
HOME = "/book"
DOOR = "/book/signin"
CALLBACK = "/book/callback"
ASKED = "/oauth/authorize?"
TASK = "urn:sokhoe:task"
_NAMESPACE = UUID("0e9ad6a5-3f0c-4c1e-8a3b-7f1f6f1f5b52")
# Good enough to link two papers of one number, not to open a Book.
TOO_LOOSE = frozenset(
    {
        Reason.BIRTH_TURNED,
        Reason.BIRTH_PART,
        Reason.BIRTH_NEAR,
        Reason.BIRTH_FAR,
        Reason.BIRTH_MISSING,
    }
)


def seam_of(site: Site) -> SignIn:
    """How this country's e-ID speaks, or the Null twin."""
    found: SignIn | None = site.pack.seam("book.sign_in")
    return found or PlainSignIn(site.settings.oidc_citizen_claim)


def provider_of(site: Site) -> Provider | None:
    """The provider of the settings; None where none is set."""
    settings = site.settings
    if not settings.oidc_issuer:
        return None
    seam = seam_of(site)
    return Provider(
        settings.oidc_issuer,
        settings.oidc_client_id,
        settings.oidc_client_secret,
        settings.url + CALLBACK,
        scope=seam.scope,
        algorithms=seam.algorithms,
    )


# -- pages ------------------------------------------------------------------------------------


def door(ask: Ask, error: SokhoeError | None = None) -> Response:
    """The page with the one button, and the keys that are known on this phone."""
    after = back_of(ask.field("next") or ask.query("next"))
    if _is_in(ask):
        return ask.go(after)
    gate = ask.site.gate
    here = gate.devices.here(origin_of(ask.request, ask.site).device, 0)
    return ask.render(
        "book/signin.html",
        status=error.status if error else 200,
        error=ask.t.error(error) if error else "",
        ready=_provider(ask.site) is not None,
        next=after,
        people=[one for one in here if one.who.startswith("Person/")],
        who=ask.field("who"),
        asked=gate.factors.assertion() if gate.factors.site else "",
    )


def leave(ask: Ask) -> Response:
    """Off to the e-ID."""
    provider = _provider(ask.site)
    try:
        if provider is None:
            raise Unavailable(
                "No e-ID provider is set.", hint="Set SOKHOE_OIDC_ISSUER.", slug="eid-down"
            )
        where, attempt = provider.begin(back_of(ask.query("next")))
    except SokhoeError as error:
        return _trouble(ask, error)
    response = ask.go(where)
    response.set_cookie(
        _cookie(ask.site),
        ask.site.gate.seal({"what": "eid", **attempt.note()}, ATTEMPT_SECONDS),
        max_age=ATTEMPT_SECONDS,
        httponly=True,
        samesite="lax",
        secure=ask.site.settings.url.startswith("https://"),
        path="/",
    )
    return response


def arrive(ask: Ask) -> Response:
    """Back from the e-ID."""
    sealed = ask.request.cookies.get(_cookie(ask.site), "")
    if not sealed and _is_in(ask):
        return ask.go(HOME)  # Back button, or the page loaded twice
    try:
        facts, back = _vouched(ask, sealed)
        person = _person(ask.site, facts)
    except SokhoeError as error:
        response = _trouble(ask, error)
    else:
        response = _admit(ask, facts, person, back)
    response.delete_cookie(_cookie(ask.site), path="/")
    return response


# -- inside -----------------------------------------------------------------------------------


def _provider(site: Site) -> Provider | None:
    found: Provider | None = site.rooms["book"].provider
    return found


def _cookie(site: Site) -> str:
    return f"{cookie_name(site)}-eid"


def back_of(path: str) -> str:
    """Where to go afterwards: a page of the Book, or back to an app's question; nothing else."""
    inside = path == HOME or path.startswith((HOME + "/", HOME + "?", ASKED))
    return local_path(path) if inside and not path.startswith((DOOR, CALLBACK)) else HOME


def _is_in(ask: Ask) -> bool:
    return ask.signed_in is not None and ask.actor.role is Role.CITIZEN


def _vouched(ask: Ask, sealed: str) -> tuple[CitizenFacts, str]:
    """What the e-ID vouches for, and the page that was wanted."""
    note = ask.site.gate.unseal(sealed)
    if note.get("what") != "eid":
        raise Invalid("This is not a note of a sign-in.", slug="seal")
    attempt = Attempt.of(note)
    provider = _provider(ask.site)
    if provider is None:
        raise Unavailable("No e-ID provider is set.", slug="eid-down")
    claims = provider.finish(dict(ask.request.query_params), attempt)
    seam = seam_of(ask.site)
    facts = seam.facts(claims)
    if facts.level < seam.lowest_level:
        raise Forbidden("This e-ID is not confirmed.", slug="eid-level")
    return facts, back_of(attempt.back)


def fits(facts: CitizenFacts, person: PersonView) -> bool:
    """Is this person's record the one of the citizen whom the e-ID vouches for?"""
    if not person.active or facts.citizen_id != person.citizen_id:
        return False
    judgement = judge(
        Facts(citizen_id=facts.citizen_id, name=facts.name, birth_date=facts.birth_date),
        Facts(citizen_id=person.citizen_id, name=person.name, birth_date=person.birth_date),
    )
    return judgement.verdict is Verdict.SAME and not TOO_LOOSE & set(judgement.reasons)


def _person(site: Site, facts: CitizenFacts) -> PersonView:
    """The person of the citizen. Raises NotFound (no record) and Forbidden (not sure whose)."""
    try:
        system = identity_of(site).citizen_system
        person = of_citizen(site.gate.machine("book"), facts.citizen_id, system)
    except Conflict:  # two persons carry the number
        _tell_the_desk(site, facts, None)
        raise Forbidden("Two persons carry this citizen ID.", slug="eid-unsure") from None
    if person is None:
        raise NotFound("There is no person with this citizen ID.", slug="eid-nobody")
    if not fits(facts, person):
        _tell_the_desk(site, facts, person)
        raise Forbidden("The record of this citizen ID differs.", slug="eid-unsure")
    return person


def _tell_the_desk(site: Site, facts: CitizenFacts, person: PersonView | None) -> None:
    """A task for the steward; the same trouble again is the same task."""
    about = f"{person.ref}/{person.version}" if person else ""
    said = f"{facts.citizen_id}\n{facts.name}\n{facts.birth_date}\n{about}"
    task: dict[str, Any] = {
        "resourceType": "Task",
        "id": str(uuid5(_NAMESPACE, said)),
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": TASK, "code": "book-sign-in"}]},
        "description": "The e-ID of a citizen does not fit the record with the same citizen ID.",
        "authoredOn": clock.iso_local(clock.now()),
        "input": [
            {"type": {"text": name}, "valueString": value}
            for name, value in (
                ("citizen ID", facts.citizen_id),
                ("name", facts.name),
                ("birth date", facts.birth_date),
            )
        ],
    }
    if person:
        task["focus"] = {"reference": person.ref}
    # Cases are the index's; its machine may write them, the Book's own only reads.
    desk = site.gate.machine("people", name="Health Book sign-in")
    try:
        desk.commit([Put(task, if_version=0)], note="sign-in not matched")
    except Conflict:
        log.info("the desk has this case already")


def _admit(ask: Ask, facts: CitizenFacts, person: PersonView, back: str) -> Response:
    actor = Actor(id=person.ref, name=facts.name, role=Role.CITIZEN, level=Level.PROVED)
    return admit(ask, actor, back, "eid", origin_of(ask.request, ask.site))


def admit(ask: Ask, actor: Actor, back: str, how: str, origin: Origin) -> Response:
    """Let a citizen in under a new secret; who was in on this browser is out."""
    site = ask.site
    secret = site.gate.admit(actor, origin.address, origin.device, origin.agent, how)
    old = ask.request.cookies.get(cookie_name(site))
    if old:
        site.gate.sign_out(old)
    response = ask.go(back)
    set_cookie(site, response, secret)
    if how != "eid":  # the e-ID needs no phone that is known
        keep_device(site, response, origin)
    return response


def _trouble(ask: Ask, error: SokhoeError) -> Response:
    """The plain page for what went wrong; the operator reads the reason in the log."""
    trouble = trouble_of(error.slug)
    if trouble is None:
        raise error
    log.warning("sign-in refused: %s (%s) %s", error.message, error.slug, error.hint)
    return ask.render("book/trouble.html", status=error.status, trouble=trouble, slug=error.slug)
