"""What the e-ID answers is believed only when every part of it holds."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import sleep
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from sokhoe import clock
from sokhoe.book import Attempt, oidc
from sokhoe.book.id_token import Signatures
from sokhoe.book.oidc import challenge
from sokhoe.errors import Busy, Invalid, SokhoeError, Unavailable
from tests.book.forger import CALLBACK, CLIENT, ISSUER, Liar, an_ec_key, signed, unsigned

Forgery = Callable[[Liar, dict[str, Any]], Any]
RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})


def test_an_honest_answer_is_accepted() -> None:
    liar = Liar()
    claims = liar.finish(liar.provider())
    assert claims["citizen_id"] == "086159000123"


def test_an_honest_answer_with_rsa_or_ed25519_is_accepted() -> None:
    for key, alg in ((RSA, "RS256"), (OKPKey.generate_key("Ed25519", {"kid": "ed"}), "EdDSA")):
        liar = Liar()
        liar.keys = [key.as_dict(private=False)]
        liar.token = lambda claims, key=key, alg=alg: signed(claims, key, alg)  # type: ignore[misc]
        assert liar.finish(liar.provider())["sub"] == "abc"


def with_claims(**changed: Any) -> Forgery:
    """Rightly signed, but saying something else (None: not saying it)."""

    def forge(liar: Liar, claims: dict[str, Any]) -> str:
        said = {**claims, **changed}
        return signed({name: one for name, one in said.items() if one is not None}, liar.key)

    return forge


def at(name: str, seconds: int) -> Forgery:
    def forge(liar: Liar, claims: dict[str, Any]) -> str:
        moment = clock.now() // 1_000_000 + seconds
        return signed({**claims, name: moment}, liar.key)

    return forge


def with_public_key_as_secret(liar: Liar, claims: dict[str, Any]) -> str:
    """The old trick: HS256 with the provider's public key as the shared secret."""
    body = unsigned(claims, "HS256").rstrip(".")
    tag = hmac.new(liar.key.as_pem(private=False), body.encode(), "sha256").digest()
    return f"{body}.{urlsafe_b64encode(tag).decode().rstrip('=')}"


def by_a_stranger(liar: Liar, claims: dict[str, Any]) -> str:
    return signed(claims, an_ec_key("one"))


def with_its_own_key_inside(liar: Liar, claims: dict[str, Any]) -> str:
    mine = an_ec_key("mine")
    return signed(claims, mine, jwk=mine.as_dict(private=False))


def with_its_own_key_elsewhere(liar: Liar, claims: dict[str, Any]) -> str:
    return signed(claims, an_ec_key("mine"), jku="https://evil.test/jwks")


def changed_after_signing(liar: Liar, claims: dict[str, Any]) -> str:
    head, _, tail = signed(claims, liar.key).split(".")
    other = signed({**claims, "citizen_id": "999"}, liar.key).split(".")[1]
    return f"{head}.{other}.{tail}"


def with_a_duplicate_claim(liar: Liar, claims: dict[str, Any]) -> str:
    text = '{"iss":"x",' + json.dumps(claims)[1:]
    return jws.serialize_compact({"alg": "ES256", "kid": "one"}, text, liar.key)


