"""Check 24, the part of software: forged words, codes, tokens and questions at the OAuth addresses.

Each forgery is honest in all but one thing. Bad is: one that is accepted, that gets a 5xx, or that
sends a user to an address that was not registered. Before and after, the honest ones must be
accepted, or nothing was proved; and three guards are taken away in turn, which must be seen.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from joserfc.jwk import ECKey

from hardening import Outcome
from sokhoe import clock
from sokhoe.trust import ASSERTION_TYPE, Actor, Client, Kind, Role
from sokhoe.trust import assertions as guard
from sokhoe.trust.grants import challenge_of
from tests.exchange.launching import BACK, SCOPES, VERIFIER, App, an_app, asked, browser_of
from tests.testland import Pack
from tests.trust.vendor import (
    an_ec_key,
    an_rsa_key,
    claims,
    part,
    public,
    signed,
    signed_with_a_secret,
    unsigned,
)
from tests.worlds import Form, Hub

NOW = datetime(2026, 11, 23, 5, tzinfo=UTC)
STRANGER = "https://evil.example/back"
DOCTOR = Actor("Practitioner/doctor", "Tùng", Role.DOCTOR, username="doctor")

Forgery = Callable[["Court", Random], bool]
FORGERIES: list[Forgery] = []


def forgery(made: Forgery) -> Forgery:
    """Enter it in the list."""
    FORGERIES.append(made)
    return made


class Court:
    """A hub with software of each kind. Each `…ed` method says whether it was accepted."""

    def __init__(self, hub: Hub, ahead: Callable[[float], None]) -> None:
        self.hub = hub
        self.ahead = ahead  # moves the clock by so many seconds
        gate = hub.gate
        self.keys = (an_ec_key("lab-ec"), an_rsa_key("lab-rsa"))
        self.other_key = an_ec_key("other-ec")
        self.audience = f"{hub.settings.url}/oauth/token"
        scopes = ("system/*.rs",)
        gate.clients.add(Client("lab", "Lab", Kind.KEY, scopes, jwks=public(*self.keys)))
        gate.clients.add(Client("other", "Other", Kind.KEY, scopes, jwks=public(self.other_key)))
        self.secret = gate.add_client("his", "HIS", scopes)
        hub.account(Role.DOCTOR)
        an_app(hub)
        an_app(hub, "second")
        self.web_secret = gate.clients.add(
            Client("web", "Web", Kind.SECRET, SCOPES, redirects=(BACK,))
        )
        self.app = App(hub, browser_of(hub, DOCTOR))
        self.wire = hub.client()
        self.failures: list[str] = []

    def claims(self, **more: Any) -> dict[str, Any]:
        return claims("lab", aud=more.pop("aud", self.audience), **more)

    def post(self, path: str = "/oauth/token", **form: Any) -> Any:
        answer = self.wire.post(path, data={k: str(v) for k, v in form.items() if v is not None})
        if answer.status_code >= 500:
            self.failures.append(f"{answer.status_code} at {path}: {str(form)[:200]}")
        return answer

    def word_accepted(self, word: str, **more: Any) -> bool:
        """A client_assertion at the token address."""
        form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE}
        return bool(self.post(client_assertion=word, **{**form, **more}).status_code == 200)

    def token_accepted(self, token: str) -> bool:
        """A bearer token at the API, the plain way and by the fast door."""
        try:
            headers = {"Authorization": f"Bearer {token}"}
            answer = self.wire.get("/fhir/Observation", headers=headers)
        except (UnicodeError, ValueError):  # no header can hold it
            return False
        if answer.status_code >= 500:
            self.failures.append(f"{answer.status_code} with the token {token[:80]!r}")
        return bool(answer.status_code == 200)

    def code_accepted(self, code: str, **more: Any) -> bool:
        given = {
            "grant_type": "authorization_code",
            "client_id": "app",
            "code": code,
            "redirect_uri": BACK,
            "code_verifier": VERIFIER,
            **more,
        }
        return bool(self.post(**given).status_code == 200)

    def question_accepted(self, **more: Any) -> bool:
        """Whether a question comes as far as being put to the user, or sends him astray."""
        answer = self.app.browser.get("/oauth/authorize", params=asked(self.hub, **more))
        if answer.status_code >= 500:
            self.failures.append(f"{answer.status_code} for the question {more}")
        where = answer.headers.get("location", "")
        astray = bool(where) and not where.startswith((BACK + "&", "/"))
        return astray or 'name="note"' in answer.text

    def a_code(self, scope: str = "offline_access user/Observation.rs") -> str:
        return self.app.code(scope)["code"]

    def tokens(self, scope: str = "offline_access user/Observation.rs") -> dict[str, Any]:
        return self.app.tokens(scope)

    def honest(self) -> bool:
        """All that is honest is accepted."""
        made = self.tokens("openid offline_access user/Observation.rs")
        return (
            all(self.word_accepted(signed(self.claims(), key)) for key in self.keys)
            and self.token_accepted(made["access_token"])
            and self.code_accepted(self.a_code())
            and self.question_accepted()
            and self.app.refresh(made["refresh_token"]).status_code == 200
        )


# -- words of clients --------------------------------------------------------------------------


@forgery
def unsigned_word(court: Court, rng: Random) -> bool:
    alg = rng.choice(["none", "None", "NONE", "nOnE", "", "null", "ES384", "RS384", "HS256"])
    tail = rng.choice(["", "", "e30", "AA", "0" * 128])
    return court.word_accepted(unsigned(court.claims(), alg, tail, kid="lab-ec", typ="JWT"))


@forgery
def public_key_as_secret(court: Court, rng: Random) -> bool:
    key = rng.choice(court.keys)
    secret = rng.choice(
        [
            key.as_pem(private=False),
            key.as_der(private=False),
            json.dumps(key.as_dict(private=False)).encode(),
            str(key.as_dict(private=False).get("n", "x" * 40)).encode(),
        ]
    )
    alg = rng.choice(["HS256", "HS384", "HS512"])
    kid = key.as_dict()["kid"]
    return court.word_accepted(signed_with_a_secret(court.claims(), secret, alg, kid=kid))


@forgery
def other_algorithm(court: Court, rng: Random) -> bool:
    alg = rng.choice(["RS256", "RS512", "PS256", "PS384", "PS512"])
    return court.word_accepted(signed(court.claims(), court.keys[1], alg))


@forgery
def other_name_of_the_algorithm(court: Court, rng: Random) -> bool:
    good = signed(court.claims(), court.keys[0])
    alg = rng.choice(["es384", "ES384 ", "ES256", "RS384", "HS256", "none", 384, None, ["ES384"]])
    header = part({"alg": alg, "kid": "lab-ec", "typ": "JWT"})
    return court.word_accepted(f"{header}.{good.partition('.')[2]}")


@forgery
def wrong_audience(court: Court, rng: Random) -> bool:
    base = court.hub.settings.url
    audience = rng.choice(
        [
            None,
            "",
            "https://other.example/oauth/token",
            f"{base}/fhir",
            f"{base}/oauth/token/",
            f"{base}/oauth/token?x",
            f"{base}/OAUTH/token",
            f"{base}/oauth/introspect",
            f"{base}.evil.example/oauth/token",
            [f"{base}/oauth/token", "https://other.example"],
            [],
            [[f"{base}/oauth/token"]],
            {"a": f"{base}/oauth/token"},
            True,
        ]
    )
    return court.word_accepted(signed(court.claims(aud=audience), rng.choice(court.keys)))


@forgery
def wrong_names(court: Court, rng: Random) -> bool:
    more: dict[str, Any] = rng.choice(
        [
            {"iss": "other"},
            {"sub": "other"},
            {"iss": None},
            {"sub": None},
            {"iss": "other", "sub": "other"},
            {"iss": "lab ", "sub": "lab "},
            {"iss": "LAB", "sub": "LAB"},
            {"iss": ["lab"], "sub": ["lab"]},
            {"iss": "his", "sub": "his"},
            {"iss": "app", "sub": "app"},
        ]
    )
    return court.word_accepted(signed(court.claims(**more), court.keys[0]))


@forgery
def wrong_times(court: Court, rng: Random) -> bool:
    now = clock.now() // 1_000_000
    more: dict[str, Any] = rng.choice(
        [
            {"exp": now - rng.randint(31, 10**6)},
            {"exp": now + rng.randint(331, 10**6)},
            {"exp": None},
            {"exp": str(now + 60)},
            {"exp": True},
            {"exp": -1},
            {"exp": 10**30},
            {"exp": [now + 60]},
            {"nbf": now + rng.randint(31, 10**6)},
            {"iat": now + rng.randint(31, 10**6)},
            {"iat": "now"},
        ]
    )
    return court.word_accepted(signed(court.claims(**more), rng.choice(court.keys)))


@forgery
def no_number(court: Court, rng: Random) -> bool:
    jti = rng.choice([None, "", 7, "x" * 256, ["a"], {"a": 1}, True])
    return court.word_accepted(signed(court.claims(jti=jti), court.keys[0]))


@forgery
def replayed_word(court: Court, rng: Random) -> bool:
    said = court.claims()
    first = signed(said, court.keys[0])
    court.word_accepted(first)
    # the same word; or signed anew with the number of the first
    again = rng.choice([first, signed(said, court.keys[1]), signed(said, court.keys[0])])
    path = rng.choice(["/oauth/token", "/oauth/token", "/oauth/introspect", "/oauth/revoke"])
    form = {"client_assertion_type": ASSERTION_TYPE, "token": "x"}
    answer = court.post(path, client_assertion=again, grant_type="client_credentials", **form)
    return bool(answer.status_code == 200)


@forgery
def key_of_another_client(court: Court, rng: Random) -> bool:
    kid = rng.choice(["lab-ec", "other-ec"])
    return court.word_accepted(signed(court.claims(), court.other_key, kid=kid))


@forgery
def wrong_key_name(court: Court, rng: Random) -> bool:
    kid = rng.choice(
        [
            None,
            "",
            "other",
            "lab-rsa",
            "../../../../dev/null",
            "' OR '1'='1",
            "lab-ec\u0000",
            "LAB-EC",
            ["lab-ec"],
            {"kid": "lab-ec"},
            0,
            "http://127.0.0.1/keys",
        ]
    )
    return court.word_accepted(signed(court.claims(), court.keys[0], kid=kid))


@forgery
def key_that_travels_along(court: Court, rng: Random) -> bool:
    mine = an_ec_key("lab-ec-forged")
    own = mine.as_dict(private=False)
    more: dict[str, Any] = rng.choice(
        [
            {"jwk": own},
            {"jwk": {**own, "kid": "lab-ec"}},
            {"jku": "https://evil.example/keys"},
            {"jku": f"{court.hub.settings.url}/oauth/jwks"},
            {"x5u": "https://evil.example/chain.pem"},
            {"x5c": ["MIIB"]},
            {"x5t": "abc"},
            {"crit": ["b64"], "b64": False},
            {"crit": []},
            {"cty": "JWT"},
            {"zip": "DEF"},
            {"typ": "at+jwt"},
        ]
    )
    kid = rng.choice(["lab-ec", "lab-ec-forged"])
    return court.word_accepted(signed(court.claims(), mine, kid=kid, **more))


@forgery
def good_word_with_more_in_its_header(court: Court, rng: Random) -> bool:
    more: dict[str, Any] = rng.choice(
        [{"jku": "https://evil.example/k"}, {"x5u": "http://127.0.0.1/"}, {"jwk": {}}, {"b64": 0}]
    )
    return court.word_accepted(signed(court.claims(), court.keys[0], **more))


@forgery
def changed_after_signing(court: Court, rng: Random) -> bool:
    head, _, rest = signed(court.claims(), rng.choice(court.keys)).partition(".")
    body, _, tail = rest.partition(".")
    kind = rng.randrange(7)
    if kind == 0:
        body = part(court.claims(exp=clock.now() // 1_000_000 + 299))
    elif kind == 1:
        tail = ""
    elif kind == 2:
        tail = tail[: rng.randint(1, len(tail) - 2)]
    elif kind == 3:
        place = rng.randrange(len(tail) - 2)
        tail = tail[:place] + ("A" if tail[place] != "A" else "B") + tail[place + 1 :]
    elif kind == 4:
        tail = urlsafe_b64encode(bytes(96)).decode()  # r and s zero
    elif kind == 5:
        body, tail = tail, body
    else:
        return court.word_accepted(f"{head}.{body}.{tail}.{tail}")
    return court.word_accepted(f"{head}.{body}.{tail}")


@forgery
def twice_in_the_claims(court: Court, rng: Random) -> bool:
    text = json.dumps(court.claims())
    double = rng.choice(['"sub":"other",', '"aud":"https://other.example",', '"exp":1,'])
    said = "{" + double + text[1:]
    return court.word_accepted(signed(said, court.keys[0]))


@forgery
def no_claims_at_all(court: Court, rng: Random) -> bool:
    said = rng.choice(["", "null", "[]", '"lab"', "{", "[" * 5000, "{}", "\ufeff{}", "1e999"])
    return court.word_accepted(signed(said, court.keys[0]))


@forgery
def key_of_another_curve(court: Court, rng: Random) -> bool:
    key = ECKey.generate_key("P-256", {"kid": "lab-ec"})
    return court.word_accepted(signed(court.claims(), key, "ES256"))


@forgery
def word_beside_another_proof(court: Court, rng: Random) -> bool:
    more: dict[str, Any] = rng.choice(
        [{"client_secret": court.secret}, {"client_id": "his"}, {"client_assertion_type": "x"}]
    )
    return court.word_accepted(signed(court.claims(), court.keys[0]), **more)


@forgery
def more_than_granted(court: Court, rng: Random) -> bool:
    scope = rng.choice(
        [
            "system/*.cruds",
            "system/*.*",
            "user/*.rs",
            "patient/*.rs",
            "system/*.rs system/Task.c",
            "openid",
            "offline_access",
            "system/Patient.rs?x=1",
            "system/*.rs\u00a0",
            "*",
        ]
    )
    return court.word_accepted(signed(court.claims(), court.keys[0]), scope=scope)


@forgery
def wrong_secret(court: Court, rng: Random) -> bool:
    secret = rng.choice(
        [
            "",
            court.secret[:-1],
            court.secret + " ",
            court.secret.swapcase(),
            sha256(court.secret.encode()).hexdigest(),
            court.web_secret,
            "x" * 20_000,
        ]
    )
    client = rng.choice(["his", "his", "lab", "app", "nobody", "HIS", ""])
    if client == "his" and secret == court.secret:
        return False
    form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
    return bool(court.post(**form).status_code == 200)


# -- tokens --------------------------------------------------------------------------------------


@forgery
def forged_token(court: Court, rng: Random) -> bool:
    made = court.tokens("openid offline_access user/Observation.rs")
    good = made["access_token"]
    place = rng.randrange(len(good))
    other = rng.choice([one for one in "ABab01-_" if one != good[place]])
    token = rng.choice(
        [
            good[:place] + other + good[place + 1 :],
            good[:-1],
            good + "x",
            good + "\u00a0",
            sha256(good.encode()).hexdigest(),
            made["refresh_token"],
            made["id_token"],
            court.secret,
            court.web_secret,
            unsigned({"sub": "lab", "scope": "system/*.cruds", "exp": 2**40}),
            signed({"sub": "lab", "exp": 2**40}, court.keys[0]),
            "",
            "null",
            "' OR '1'='1",
            urlsafe_b64encode(rng.randbytes(32)).decode().rstrip("="),
            court.a_code(),
        ]
    )
    return court.token_accepted(token)


@forgery
def ended_token(court: Court, rng: Random) -> bool:
    made = court.tokens()
    token = made["access_token"]
    court.token_accepted(token)
    kind = rng.randrange(4)
    if kind == 0:
        court.post("/oauth/revoke", client_id="app", token=token)
    elif kind == 1:
        court.post("/oauth/revoke", client_id="app", token=made["refresh_token"])
    elif kind == 2:
        for grant in court.hub.gate.grants.all():
            court.hub.gate.registrar.end_grant(grant.id, DOCTOR)
    else:
        court.hub.gate.clients.change("app", lambda one: replace(one, active=False))
        try:
            return court.token_accepted(token)
        finally:
            court.hub.gate.clients.change("app", lambda one: replace(one, active=True))
    return court.token_accepted(token)


@forgery
def token_of_another_asked_about(court: Court, rng: Random) -> bool:
    made = court.tokens()
    token = made[rng.choice(["access_token", "refresh_token"])]
    path = rng.choice(["/oauth/introspect", "/oauth/revoke"])
    answer = court.post(path, client_id="second", token=token)
    told = answer.json().get("active", False)
    return bool(told) or not court.token_accepted(made["access_token"])


@forgery
def refresh_of_another(court: Court, rng: Random) -> bool:
    token = court.tokens()["refresh_token"]
    more: dict[str, Any] = rng.choice(
        [
            {"client_id": "second"},
            {"client_id": "web", "client_secret": court.web_secret},
            {"client_id": "his", "client_secret": court.secret},
            {"client_id": "app", "scope": "offline_access user/*.cruds"},
            {"client_id": "app", "scope": "system/*.rs"},
            {"client_id": "app", "refresh_token": token[:-1]},
            {"client_id": "app", "client_secret": "x"},
            {"client_id": None},
        ]
    )
    given = {"grant_type": "refresh_token", "refresh_token": token, **more}
    return bool(court.post(**given).status_code == 200)


@forgery
def refresh_twice(court: Court, rng: Random) -> bool:
    first = court.tokens()
    second = court.app.refresh(first["refresh_token"]).json()
    again = court.app.refresh(first["refresh_token"]).status_code == 200
    # and nothing of the family lives on, whoever of the two was the thief
    rest = court.app.refresh(second["refresh_token"]).status_code == 200
    return again or rest or court.token_accepted(second["access_token"])


# -- codes ---------------------------------------------------------------------------------------


@forgery
def code_twice(court: Court, rng: Random) -> bool:
    code = court.a_code()
    made = court.app.redeem(code).json()
    return court.code_accepted(code) or court.token_accepted(made["access_token"])


@forgery
def code_without_its_verifier(court: Court, rng: Random) -> bool:

    verifier = rng.choice(
        [None, "", "v" * 42, "w" * 43, challenge_of(VERIFIER), VERIFIER + "v", "v" * 129, "ⅴ" * 43]
    )
    return court.code_accepted(court.a_code(), code_verifier=verifier)


@forgery
def code_at_another_address(court: Court, rng: Random) -> bool:
    where = rng.choice([None, "", STRANGER, BACK + "&y=1", BACK.upper(), BACK + "/", BACK + "#"])
    return court.code_accepted(court.a_code(), redirect_uri=where)


@forgery
def code_of_another_app(court: Court, rng: Random) -> bool:
    """Mix-up: a code that was meant for one app is carried to another."""
    more: dict[str, Any] = rng.choice(
        [
            {"client_id": "second"},
            {"client_id": "web", "client_secret": court.web_secret},
            {"client_id": "his", "client_secret": court.secret},
            {"client_id": None},
        ]
    )
    return court.code_accepted(court.a_code(), **more)


@forgery
def code_too_late(court: Court, rng: Random) -> bool:
    code = court.a_code()
    court.ahead(60 + rng.randint(1, 100))
    return court.code_accepted(code)


@forgery
def code_as_another_kind(court: Court, rng: Random) -> bool:
    made = court.tokens()
    code = court.a_code()
    form: dict[str, Any] = rng.choice(
        [
            {"grant_type": "refresh_token", "refresh_token": code},
            {"grant_type": "authorization_code", "code": made["refresh_token"]},
            {"grant_type": "authorization_code", "code": made["access_token"]},
            {"grant_type": "client_credentials"},
            {"grant_type": "implicit"},
            {"grant_type": "password", "username": "doctor", "password": "x"},
            {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": code},
            {"grant_type": "authorization_code authorization_code", "code": code},
        ]
    )
    rest = {"client_id": "app", "redirect_uri": BACK, "code_verifier": VERIFIER}
    return bool(court.post(**{**rest, **form}).status_code == 200)


# -- questions -----------------------------------------------------------------------------------


@forgery
def downgraded_question(court: Court, rng: Random) -> bool:
    more: dict[str, Any] = rng.choice(
        [
            {"code_challenge": None},
            {"code_challenge_method": None},
            {"code_challenge_method": "plain"},
            {"code_challenge_method": "s256"},
            {"code_challenge": VERIFIER + "="},
            {"code_challenge": ""},
            {"code_challenge": None, "code_challenge_method": None},
            {"response_type": "token"},
            {"response_type": "code token"},
            {"response_type": "id_token"},
            {"response_type": None},
            {"response_mode": "fragment"},
            {"response_mode": "form_post"},
            {"state": None},
            {"aud": None},
            {"aud": "https://evil.example/fhir"},
            {"aud": f"{court.hub.settings.url}/fhir/Patient"},
            {"request": unsigned({"redirect_uri": STRANGER})},
            {"request_uri": "http://127.0.0.1:1/request"},
            {"scope": "system/*.cruds"},
            {"scope": ""},
            {"launch": "forged", "scope": "launch patient/*.rs"},
        ]
    )
    return court.question_accepted(**more)


@forgery
def astray(court: Court, rng: Random) -> bool:
    host = "app.example"
    where = rng.choice(
        [
            STRANGER,
            BACK + "&next=https://evil.example",
            BACK.replace(host, f"{host}.evil.example"),
            BACK.replace(host, f"{host}@evil.example"),
            BACK.replace(host, f"evil.example\\@{host}"),
            BACK.replace(host, f"{host}:443"),
            BACK.replace(host, f"{host}."),
            BACK.replace("https", "http"),
            BACK.replace("/back", "//back"),
            BACK.replace("/back", "/back/../evil"),
            BACK.replace("/back", "/%62ack"),
            BACK.replace("?x=1", ""),
            BACK + "#evil",
            BACK + "\r\nLocation: https://evil.example",
            BACK + " " + STRANGER,
            "//evil.example/back",
            "/oauth/authorize",
            "javascript:alert(1)//" + BACK,
            "data:text/html,<script>alert(1)</script>",
            BACK.upper(),
            BACK.replace("app", "аpp"),  # a Cyrillic letter
        ]
    )
    return court.question_accepted(redirect_uri=where)


@forgery
def two_of_one(court: Court, rng: Random) -> bool:
    name, value = rng.choice(
        [
            ("redirect_uri", STRANGER),
            ("client_id", "second"),
            ("scope", "user/*.cruds"),
            ("state", "s2"),
            ("code_challenge_method", "plain"),
        ]
    )
    pairs: list[tuple[str, Any]] = [*asked(court.hub).items()]
    pairs.insert(rng.choice([0, len(pairs)]), (name, value))
    answer = court.app.browser.get("/oauth/authorize", params=pairs)
    where = answer.headers.get("location", "")
    return 'name="note"' in answer.text or (bool(where) and not where.startswith(BACK + "&"))


@forgery
def forged_yes(court: Court, rng: Random) -> bool:
    """A yes that nobody said: of another sign-in, with another note, without a token of the form;
    or with a right in it that was not asked for."""
    page = court.app.browser.get("/oauth/authorize", params=asked(court.hub))
    fields = dict(Form(page.text, action="/oauth/authorize").fields)
    fields |= {"do": "allow", "scope": "user/Observation.rs"}
    browser = court.app.browser
    kind = rng.randrange(6)
    if kind == 0:
        fields["csrf"] = rng.choice(["", "x"])
    elif kind == 1:
        body, _, tag = fields["note"].rpartition(".")
        text = json.loads(b64decode(body, altchars=b"-_"))
        text["redirect"] = STRANGER
        changed = urlsafe_b64encode(json.dumps(text).encode()).decode()
        fields["note"] = f"{changed}.{tag}"
    elif kind == 2:
        browser = browser_of(court.hub, Actor("Practitioner/9", "x", Role.DOCTOR, username="x"))
        csrf = dict(Form(browser.get("/help").text, action="/signout").fields)["csrf"]
        fields["csrf"] = csrf
    elif kind == 3:
        browser = court.hub.client()
        browser.follow_redirects = False
    elif kind == 4:
        fields["note"] = court.hub.gate.seal({"what": "eid"}, 60)
    else:
        fields["scope"] = rng.choice(["user/*.cruds", "system/*.rs", "offline_access"])
    answer = browser.post("/oauth/authorize", data=fields)
    return "code=" in answer.headers.get("location", "")


# -- the check -----------------------------------------------------------------------------------


@contextmanager
def court() -> Iterator[Court]:
    """A hub of our own, at a moment that stands still unless it is moved."""
    folder = Path(tempfile.mkdtemp(prefix="sokhoe-tokens-"))
    with clock.standing_at(NOW) as ahead, Hub(folder, Pack()) as hub:
        yield Court(hub, ahead)
    shutil.rmtree(folder, ignore_errors=True)


def accepted(one: Court, forgery: Forgery, rng: Random) -> bool:
    # a sign-in ends after some minutes: each attack gets a living one
    one.app = App(one.hub, browser_of(one.hub, DOCTOR))
    return forgery(one, rng)


def run(n: int = 5_000, seed: int = 20261123) -> Outcome:
    rng = Random(seed)
    bad: list[str] = []
    with court() as one:
        proved = one.honest()
        for number in range(n):
            forged = FORGERIES[number % len(FORGERIES)]
            if accepted(one, forged, rng):
                bad.append(f"{forged.__name__} was accepted")
        bad += one.failures
        one.app = App(one.hub, browser_of(one.hub, DOCTOR))
        proved = proved and one.honest()
        caught = all(_seen(one, plant, by, rng) for plant, by in _PLANTS)
    if not proved:
        bad.append("what is honest was refused")
    return Outcome("24 tokens", n, len(bad), caught and proved, seed, tuple(bad[:20]))


def _nothing(*_: Any, **__: Any) -> None:
    return None


_PLANTS: tuple[tuple[Callable[[], Any], Forgery], ...] = (
    (lambda: mock.patch.object(guard, "spend", _nothing), replayed_word),
    (lambda: mock.patch.object(guard, "_check", _nothing), wrong_audience),
    (
        lambda: mock.patch("sokhoe.trust.grants.hmac.compare_digest", lambda *_: True),
        code_without_its_verifier,
    ),
    (lambda: mock.patch("sokhoe.trust.grants.Grants.end", _nothing), refresh_twice),
)


def _seen(one: Court, plant: Callable[[], Any], by: Forgery, rng: Random) -> bool:
    """Whether taking a guard away is noticed, within thirty tries."""
    with plant():
        return any(accepted(one, by, rng) for _ in range(30))
