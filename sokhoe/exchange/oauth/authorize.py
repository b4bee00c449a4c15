"""/oauth/authorize: an app asks somebody for rights, and the somebody says yes or no.

SMART app launch 2 (hl7.org/fhir/smart-app-launch/app-launch.html) on RFC 6749 §4.1 with RFC 9700:
PKCE by S256 always, redirect addresses letter by letter, `iss` in each answer (RFC 9207), `aud` our
FHIR address. Who asks with a wrong name or address gets a page, never a redirect.

    GET   who are you? → whose record? (staff, launch/patient) → what do you allow?
    POST  yes or no → back to the app, with a code or an error

Between GET and POST the question travels sealed, for this sign-in alone. No box is ticked before.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sokhoe.errors import Forbidden, Invalid, SignIn
from sokhoe.exchange.oauth.words import all_said
from sokhoe.trust import WORDS, Client, Role, Wish, is_challenge, listed_scopes, may_grant, within
from sokhoe.web import HEADERS, Ask, page

PATH = "/oauth/authorize"
MINUTES = 10
SEAL = "authorize"
MOST_STATE = 1024
MOST_FOUND = "10"


class Refused(Exception):
    """An answer that goes back to the app: an error of RFC 6749 §4.1.2.1."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(text)
        self.error = error
        self.text = text


@dataclass(frozen=True, slots=True)
class Question:
    """What an app asks, checked as far as it can be without knowing whom it asks."""

    client: str
    redirect: str
    state: str
    scopes: tuple[str, ...]
    challenge: str
    nonce: str
    launch: str

    def answer(self, site_url: str, **fields: str) -> str:
        """The address that takes an answer back to the app."""
        told = {**fields, "state": self.state, "iss": site_url}
        text = urlencode({name: value for name, value in told.items() if value})
        return f"{self.redirect}{'&' if '?' in self.redirect else '?'}{text}"


def routes() -> list[Route]:
    return [page(PATH, authorize, methods=("GET", "POST"), public=True)]


def authorize(ask: Ask) -> Response:
    if ask.request.method == "POST":
        return decide(ask)
    client = _client(ask)
    redirect = _redirect(ask, client)
    state = ask.query("state")
    bare = Question(client.id, redirect, state[:MOST_STATE], (), "", "", "")
    try:
        return _asked(ask, client, _question(ask, bare))
    except Refused as error:
        return _back(ask, bare, error=error.error, error_description=error.text)


# -- the question --------------------------------------------------------------------------------


def _client(ask: Ask) -> Client:
    """The app that asks. Raises Forbidden: a page, since nobody knows where to send an answer."""
    names = ask.request.query_params.getlist("client_id")
    client = ask.site.gate.clients.find(names[0]) if len(names) == 1 else None
    if client is None or not client.active:
        raise Forbidden("This app is not registered here.", slug="app-unknown")
    return client


def _redirect(ask: Ask, client: Client) -> str:
    """Letter by letter one of those registered. Raises Forbidden."""
    given = ask.request.query_params.getlist("redirect_uri")
    if len(given) != 1 or given[0] not in client.redirects:
        raise Forbidden("This app asks to be answered at an unknown address.", slug="app-address")
    return given[0]


