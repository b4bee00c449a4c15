"""Files come and go as they are, on both databases, and no browser takes one for a page of ours."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.exchange.asking import bundle, entry, refusal, send
from tests.worlds import Hub

PDF = b"%PDF-1.7\x00\xff\xfe\r\n"
RESOURCE = {
    "resourceType": "Binary",
    "contentType": "application/pdf",
    "data": b64encode(PDF).decode(),
}
FHIR = {"Accept": "application/fhir+json"}


def kept(client: TestClient, body: bytes, kind: str, **headers: str) -> str:
    """Send a file; its address."""
    made = send(client, "POST", "/Binary", body, content_type=kind, **headers)
    assert made.status_code == 201, made.text
    assert made.json()["resourceType"] == "Binary"
    return f"/fhir/Binary/{made.json()['id']}"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/pdf", PDF),
        ("text/html; charset=utf-8", b"<script>alert(1)</script>"),
        ("text/csv", "tên,tuổi\n".encode()),
        ("text/plain; charset=windows-1258", b"t\xean"),
        ("application/json", b'{"resourceType":"a file of somebody"}'),
        ("application/json", b"[1, 2"),
        ("text/xml", b"<a/>"),
        ("image/png", bytes(range(256)) * 40),
    ],
)
def test_a_file_goes_as_it_came(client: TestClient, kind: str, body: bytes) -> None:
    path = kept(client, body, kind)
    # JSON and XML in general mean FHIR here, as at any address of /fhir
    own = "*/*" if kind in ("application/json", "text/xml") else kind
    for accepted in (own, "*/*", "image/*", "text/html", "application/fhir+json;q=0, x/y"):
        answer = client.get(path, headers={"Accept": accepted})
        assert (answer.status_code, answer.content) == (200, body)
        assert answer.headers["content-type"] == kind
        assert answer.headers["etag"] == 'W/"1"'
    resource = client.get(path, headers=FHIR).json()
    assert (resource["contentType"], resource["data"]) == (kind, b64encode(body).decode())
    assert client.get(path + "?_format=json").json() == resource
    assert client.get(path + "/_history/1").content == body
    assert client.get(path + "/_history/1", headers=FHIR).json() == resource
    head = client.head(path)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(body)))
    assert client.get(path, headers={"If-None-Match": 'W/"1"'}).status_code == 304


def test_a_browser_may_only_save_it(client: TestClient) -> None:
    path = kept(client, b"<script>alert(1)</script>", "text/html")
    headers = client.get(path).headers
    assert headers["content-disposition"] == "attachment"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; sandbox"


def test_a_resource_is_still_a_resource(client: TestClient) -> None:
    for kind in ("application/fhir+json", "application/json"):
        made = send(client, "POST", "/Binary", RESOURCE, content_type=kind)
        assert client.get(f"/fhir/Binary/{made.json()['id']}").content == PDF
    put = send(client, "PUT", "/Binary/b1", {**RESOURCE, "id": "b1"})
    assert put.status_code == 201
    replaced = send(
        client, "PUT", "/Binary/b1", b"new", content_type="text/plain", if_match='W/"1"'
    )
    assert (replaced.status_code, replaced.headers["etag"]) == (200, 'W/"2"')
    assert client.get("/fhir/Binary/b1").content == b"new"
    assert client.get("/fhir/Binary/b1/_history/1").content == PDF
    assert client.delete("/fhir/Binary/b1").status_code == 204
    assert refusal(client.get("/fhir/Binary/b1"), 410) == "gone"
    assert client.get("/fhir/Binary").json()["type"] == "searchset"


def test_whose_file_it_is_is_kept(client: TestClient) -> None:
    path = kept(client, PDF, "application/pdf", x_security_context="Patient/p1")
    told = client.get(path, headers=FHIR).json()
    assert told["securityContext"] == {"reference": "Patient/p1"}
    bad = {"x_security_context": "http://x/Patient/1", "content_type": "application/pdf"}
    assert refusal(send(client, "POST", "/Binary", PDF, **bad), 400) == "invalid"


@pytest.mark.parametrize(
    ("kind", "body", "status", "slug"),
    [
        ("", PDF, 415, "media-type"),
        ("nonsense", PDF, 415, "media-type"),
        ("text/html\x7f", PDF, 415, "media-type"),
        ("application/pdf", b"", 400, "invalid"),
        ("application/fhir+json", b"nonsense", 400, "not-json"),
        ("application/fhir+json", b'{"resourceType":"Patient"}', 400, "invalid"),
        ("application/json", b'{"resourceType":"Patient"}', 400, "invalid"),
    ],
)
def test_what_is_no_file_is_refused(
    client: TestClient, kind: str, body: bytes, status: int, slug: str
) -> None:
    assert refusal(send(client, "POST", "/Binary", body, content_type=kind), status) == slug


def test_who_may_not_read_files_gets_none(both: Hub, client: TestClient) -> None:
    path = kept(client, PDF, "application/pdf")
    stranger = both.software("system/Patient.rs")
    assert refusal(stranger.get(path), 403) == "scope-missing"
    assert both.client().get(path).status_code == 401
    line = both.store.entries(count=1)[0].entry
    assert (line.outcome, line.what) == ("4", (path.removeprefix("/fhir/"),))


def test_a_bundle_holds_the_resource(client: TestClient) -> None:
    path = kept(client, PDF, "application/pdf")
    asked = bundle("batch", entry("GET", path.removeprefix("/fhir/")))
    answer = send(client, "POST", "", asked).json()["entry"][0]
    assert answer["resource"]["data"] == RESOURCE["data"]


# -- what the standard brings along ------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("ValueSet/administrative-gender", "http://hl7.org/fhir/ValueSet/administrative-gender"),
        ("CodeSystem/observation-status", "http://hl7.org/fhir/observation-status"),
    ],
)
def test_definitions_of_the_standard_are_read_by_their_id(
    client: TestClient, path: str, canonical: str
) -> None:
    found: dict[str, Any] = client.get(f"/fhir/{path}").json()
    assert (found["resourceType"], found["url"]) == (path.partition("/")[0], canonical)
    assert found["id"] == path.partition("/")[2]
    brief = client.get(f"/fhir/{path}?_elements=url").json()
    assert brief["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert refusal(client.get(f"/fhir/{path.partition('/')[0]}/no-such-thing"), 404) == "not-found"


def test_who_may_not_read_code_lists_does_not_read_the_standard(both: Hub) -> None:
    stranger = both.software("system/Patient.rs")
    assert refusal(stranger.get("/fhir/ValueSet/administrative-gender"), 403) == "scope-missing"
