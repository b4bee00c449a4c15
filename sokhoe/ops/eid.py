"""A small e-ID provider of our own, for demonstration and tests only.

It speaks OpenID Connect as a real one does (authorization code, PKCE S256, client secret, signed
id_token, discovery, JWKS, userinfo), so that the Health Book's sign-in is the same code with a
real provider. It knows invented citizens and a password that is printed on the demo page. It
refuses to start outside the demo, and every page of it says that it is a trial.

What it keeps: citizens in a JSON file, its key and the client's secret in the data folder; codes
and tokens in memory, since they live for a minute.
"""

from __future__ import annotations

import hmac
import json
import secrets
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sokhoe import clock
from sokhoe.country import Citizen
from sokhoe.errors import Forbidden, Invalid, SokhoeError, Unsupported
from sokhoe.settings import DEMO_MARK, Settings
from sokhoe.web import check_origin, read_body

SECOND = 1_000_000
CODE_SECONDS = 60
TOKEN_SECONDS = 300
TRIES, WAIT_SECONDS = 5, 300
LARGEST_FORM = 16_384
PAGES = Path(__file__).parent / "pages"
# Invented people with one public password: hashing 200 of them must not delay the demo's start.
_hasher = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1)
_NOBODY = _hasher.hash("nobody has this password")
_ASKED = (
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Client:
    """A client that may ask: its secret, and the only addresses it may be answered at."""

    client_id: str
    secret: str
    redirect_uris: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """A citizen with the hash of a password. `level`: 2 is confirmed in person."""

    citizen_id: str
    name: str
    birth_date: str
    gender: str
    password: str
    level: int = 2


@dataclass(frozen=True, slots=True)
class _Grant:
    """What stands behind a code or an access token."""

    citizen_id: str
    client_id: str
    redirect_uri: str
    nonce: str
    challenge: str
    until: int


@dataclass(slots=True)
class _Desk:
    """What the provider remembers while it runs."""

    codes: dict[str, _Grant] = field(default_factory=dict)
    tokens: dict[str, _Grant] = field(default_factory=dict)
    failures: dict[str, tuple[int, int]] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)


# -- what lies in the data folder -----------------------------------------------------------------


def write_citizens(file: Path, citizens: Sequence[Citizen], password: str) -> None:
    """Write the citizens' file anew; all get the same password, which the demo page prints."""
    known = [
        Known(one.citizen_id, one.name, one.birth_date, one.gender, _hasher.hash(password))
        for one in citizens
    ]
    text = json.dumps([asdict(one) for one in known], ensure_ascii=False, indent=1)
    file.write_text(text + "\n", "utf-8")


def read_citizens(file: Path) -> dict[str, Known]:
    """The citizens by number. Raises Invalid when the file cannot be read."""
    try:
        listed = json.loads(file.read_text("utf-8"))
        return {one["citizen_id"]: Known(**one) for one in listed}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Invalid(
            f"The citizens of the test e-ID cannot be read from {file} ({error}).",
            hint="Delete the file and start the demo again.",
            slug="eid-citizens",
        ) from None


def open_key(folder: Path) -> ECKey:
    """The signing key of this data folder, made at the first start."""
    file = folder / "eid-key.json"
    if file.is_file():
        return ECKey.import_key(json.loads(file.read_text("utf-8")))
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"})
    key.ensure_kid()
    _write_secret(file, json.dumps(key.as_dict(private=True)))
    return key


def open_secret(folder: Path) -> str:
    """The client secret of the Health Book at this provider, made at the first start."""
    file = folder / "eid-secret"
    if not file.is_file():
        _write_secret(file, DEMO_MARK + secrets.token_urlsafe(32))
    return file.read_text("utf-8")


def _write_secret(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text, "utf-8")


# -- the provider ---------------------------------------------------------------------------------