def _question(ask: Ask, bare: Question) -> Question:
    """Raises Refused."""
    params = ask.request.query_params
    if any(len(params.getlist(name)) > 1 for name in params):
        raise Refused("invalid_request", "A parameter was sent twice.")
    if params.get("response_type") != "code":
        raise Refused("unsupported_response_type", "response_type must be code.")
    if params.get("response_mode", "query") != "query":
        raise Refused("invalid_request", "response_mode must be query.")
    for name in ("request", "request_uri"):
        if name in params:
            raise Refused(f"{name}_not_supported", f"{name} is not supported.")
    if not 0 < len(params.get("state", "")) <= MOST_STATE:
        raise Refused("invalid_request", "state is missing or too long.")
    challenge = params.get("code_challenge", "")
    if params.get("code_challenge_method") != "S256" or not is_challenge(challenge):
        raise Refused("invalid_request", "PKCE is needed: code_challenge with S256.")
    base = f"{ask.site.settings.url}/fhir"
    if params.get("aud", "").rstrip("/") != base:
        raise Refused("invalid_request", f"aud must be {base}.")
    if len(params.get("nonce", "")) > MOST_STATE:
        raise Refused("invalid_request", "nonce is too long.")
    scopes = listed_scopes(params.get("scope", ""))
    if not scopes or len(scopes) > 100:
        raise Refused("invalid_scope", "Ask for at least one scope.")
    return Question(
        bare.client,
        bare.redirect,
        bare.state,
        scopes,
        challenge,
        params.get("nonce", ""),
        params.get("launch", ""),
    )


# -- who, whose, what ----------------------------------------------------------------------------


def _asked(ask: Ask, client: Client, question: Question) -> Response:
    """The page for where we are: who are you, whose record, what do you allow? Raises Refused."""
    if ask.signed_in is None:
        if ask.query("prompt") == "none":
            raise Refused("login_required", "Nobody is signed in.")
        return _who(ask, client)
    if not may_grant(ask.actor):
        raise Refused("access_denied", "This role cannot let an app act for it.")
    scopes = _possible(ask, client, question)
    rights = [one for one in scopes if one not in WORDS]
    if not rights and "openid" not in scopes:
        raise Refused("invalid_scope", "Nothing of this is possible for this app and this person.")
    if ask.query("prompt") == "none":
        raise Refused("consent_required", "The person must be asked.")
    patient = _patient(ask, client, question, scopes)
    if patient is None:
        return _choose(ask, client)
    return _consent(ask, client, question, scopes, patient)


def _possible(ask: Ask, client: Client, question: Question) -> tuple[str, ...]:
    """Of what the app asks, what both it and this person may have."""
    clients = ask.site.gate.clients
    asked = clients.asked(client, question.scopes)
    return within(ask.actor, clients.rights(client), asked)


def _who(ask: Ask, client: Client) -> Response:
    """Sign in first: staff here, citizens through their e-ID."""
    here = quote(f"{PATH}?{ask.request.url.query}", safe="/")
    if Role.CITIZEN not in ask.site.homes:
        return ask.go(f"/signin?next={here}")
    return ask.render("exchange/who.html", app=client, after=here)


def _patient(ask: Ask, client: Client, question: Question, scopes: tuple[str, ...]) -> str | None:
    """Whom the app will be about: a reference, "" for nobody in particular, None when it must
    still be chosen. Raises Refused."""
    if question.launch:
        if "launch" not in scopes:
            raise Refused("invalid_scope", "A launch needs the scope launch.")
        try:
            return ask.site.gate.grants.launched(question.launch, client.id, ask.actor.id)
        except Invalid as error:
            raise Refused("invalid_request", error.message) from None
    wanted = "launch/patient" in scopes or any(one.startswith("patient/") for one in scopes)
    if not wanted:
        return ""
    if ask.actor.role is Role.CITIZEN:
        found = ask.session.search("Patient", [("_count", "1")]).versions
        return found[0].ref if found else ""
    id = ask.query("chosen")
    if not id:
        return None
    return ask.session.read("Patient", id).ref


def _choose(ask: Ask, client: Client) -> Response:
    """Staff: whose record shall the app open?"""
    words = ask.query("q")
    found = []
    if len(words) >= 2:
        query = [("name", words), ("_count", MOST_FOUND), ("_sort", "family")]
        found = [one.resource for one in ask.session.search("Patient", query).versions]
    asked = [pair for pair in ask.request.query_params.multi_items() if pair[0] not in {"q"}]
    return ask.render(
        "exchange/choose.html",
        app=client,
        q=words,
        asked=asked,
        found=[(one["id"], _name(one), one.get("birthDate", "")) for one in found],
        question=f"{PATH}?{urlencode(asked)}",
    )