FORGERIES: dict[str, Forgery] = {
    "unsigned": lambda liar, claims: unsigned(claims),
    "unsigned, NoNe": lambda liar, claims: unsigned(claims, "NoNe"),
    "unsigned with a tail": lambda liar, claims: unsigned(claims, "none", "AAAA"),
    "unsigned, algorithm kept": lambda liar, claims: unsigned(claims, "ES256"),
    "public key as secret": with_public_key_as_secret,
    "algorithm not in the list": lambda liar, claims: signed(
        claims, ECKey.generate_key("P-384", {"kid": "one"}), "ES384"
    ),
    "another key with the same id": by_a_stranger,
    "brings its own key": with_its_own_key_inside,
    "names its own key set": with_its_own_key_elsewhere,
    "changed after signing": changed_after_signing,
    "a claim twice": with_a_duplicate_claim,
    "another issuer": with_claims(iss="https://other.test"),
    "no issuer": with_claims(iss=None),
    "issuer with a slash": with_claims(iss=ISSUER + "/"),
    "another client": with_claims(aud="other"),
    "no client": with_claims(aud=None),
    "other clients": with_claims(aud=["other", "third"]),
    "given to another client": with_claims(aud=[CLIENT, "other"], azp="other"),
    "two clients and no azp": with_claims(aud=[CLIENT, "other"]),
    "azp of another": with_claims(azp="other"),
    "another nonce": with_claims(nonce="other"),
    "no nonce": with_claims(nonce=None),
    "nonce is a list": with_claims(nonce=["x"]),
    "nobody": with_claims(sub=None),
    "an empty name": with_claims(sub=""),
    "expired": at("exp", -61),
    "never expires": with_claims(exp=None),
    "expires as text": with_claims(exp="9999999999"),
    "expires truly": with_claims(exp=True),
    "issued long ago": at("iat", -601),
    "issued tomorrow": at("iat", 86400),
    "no time of issue": with_claims(iat=None),
    "not valid yet": at("nbf", 120),
    "no token": lambda liar, claims: None,
    "a number": lambda liar, claims: 7,
    "nonsense": lambda liar, claims: "a.b.c",
    "four parts": lambda liar, claims: signed(claims, liar.key) + ".x",
    "not ASCII": lambda liar, claims: "đ" + signed(claims, liar.key),
    "a list of claims": lambda liar, claims: signed([claims], liar.key),  # type: ignore[arg-type]
    "critical header": lambda liar, claims: signed(claims, liar.key, crit=["b64"], b64=False),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_answer_is_refused(name: str) -> None:
    liar = Liar()
    liar.token = lambda claims: FORGERIES[name](liar, claims)
    with pytest.raises(Invalid) as refusal:
        liar.finish(liar.provider())
    assert refusal.value.slug == "eid-answer"


def test_a_flipped_letter_anywhere_in_the_token_is_refused() -> None:
    liar = Liar()
    provider = liar.provider()
    attempt = liar.attempt(provider)
    honest = signed(liar.claims, liar.key)
    answer = {"code": "c", "state": attempt.state}
    accepted = []
    for place in range(0, len(honest), 3):
        if honest[place] == "." or place == len(honest) - 1:
            continue
        letter = "A" if honest[place] != "A" else "B"
        liar.token = lambda claims, at=place, to=letter: honest[:at] + to + honest[at + 1 :]  # type: ignore[misc]
        try:
            provider.finish(answer, attempt)
            accepted.append(place)
        except Invalid as error:
            assert error.slug == "eid-answer"
    assert accepted == []


def test_a_symmetric_key_among_the_published_keys_is_passed_over() -> None:
    liar = Liar()
    secret = OctKey.generate_key(256, {"kid": "sym"})
    liar.keys.append(secret.as_dict(private=True))
    liar.token = lambda claims: signed(claims, secret, "HS256")
    with pytest.raises(Invalid):
        liar.finish(liar.provider(algorithms=("HS256", "ES256", "none")))


@pytest.mark.parametrize("name", ["none", "HS256", "HS512", "RS512", "ES384", ""])
def test_no_list_of_a_country_makes_an_unsafe_signature_safe(name: str) -> None:
    with pytest.raises(Invalid):
        Signatures(("none", "HS256", "HS512", "RS512", "ES384", "ES256", "")).get_alg(name)


def test_a_short_rsa_key_is_passed_over() -> None:
    with pytest.warns(UserWarning, match="2048"):
        short = RSAKey.generate_key(1024, {"kid": "short"}, auto_kid=False)
    liar = Liar()
    liar.keys = [short.as_dict(private=False)]
    liar.token = lambda claims: signed(claims, short, "RS256")
    with pytest.raises(Invalid):
        liar.finish(liar.provider())


@pytest.mark.parametrize(
    ("answer", "slug"),
    [
        ({"state": "another"}, "eid-state"),
        ({"state": ""}, "eid-state"),
        ({"iss": "https://other.test"}, "eid-state"),
        ({"code": ""}, "eid-code"),
        ({"code": "x" * 5000}, "eid-code"),
        ({"error": "access_denied"}, "eid-denied"),
        ({"error": "temporarily_unavailable"}, "eid-down"),
        ({"error": "invalid_scope"}, "eid-down"),
    ],
)
def test_an_answer_that_is_none_is_refused(answer: dict[str, str], slug: str) -> None:
    liar = Liar()
    with pytest.raises(SokhoeError) as refusal:
        liar.finish(liar.provider(), **answer)
    assert refusal.value.slug == slug
    assert "/token" not in liar.asked


def test_a_new_key_of_the_provider_is_fetched_but_not_at_every_forgery() -> None:
    with clock.standing_at(1_800_000_000_000_000) as ahead:
        liar = Liar()
        provider = liar.provider()
        liar.finish(provider)
        rotated = an_ec_key("two")
        liar.keys = [rotated.as_dict(private=False)]
        liar.token = lambda claims: signed(claims, rotated)
        ahead(31)
        assert liar.finish(provider)["sub"] == "abc"
        fetched = liar.asked.count("/jwks")
        liar.token = lambda claims: signed(claims, an_ec_key("forged"))
        for _ in range(20):
            with pytest.raises(Invalid):
                liar.finish(provider)
        assert liar.asked.count("/jwks") == fetched


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(404),
        httpx.Response(302, headers={"location": "https://evil.test/"}),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=["x"]),
        httpx.Response(200, json={**Liar().metadata, "issuer": "https://other.test"}),
        httpx.Response(200, json={**Liar().metadata, "more": "x" * 300_000}),
        httpx.Response(200, text='{"issuer":"https://eid.test","issuer":"https://eid.test"}'),
    ],
    ids=["failure", "lost", "sent away", "html", "list", "other", "huge", "twice"],
)
def test_a_provider_that_talks_nonsense_is_down(answer: httpx.Response) -> None:
    liar = Liar()
    liar.answers["/.well-known/openid-configuration"] = answer
    with pytest.raises(Unavailable) as refusal:
        liar.provider().begin()
    assert refusal.value.slug == "eid-down"
    assert refusal.value.hint or "e-ID" in refusal.value.message


