"""What comes in, before anybody looks at what is asked: addresses, methods, packed bodies."""

from __future__ import annotations

import gzip
import time
import zlib
from typing import Any

import pytest
import zstandard
from starlette.testclient import TestClient

from sokhoe.errors import Invalid
from sokhoe.exchange.fhir_api.reception import unpacked
from sokhoe.fhir import encode
from tests.exchange.asking import refusal, send
from tests.worlds import Hub, a_patient

FHIR = "application/fhir+json"


@pytest.fixture
def person(both: Hub) -> str:
    both.put(a_patient("p1"))
    return "/Patient/p1"


# -- addresses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "slug"),
    [
        ("/Patient/a%00b", 404, "not-found"),
        ("/Patient/%ff%fe", 404, "not-found"),
        ("/Patient/a%20b", 404, "not-found"),
        ("/Patient/a%0Ab/_history", 404, "not-found"),
        ("/Patient/" + "x" * 65, 404, "not-found"),
        ("/Patient/" + "x" * 2_000, 414, "too-long"),
        ("/Patient/p1/_history/%00", 404, "not-found"),
        ("/Pat%00ient", 404, "not-found"),
        ("/a/b/c/d/e", 404, "no-page"),
        ("/Patient?name=%00", 400, "odd-characters"),
        ("/Patient?na%00me=x", 400, "odd-characters"),
        ("/Patient?_id=%00", 400, "odd-characters"),
        ("/Patient?name=%ff", 400, "encoding"),
        ("/Patient?name=" + "x" * 20_000, 414, "too-long"),
        ("/Patient?" + "&".join(["_id=1"] * 501), 400, "too-costly"),
        ("/Patient?_count=1&_count=2", 400, "repeated-parameter"),
        ("/Patient?_id=p1&_total=none&_total=none", 400, "repeated-parameter"),
        ("/Patient/p1/_history?_count=1&_count=1", 400, "repeated-parameter"),
        ("/$everything%00", 404, "not-found"),
    ],
)
def test_an_odd_address_is_refused_in_words(
    client: TestClient, person: str, path: str, status: int, slug: str
) -> None:
    client.get("/fhir" + person)  # from now on the fast door would answer
    assert refusal(client.get("/fhir" + path), status) == slug


def test_a_bundle_cannot_ask_for_what_an_address_cannot(client: TestClient, person: str) -> None:
    asked = [{"request": {"method": "GET", "url": f"Patient/{id}"}} for id in ("a\0b", "é", "p1")]
    batch = {"resourceType": "Bundle", "type": "batch", "entry": asked}
    answer = send(client, "POST", "", batch)
    told = [one["response"]["status"] for one in answer.json()["entry"]]
    assert told == ["404", "404", "200 OK"]


def test_a_condition_with_a_nul_is_no_condition(client: TestClient, person: str) -> None:
    body = a_patient()
    del body["id"]
    made = send(client, "POST", "/Patient", body, if_none_exist="identifier=%00")
    assert refusal(made, 400) == "odd-characters"
    assert refusal(send(client, "PUT", "/Patient?identifier=a%00", body), 400) == "odd-characters"
    assert refusal(send(client, "DELETE", "/Patient?identifier=a%00"), 400) == "odd-characters"


def test_the_same_filter_twice_means_both(client: TestClient, both: Hub) -> None:
    both.put(a_patient("a", name="Lê Thị Hoa"), a_patient("b", name="Lê Văn Ba"))
    found = client.get("/fhir/Patient?name=le&name=hoa").json()
    assert [one["resource"]["id"] for one in found["entry"]] == ["a"]


# -- methods -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("", "GET, HEAD, OPTIONS, POST"),
        ("/metadata", "GET, HEAD, OPTIONS"),
        ("/_history", "GET, HEAD, OPTIONS"),
        ("/Patient", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
        ("/Patient/p1", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("/Patient/p1/_history", "GET, HEAD, OPTIONS"),
        ("/Patient/p1/_history/1", "GET, HEAD, OPTIONS"),
        ("/$meta", "GET, HEAD, OPTIONS, POST"),
    ],
)
def test_options_and_405_name_the_methods_that_are_known(
    client: TestClient, path: str, allowed: str
) -> None:
    options = client.options("/fhir" + path)
    assert (options.status_code, options.headers["allow"]) == (204, allowed)
    for method in {"PROPFIND", "TRACE", "POST", "DELETE"} - set(allowed.split(", ")):
        refused = client.request(method, "/fhir" + path)
        assert refusal(refused, 405) == "method"
        assert refused.headers["allow"] == allowed