def _name(patient: dict[str, Any]) -> str:
    names = patient.get("name") or [{}]
    first = names[0]
    return str(first.get("text") or " ".join([first.get("family", ""), *first.get("given", [])]))


def _consent(
    ask: Ask,
    client: Client,
    question: Question,
    scopes: tuple[str, ...],
    patient: str,
    error: str = "",
) -> Response:
    """What do you allow? Rights to data and lasting access by boxes, none of them ticked."""
    note = {
        "what": SEAL,
        "for": ask.signed_in.key if ask.signed_in else "",
        **asdict(question),
        "scopes": list(scopes),
        "patient": patient,
    }
    name = ""
    if patient and ask.actor.role is not Role.CITIZEN:
        name = _name(ask.session.read("Patient", patient.removeprefix("Patient/")).resource)
    boxed = [one for one in scopes if _boxed(one)]
    response = ask.render(
        "exchange/consent.html",
        app=client,
        host=urlsplit(question.redirect).netloc or urlsplit(question.redirect).scheme,
        note=ask.site.gate.seal(note, MINUTES * 60),
        boxes=all_said(boxed, ask.t),
        plain=all_said((one for one in scopes if not _boxed(one)), ask.t),
        patient_name=name,
        error=error,
        status=422 if error else 200,
    )
    response.headers["Content-Security-Policy"] = policy(question.redirect)
    return response


def _boxed(scope: str) -> bool:
    return scope not in WORDS or scope in {"offline_access", "online_access"}


def policy(*urls: str) -> str:
    """A browser that follows our answer to an app counts the app's address to the form it came
    from (CSP form-action): so that it may, the page names it."""
    parts = [urlsplit(one) for one in urls]
    places = {f"{one.scheme}://{one.netloc}" if one.netloc else f"{one.scheme}:" for one in parts}
    also = " ".join(["form-action 'self'", *sorted(places)])
    return HEADERS["Content-Security-Policy"].replace("form-action 'self'", also)


# -- the answer ----------------------------------------------------------------------------------


def decide(ask: Ask) -> Response:
    """POST: yes or no."""
    if ask.signed_in is None:
        raise SignIn("Your sign-in has ended. Begin again in the app.", slug="app-too-late")
    note = ask.site.gate.unseal(ask.field("note"))
    if note.get("what") != SEAL or note["for"] != ask.signed_in.key:
        raise Invalid("This question was asked of somebody else.", slug="seal")
    question = Question(
        **{name: note[name] for name in Question.__slots__ if name != "scopes"},
        scopes=tuple(note["scopes"]),
    )
    client = ask.site.gate.clients.find(question.client)
    if client is None or not client.active or question.redirect not in client.redirects:
        raise Forbidden("This app is not registered here.", slug="app-unknown")
    if ask.field("do") != "allow":
        return _back(ask, question, error="access_denied", error_description="The answer was no.")
    ticked = set(ask.fields("scope"))
    asked = _possible(ask, client, question)
    scopes = tuple(one for one in asked if not _boxed(one) or one in ticked)
    if not any(_boxed(one) and one not in WORDS for one in scopes) and "openid" not in scopes:
        words = ask.t("Tick what the app may do, or refuse.")
        return _consent(ask, client, question, asked, note["patient"], words)
    wish = Wish(
        question.client,
        question.redirect,
        question.challenge,
        scopes,
        question.nonce,
        note["patient"],
    )
    code = ask.site.gate.let_in(wish, ask.actor, ask.signed_in.key, client, ask.address)
    return _back(ask, question, code=code)


def _back(ask: Ask, question: Question, **fields: str) -> Response:
    """To the app. The redirect address is one that was registered, so this leads nobody astray."""
    where = question.answer(ask.site.settings.url, **fields)
    return RedirectResponse(where, status_code=303, headers={"Referrer-Policy": "no-referrer"})