def routes(
    settings: Settings,
    issuer: str,
    citizens: Mapping[str, Known],
    key: ECKey,
    clients: Sequence[Client],
    *,
    hint: str = "",
    samples: Sequence[str] = (),
) -> list[Route]:
    """The provider's routes, to be mounted at the path of `issuer`.

    `hint`: the demo's password, to be shown under its field; `samples`: citizen IDs to offer.
    Raises Unsupported outside the demo.
    """
    _demo_only(settings)
    provider = _Provider(issuer.rstrip("/"), citizens, key, clients, hint, samples)
    return [
        Route("/.well-known/openid-configuration", provider.discovery),
        Route("/jwks", provider.jwks),
        Route("/authorize", provider.authorize, methods=["GET", "POST"]),
        Route("/token", provider.token, methods=["POST"]),
        Route("/userinfo", provider.userinfo, methods=["GET", "POST"]),
        Route("/look.css", provider.look),
    ]


def _demo_only(settings: Settings) -> None:
    if not settings.is_demo:
        raise Unsupported(
            "The test e-ID starts only in the demo: it lets in invented citizens.",
            hint="Set SOKHOE_OIDC_ISSUER to the real e-ID provider instead.",
            slug="eid-demo-only",
        )


class _Provider:
    def __init__(
        self,
        issuer: str,
        citizens: Mapping[str, Known],
        key: ECKey,
        clients: Sequence[Client],
        hint: str,
        samples: Sequence[str],
    ) -> None:
        self._issuer = issuer
        self._citizens = citizens
        self._key = key
        self._clients = {one.client_id: one for one in clients}
        self._hint = hint
        self._samples = [citizens[one] for one in samples if one in citizens]
        self._desk = _Desk()
        self._pages = Environment(
            loader=FileSystemLoader(PAGES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    # -- what it says about itself ---------------------------------------------------------

    async def discovery(self, request: Request) -> Response:
        issuer = self._issuer
        return JSONResponse(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/authorize",
                "token_endpoint": f"{issuer}/token",
                "userinfo_endpoint": f"{issuer}/userinfo",
                "jwks_uri": f"{issuer}/jwks",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "token_endpoint_auth_methods_supported": [
                    "client_secret_basic",
                    "client_secret_post",
                ],
                "code_challenge_methods_supported": ["S256"],
                "scopes_supported": ["openid", "profile"],
                "claims_supported": ["sub", "citizen_id", "name", "birthdate", "gender", "acr"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    async def jwks(self, request: Request) -> Response:
        return JSONResponse({"keys": [self._key.as_dict(private=False)]})

    async def look(self, request: Request) -> Response:
        return Response(
            (PAGES / "eid_look.css").read_bytes(),
            media_type="text/css",
            headers={"Cache-Control": "max-age=3600"},
        )

    # -- the citizen's page ----------------------------------------------------------------

    async def authorize(self, request: Request) -> Response:
        """GET shows the form, POST checks the password; then back to who asked, with a code."""
        try:
            if request.method == "POST":
                form = await _form(request)
                check_origin(request)
            else:
                form = dict(request.query_params)
            client = self._client_of(form)
        except SokhoeError as error:
            return self._page("eid_wrong.html", 400, error=error)
        fault = _fault(form)
        if fault:
            return self._answer(form, {"error": "invalid_request", "error_description": fault})
        if request.method == "GET":
            return self._form(form, client)
        if form.get("do") == "deny":
            return self._answer(form, {"error": "access_denied"})
        address = request.client.host if request.client else ""
        return await run_in_threadpool(self._checked, form, client, address)

    def _checked(self, form: dict[str, str], client: Client, address: str) -> Response:
        number = "".join(form.get("citizen_id", "").split())
        tries = f"{number[:32]}|{address}"
        count, until = self._desk.failures.get(tries, (0, 0))
        if until > clock.now():
            return self._form(form, client, "wait", 429)
        known = self._citizens.get(number)
        if not _fits(known, form.get("password", "")) or known is None:
            wait = clock.now() + WAIT_SECONDS * SECOND if count + 1 >= TRIES else 0
            with self._desk.lock:
                self._desk.failures[tries] = (0 if wait else count + 1, wait)
            return self._form(form, client, "wrong", 401)
        code = secrets.token_urlsafe(32)
        with self._desk.lock:
            self._desk.failures.pop(tries, None)
            _tidy(self._desk)
            self._desk.codes[code] = _Grant(
                number,
                client.client_id,
                form["redirect_uri"],
                form.get("nonce", ""),
                form["code_challenge"],
                clock.now() + CODE_SECONDS * SECOND,
            )
        return self._answer(form, {"code": code})

    def _client_of(self, form: Mapping[str, str]) -> Client:
        """The client, when it and its address are known; else nobody is sent anywhere."""
        client = self._clients.get(form.get("client_id", ""))
        if client is None:
            raise Invalid("This client is not known here.", slug="eid-client")
        if form.get("redirect_uri") not in client.redirect_uris:
            raise Invalid("This address does not belong to the client.", slug="eid-redirect")
        return client

    def _answer(self, form: Mapping[str, str], answer: Mapping[str, str]) -> Response:
        values = {**answer, "iss": self._issuer}
        if form.get("state"):
            values["state"] = form["state"]
        where = form["redirect_uri"]
        joint = "&" if "?" in where else "?"
        return RedirectResponse(
            f"{where}{joint}{urlencode(values)}", status_code=303, headers=dict(_HEADERS)
        )

    def _form(
        self, form: Mapping[str, str], client: Client, problem: str = "", status: int = 200
    ) -> Response:
        return self._page(
            "eid_signin.html",
            status,
            back=form["redirect_uri"],
            asked=[(name, form[name]) for name in _ASKED if form.get(name)],
            citizen_id=form.get("citizen_id", ""),
            problem=problem,
            minutes=WAIT_SECONDS // 60,
            hint=self._hint,
            samples=self._samples,
        )

    def _page(self, name: str, status: int, *, back: str = "", **context: Any) -> Response:
        html = self._pages.get_template(name).render(base=urlsplit(self._issuer).path, **context)
        # After the form the browser is sent to the client, which may be another origin.
        target = urlsplit(back)
        also = f" {target.scheme}://{target.netloc}" if target.netloc else ""
        policy = (
            "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; "
            f"frame-ancestors 'none'; form-action 'self'{also}"
        )
        headers = {**_HEADERS, "Content-Security-Policy": policy}
        return HTMLResponse(html, status, headers)

    # -- the client's questions ------------------------------------------------------------

    async def token(self, request: Request) -> Response:
        try:
            form = await _form(request)
            client = self._authenticated(request, form)
        except SokhoeError as error:
            return _refused(error.slug, error.status)
        if form.get("grant_type") != "authorization_code":
            return _refused("unsupported_grant_type")
        with self._desk.lock:
            # Taken out before it is looked at: a code works once, also when it is used wrongly.
            grant = self._desk.codes.pop(form.get("code", ""), None)
        if grant is None or grant.until < clock.now() or grant.client_id != client.client_id:
            return _refused("invalid_grant")
        if grant.redirect_uri != form.get("redirect_uri"):
            return _refused("invalid_grant")
        if not _proves(form.get("code_verifier", ""), grant.challenge):
            return _refused("invalid_grant")
        access = secrets.token_urlsafe(32)
        with self._desk.lock:
            self._desk.tokens[access] = grant
        return JSONResponse(
            {
                "access_token": access,
                "token_type": "Bearer",
                "expires_in": TOKEN_SECONDS,
                "scope": "openid profile",
                "id_token": self._id_token(grant),
            },
            headers=dict(_HEADERS),
        )

    async def userinfo(self, request: Request) -> Response:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        grant = self._desk.tokens.get(token) if kind.lower() == "bearer" else None
        if grant is None or grant.until + TOKEN_SECONDS * SECOND < clock.now():
            return _refused("invalid_token", 401)
        return JSONResponse(self._claims(grant), headers=dict(_HEADERS))

    def _authenticated(self, request: Request, form: Mapping[str, str]) -> Client:
        kind, _, pair = request.headers.get("authorization", "").partition(" ")
        name, secret = form.get("client_id", ""), form.get("client_secret", "")
        if kind.lower() == "basic":
            try:
                name, _, secret = b64decode(pair).decode("ascii").partition(":")
            except ValueError:
                raise Forbidden("Not a Basic header.", slug="invalid_client", status=401) from None
            name, secret = unquote(name), unquote(secret)
        client = self._clients.get(name)
        if client is None or not hmac.compare_digest(client.secret.encode(), secret.encode()):
            raise Forbidden("Unknown client or secret.", slug="invalid_client", status=401)
        return client

    def _claims(self, grant: _Grant) -> dict[str, Any]:
        known = self._citizens[grant.citizen_id]
        secret = str(self._key.as_dict(private=True)["d"]).encode()
        said = f"{grant.client_id}|{known.citizen_id}".encode()
        return {
            # Another name for each client: two services cannot compare their users by it.
            "sub": hmac.new(secret, said, sha256).hexdigest()[:32],
            "citizen_id": known.citizen_id,
            "name": known.name,
            "birthdate": known.birth_date,
            "gender": known.gender,
            "acr": f"urn:sokhoe:eid:level{known.level}",
        }

    def _id_token(self, grant: _Grant) -> str:
        now = clock.now() // SECOND
        claims = {
            **self._claims(grant),
            "iss": self._issuer,
            "aud": grant.client_id,
            "nonce": grant.nonce,
            "iat": now,
            "exp": now + TOKEN_SECONDS,
            "auth_time": now,
        }
        header = {"alg": "ES256", "kid": self._key.kid, "typ": "JWT"}
        return jwt.encode(header, claims, self._key, algorithms=["ES256"])


async def _form(request: Request) -> dict[str, str]:
    """A form as names and values, bounded; a name given twice is refused (RFC 6749 §3.1)."""
    body = await read_body(request, LARGEST_FORM)
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=50)
    except ValueError:
        raise Invalid("The form cannot be read.", slug="invalid_request") from None
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Invalid("A parameter was sent twice.", slug="invalid_request")
    return found


def _fault(form: Mapping[str, str]) -> str:
    """What is wrong with a question; "" when nothing is."""
    if form.get("response_type") != "code":
        return "response_type must be code"
    if "openid" not in form.get("scope", "").split():
        return "scope must contain openid"
    if form.get("code_challenge_method") != "S256" or len(form.get("code_challenge", "")) != 43:
        return "PKCE with S256 is needed"
    if any(len(form.get(name, "")) > 512 for name in _ASKED):
        return "a parameter is too long"
    return ""


def _fits(known: Known | None, password: str) -> bool:
    try:
        return _hasher.verify(known.password if known else _NOBODY, password) and known is not None
    except (Argon2Error, InvalidHashError):
        return False


def _proves(verifier: str, challenge: str) -> bool:
    try:
        seen = urlsafe_b64encode(sha256(verifier.encode("ascii")).digest()).decode().rstrip("=")
    except UnicodeEncodeError:
        return False
    return len(verifier) >= 43 and hmac.compare_digest(seen, challenge)


def _tidy(desk: _Desk) -> None:
    """Forget what is over, so that the memory does not grow."""
    now = clock.now()
    desk.codes = {code: one for code, one in desk.codes.items() if one.until >= now}
    over = now - TOKEN_SECONDS * SECOND
    desk.tokens = {token: one for token, one in desk.tokens.items() if one.until >= over}
    if len(desk.failures) > 10_000:
        desk.failures = {name: one for name, one in desk.failures.items() if one[1] > now}


def _refused(error: str, status: int = 400) -> Response:
    headers = dict(_HEADERS)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer" if error == "invalid_token" else "Basic"
    return JSONResponse({"error": error}, status_code=status, headers=headers)