def test_head_is_get_without_a_body(client: TestClient, person: str) -> None:
    for path in ("/Patient/p1", "/Patient?_id=p1", "/Patient/p1/_history", "/metadata"):
        got, head = client.get("/fhir" + path), client.head("/fhir" + path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers == got.headers


# -- conditional reading -----------------------------------------------------------------------


def test_who_has_the_version_already_is_not_sent_it_again(client: TestClient, person: str) -> None:
    first = client.get("/fhir" + person)
    date = first.headers["last-modified"]
    known: list[dict[str, str]] = [
        {"If-Modified-Since": date},
        {"If-Modified-Since": "Fri, 31 Dec 9999 23:59:59 GMT"},
        {"If-None-Match": "*"},
        {"If-None-Match": 'W/"1"', "If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
    ]
    for headers in known:
        answer = client.get("/fhir" + person, headers=headers)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == 'W/"1"'
    wanted: list[dict[str, str]] = [
        {"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"If-Modified-Since": "yesterday"},
        {"If-None-Match": 'W/"2"', "If-Modified-Since": date},
    ]
    for headers in wanted:
        assert client.get("/fhir" + person, headers=headers).status_code == 200


# -- letters -----------------------------------------------------------------------------------


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "us-ascii"])
def test_utf_8_is_understood(client: TestClient, charset: str) -> None:
    made = send(
        client, "PUT", "/Patient/a", a_patient("a"), content_type=f"{FHIR};charset={charset}"
    )
    assert made.status_code == 201


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", "windows-1258", ""])
def test_other_letters_are_refused(client: TestClient, charset: str) -> None:
    kind = f"{FHIR}; charset={charset}"
    made = send(client, "PUT", "/Patient/a", a_patient("a"), content_type=kind)
    assert refusal(made, 415) == "charset"
    form = f"application/x-www-form-urlencoded; charset={charset}"
    found = send(client, "POST", "/Patient/_search", b"name=a", content_type=form)
    assert refusal(found, 415) == "charset"


def test_bytes_that_are_not_utf_8_are_refused(client: TestClient) -> None:
    body = '{"resourceType":"Patient","id":"a","name":[{"text":"é"}]}'.encode("latin-1")
    assert refusal(send(client, "PUT", "/Patient/a", body), 400) == "not-json"


# -- packed bodies -----------------------------------------------------------------------------

PACKERS: dict[str, Any] = {
    "gzip": lambda body: gzip.compress(body),
    "x-gzip": lambda body: gzip.compress(body[:5]) + gzip.compress(body[5:]),
    "zstd": lambda body: zstandard.compress(body),
}


@pytest.mark.parametrize("coding", PACKERS)
def test_a_body_may_be_packed(client: TestClient, coding: str) -> None:
    body = PACKERS[coding](encode(a_patient("a")))
    made = send(client, "PUT", "/Patient/a", body, content_encoding=coding)
    assert made.status_code == 201
    assert client.get("/fhir/Patient/a").json()["name"] == a_patient("a")["name"]


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "nonsense"])
def test_a_coding_nobody_knows_is_refused(client: TestClient, coding: str) -> None:
    made = send(client, "PUT", "/Patient/a", a_patient("a"), content_encoding=coding)
    assert refusal(made, 415) == "content-encoding"


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_body_that_is_not_packed_as_it_says_is_refused(client: TestClient, coding: str) -> None:
    whole = PACKERS[coding](encode(a_patient("a")))
    for body in (b"", b"nonsense", whole[:-12], whole[:1], whole + b"rest"):
        made = send(client, "PUT", "/Patient/a", body, content_encoding=coding)
        assert refusal(made, 400) in {"content-encoding", "not-json"}, body


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_bomb_is_put_out_at_once(client: TestClient, coding: str) -> None:
    bomb = PACKERS[coding](b" " * 500_000_000)
    before = time.process_time()
    assert refusal(send(client, "POST", "", bomb, content_encoding=coding), 413) == "too-large"
    assert time.process_time() - before < 1


def test_the_bound_on_a_body_holds_unpacked() -> None:
    body = bytes(range(256)) * 1_000
    packed = zlib.compress(body, wbits=16 + zlib.MAX_WBITS)
    assert unpacked("gzip", packed, len(body)) == body
    with pytest.raises(Invalid, match="larger than 255999"):
        unpacked("gzip", packed, len(body) - 1)