def test_a_provider_may_not_send_us_to_an_unprotected_place() -> None:
    liar = Liar()
    liar.metadata["token_endpoint"] = "http://eid.test/token"
    with pytest.raises(Unavailable):
        liar.finish(liar.provider())


def test_a_used_code_is_told_apart_from_a_provider_that_is_down() -> None:
    liar = Liar()
    for body, slug in (({"error": "invalid_grant"}, "eid-code"), ({"error": "x"}, "eid-down")):
        liar.answers["/token"] = httpx.Response(400, json=body)
        with pytest.raises(SokhoeError) as refusal:
            liar.finish(liar.provider())
        assert refusal.value.slug == slug


def test_the_browser_is_sent_with_everything_that_binds_the_answer() -> None:
    liar = Liar()
    where, attempt = liar.provider().begin("/book/medicines")
    asked = dict(parse_qsl(urlsplit(where).query))
    assert where.startswith(f"{ISSUER}/authorize?")
    assert asked == {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": CALLBACK,
        "scope": "openid profile",
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": challenge(attempt.verifier),
        "code_challenge_method": "S256",
        "prompt": "login",
    }
    assert len({attempt.state, attempt.nonce, attempt.verifier}) == 3
    assert attempt.verifier not in where
    assert Attempt.of(attempt.note()) == attempt
    assert attempt.back == "/book/medicines"


def test_the_challenge_is_the_one_of_the_standard() -> None:
    # RFC 7636, appendix B
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_claims_given_on_a_second_question_are_taken_but_signed_ones_win() -> None:
    liar = Liar()
    liar.metadata["userinfo_endpoint"] = f"{ISSUER}/userinfo"
    liar.answers["/userinfo"] = httpx.Response(
        200, json={"sub": "abc", "name": "Sáu", "citizen_id": "forged"}
    )
    claims = liar.finish(liar.provider())
    assert (claims["name"], claims["citizen_id"]) == ("Sáu", "086159000123")
    liar.answers["/userinfo"] = httpx.Response(200, json={"sub": "other", "name": "Sáu"})
    assert "name" not in liar.finish(liar.provider())


def test_a_provider_that_wants_the_secret_in_the_form_gets_it_there() -> None:
    liar = Liar()
    liar.finish(liar.provider())
    assert "client_secret" not in liar.forms[-1]
    liar.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    liar.finish(liar.provider())
    assert liar.forms[-1]["client_secret"] == "secret"


def test_a_slow_provider_keeps_few_waiting_and_tells_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(oidc, "PATIENCE", 0.01)
    liar = Liar()
    provider = liar.provider()
    gate = Event()
    taken: list[int] = []
    answer = liar.handle_request

    def slowly(request: httpx.Request) -> httpx.Response:
        taken.append(1)
        gate.wait(10)
        return answer(request)

    monkeypatch.setattr(liar, "handle_request", slowly)
    with ThreadPoolExecutor(oidc.WAITING) as waiting:
        begun = [waiting.submit(provider.begin) for _ in range(oidc.WAITING)]
        try:
            while len(taken) < oidc.WAITING:
                sleep(0.005)
            with pytest.raises(Busy) as refusal:
                provider.begin()
            assert refusal.value.slug == "eid-busy"
        finally:
            gate.set()
    assert all(one.result() for one in begun)
    assert provider.begin()
