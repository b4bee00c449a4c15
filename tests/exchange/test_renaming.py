"""Links inside a Bundle are renamed, other texts are not; both ways of doing it agree."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from starlette.testclient import TestClient

from sokhoe.errors import Conflict
from sokhoe.exchange.fhir_api.renaming import rename, renaming_plainly
from tests.exchange.asking import bundle, entry, send
from tests.worlds import a_patient

NAMES = {
    "urn:uuid:1": "Patient/a",
    "urn:oid:2": "Encounter/b",
    "http://x/Patient/3": "Patient/c",
}
TEXTS = some.sampled_from(
    [
        *NAMES,
        *("urn:uuid:9", "Patient/3", "Patient?identifier=1", "", "urn:", "reference"),
        "<div><a href=\"urn:uuid:1\">x</a> urn:uuid:1 <img src = 'urn:oid:2'/></div>",
        '<div><a href="urn:uuid:9">x</a><a title="urn:uuid:1">y</a></div>',
    ]
)
KEYS = some.sampled_from(
    "reference subject value url system identifier photo extension valueUri valueString "
    "instantiatesUri contained resource parameter text div part resourceType".split()
)
VALUES = some.recursive(
    TEXTS | some.none() | some.booleans() | some.integers() | some.sampled_from(["Patient"]),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(KEYS, inner, max_size=4),
    max_leaves=30,
)
TYPES = some.sampled_from(["Patient", "Parameters", "CarePlan", "Bundle", "Nothing"])


def resolve(reference: str) -> str:
    return f"Found/{reference}" if "?" in reference else reference


@given(TYPES, some.dictionaries(KEYS, VALUES, max_size=5))
def test_both_ways_of_renaming_agree(type: str, content: dict[str, Any]) -> None:
    resource = {**content, "resourceType": type}
    if "div" in str(resource):
        # only a narrative has a div; elsewhere the two need not agree on what nobody may write
        resource["text"] = {"status": "generated", "div": str(content.get("div", ""))}
        resource = {key: one for key, one in resource.items() if key in ("resourceType", "text")}
    wanted = renaming_plainly(copy.deepcopy(resource), NAMES, resolve, type)
    rename(resource, NAMES, resolve)
    assert resource == wanted


def test_a_reference_nobody_answers_to_ends_the_renaming() -> None:
    def refuse(reference: str) -> str:
        raise Conflict(reference)

    with pytest.raises(Conflict):
        rename({"a": [{"reference": "Patient?x=1"}]}, NAMES, refuse)


def test_a_link_is_renamed_and_what_only_looks_like_one_is_not() -> None:
    resource = {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": "urn:uuid:1"}],
        "photo": [{"url": "urn:uuid:1", "title": "urn:uuid:1"}],
        "extension": [{"url": "x", "valueUri": "urn:oid:2"}, {"url": "x", "valueCode": "urn:"}],
        "contained": [{"resourceType": "CarePlan", "instantiatesUri": ["y", "urn:uuid:1"]}],
        "text": {"div": "<div>urn:uuid:1 <a href=\"urn:uuid:1\">x</a><img src='urn:oid:2'/></div>"},
    }
    rename(resource, NAMES, resolve)
    assert resource == {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": "urn:uuid:1"}],
        "photo": [{"url": "Patient/a", "title": "urn:uuid:1"}],
        "extension": [{"url": "x", "valueUri": "Encounter/b"}, {"url": "x", "valueCode": "urn:"}],
        "contained": [{"resourceType": "CarePlan", "instantiatesUri": ["y", "Patient/a"]}],
        "text": {
            "div": "<div>urn:uuid:1 <a href=\"Patient/a\">x</a><img src='Encounter/b'/></div>"
        },
    }


def test_a_transaction_renames_links_and_keeps_identifiers(client: TestClient) -> None:
    name = "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9"
    patient = a_patient()
    del patient["id"]
    patient["identifier"] = [{"system": "urn:ietf:rfc:3986", "value": name}]
    paper = {
        "resourceType": "DocumentReference",
        "status": "current",
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{name}">An</a></div>',
        },
        "subject": {"reference": name},
        "content": [{"attachment": {"url": name, "title": name}}],
    }
    sent = bundle(
        "transaction",
        entry("POST", "Patient", patient, name),
        entry("POST", "DocumentReference", paper),
    )
    made = send(client, "POST", "", sent).json()["entry"]
    ref = made[0]["response"]["location"].partition("/_history")[0]
    assert client.get(f"/fhir/{ref}").json()["identifier"] == patient["identifier"]
    kept = client.get(f"/fhir/{made[1]['response']['location'].partition('/_history')[0]}").json()
    assert kept["subject"] == {"reference": ref}
    assert kept["content"][0]["attachment"] == {"url": ref, "title": name}
    assert f'<a href="{ref}">' in kept["text"]["div"]
