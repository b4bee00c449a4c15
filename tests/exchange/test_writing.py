"""Conditional writes and patches over HTTP, on both databases, alone and in a crowd."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.exchange.asking import refusal, send
from tests.testland import Pack
from tests.worlds import Hub, a_patient

JSON_PATCH = "application/json-patch+json"
BY_ID = "identifier=urn:test:citizen|1"


def person(id: str | None = None, **more: Any) -> dict[str, Any]:
    patient = {**a_patient(id, citizen_id="1"), **more}
    if id is None:
        del patient["id"]
    return patient


def patched(client: TestClient, path: str, *operations: dict[str, Any], **headers: str) -> Any:
    return send(client, "PATCH", path, list(operations), content_type=JSON_PATCH, **headers)


def replace(path: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}


def in_a_crowd(count: int, work: Callable[[int], Any]) -> list[Any]:
    """All at once; what each got."""
    gate, answers = threading.Barrier(count), [None] * count

    def one(number: int) -> None:
        gate.wait()
        answers[number] = work(number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_a_conditional_create_makes_one_however_often_it_is_sent(client: TestClient) -> None:
    first = send(client, "POST", "/Patient", person(), if_none_exist=BY_ID)
    second = send(client, "POST", "/Patient", person(), if_none_exist=BY_ID)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    send(client, "POST", "/Patient", person())
    third = send(client, "POST", "/Patient", person(), if_none_exist=BY_ID)
    assert refusal(third, 412) == "several-match"


def test_a_crowd_that_creates_the_same_person_makes_one(both: Hub) -> None:
    clients = [both.software() for _ in range(8)]
    answers = in_a_crowd(
        8, lambda n: send(clients[n], "POST", "/Patient", person(), if_none_exist=BY_ID)
    )
    assert sorted(one.status_code for one in answers) == [200] * 7 + [201]
    assert len({one.json()["id"] for one in answers}) == 1
    assert len(both.gate.machine("ops").search("Patient").versions) == 1


def test_a_crowd_that_updates_by_condition_makes_one(both: Hub) -> None:
    clients = [both.software() for _ in range(8)]
    answers = in_a_crowd(
        8,
        lambda n: send(clients[n], "PUT", f"/Patient?{BY_ID}", person(birthDate=f"196{n}-01-01")),
    )
    assert sorted(one.status_code for one in answers) == [200] * 7 + [201]
    assert len({one.json()["id"] for one in answers}) == 1
    assert sorted(one.json()["meta"]["versionId"] for one in answers) == list("12345678")


def test_no_patch_of_a_crowd_is_lost(both: Hub) -> None:
    both.put({**person("p"), "name": []} | {"name": [{"text": "x"}]})
    clients = [both.software() for _ in range(6)]
    operation = {"op": "add", "path": "/name/-"}
    answers = in_a_crowd(
        6,
        lambda n: patched(clients[n], "/Patient/p", {**operation, "value": {"text": f"n{n}"}}),
    )
    assert [one.status_code for one in answers] == [200] * 6
    names = send(clients[0], "GET", "/Patient/p").json()["name"]
    assert sorted(one["text"] for one in names) == ["n0", "n1", "n2", "n3", "n4", "n5", "x"]


def test_a_conditional_update_follows_the_table_of_the_standard(client: TestClient) -> None:
    made = send(client, "PUT", f"/Patient?{BY_ID}", person())
    assert made.status_code == 201
    id = made.json()["id"]
    again = send(client, "PUT", f"/Patient?{BY_ID}", person(gender="female"))
    assert (again.status_code, again.json()["id"]) == (200, id)
    with_id = send(client, "PUT", f"/Patient?{BY_ID}", person(id, gender="other"))
    assert (with_id.status_code, with_id.headers["etag"]) == (200, 'W/"3"')
    other_id = send(client, "PUT", f"/Patient?{BY_ID}", person("another"))
    assert refusal(other_id, 400) == "condition"
    none_new = send(client, "PUT", "/Patient?identifier=urn:none|9", person("fresh"))
    assert (none_new.status_code, none_new.json()["id"]) == (201, "fresh")
    none_taken = send(client, "PUT", "/Patient?identifier=urn:none|9", person("fresh"))
    assert refusal(none_taken, 409) == "id-taken"
    several = send(client, "PUT", f"/Patient?{BY_ID}", person())
    assert refusal(several, 412) == "several-match"


def test_a_conditional_update_may_name_the_version(client: TestClient) -> None:
    send(client, "PUT", "/Patient/p", person("p"))
    stale = send(client, "PUT", f"/Patient?{BY_ID}", person(gender="other"), if_match='W/"7"')
    assert refusal(stale, 412) == "version-conflict"
    good = send(client, "PUT", f"/Patient?{BY_ID}", person(gender="other"), if_match='W/"1"')
    assert good.headers["etag"] == 'W/"2"'
    none = send(client, "PUT", "/Patient?identifier=urn:none|9", person(), if_match='W/"1"')
    assert refusal(none, 412) == "version-conflict"


@pytest.mark.parametrize(
    ("condition", "slug"),
    [
        ("", "condition"),
        ("_count=1", "condition"),
        ("_summary=count", "condition"),
        ("identifier=", "invalid"),
        ("nmae=x", "unknown-search-parameter"),
        ("_format=json", "condition"),
    ],
)
def test_a_condition_that_means_everything_is_refused(
    client: TestClient, condition: str, slug: str
) -> None:
    send(client, "PUT", "/Patient/p", person("p"))
    prefer = "handling=lenient"
    operation = replace("/gender", "other")
    for answer in (
        send(client, "DELETE", f"/Patient?{condition}", prefer=prefer),
        send(client, "PUT", f"/Patient?{condition}", person(), prefer=prefer),
        patched(client, f"/Patient?{condition}", operation, prefer=prefer),
    ):
        assert refusal(answer, 400) == slug
    assert send(client, "GET", "/Patient/p").json()["meta"]["versionId"] == "1"


def test_an_update_may_ask_to_be_the_first(client: TestClient) -> None:
    assert send(client, "PUT", "/Patient/p", person("p"), if_none_match="*").status_code == 201
    second = send(client, "PUT", "/Patient/p", person("p"), if_none_match="*")
    assert refusal(second, 412) == "version-conflict"


def test_if_match_takes_any_and_several(client: TestClient) -> None:
    assert refusal(send(client, "PUT", "/Patient/p", person("p"), if_match="*"), 412)
    send(client, "PUT", "/Patient/p", person("p"))
    changed = send(client, "PUT", "/Patient/p", person("p", gender="other"), if_match="*")
    assert changed.headers["etag"] == 'W/"2"'
    again = person("p", gender="female")
    assert refusal(send(client, "PUT", "/Patient/p", again, if_match='W/"7", W/"8"'), 412)
    some = send(client, "PUT", "/Patient/p", again, if_match='W/"7", W/"2"')
    assert some.headers["etag"] == 'W/"3"'


def test_a_json_patch_changes_what_it_says(client: TestClient) -> None:
    send(client, "PUT", "/Patient/p", person("p"))
    answer = patched(
        client,
        "/Patient/p",
        {"op": "test", "path": "/gender", "value": "male"},
        replace("/gender", "female"),
        {"op": "add", "path": "/active", "value": True},
    )
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
    assert (answer.json()["gender"], answer.json()["active"]) == ("female", True)
    failed = patched(client, "/Patient/p", {"op": "test", "path": "/gender", "value": "male"})
    assert refusal(failed, 422) == "patch-misfit"
    assert refusal(patched(client, "/Patient/p", replace("/id", "q")), 422) == "patch-misfit"
    assert refusal(patched(client, "/Patient/p", replace("", [])), 422) == "patch-misfit"
    wrong = patched(client, "/Patient/p", replace("/gender", "manly"))
    assert refusal(wrong, 422) == "not-r4"
    assert refusal(patched(client, "/Patient/none", replace("/gender", "male")), 404)
    stale = patched(client, "/Patient/p", replace("/gender", "male"), if_match='W/"1"')
    assert refusal(stale, 412) == "version-conflict"
    unknown = send(client, "PATCH", "/Patient/p", b"<x/>", content_type="application/xml-patch+xml")
    assert refusal(unknown, 415) == "media-type"


def test_a_patch_may_find_its_resource_by_condition(client: TestClient) -> None:
    operation = replace("/gender", "other")
    assert refusal(patched(client, f"/Patient?{BY_ID}", operation), 404)
    send(client, "PUT", "/Patient/p", person("p"))
    assert patched(client, f"/Patient?{BY_ID}", operation).json()["gender"] == "other"
    send(client, "PUT", "/Patient/q", person("q"))
    assert refusal(patched(client, f"/Patient?{BY_ID}", operation), 412) == "several-match"


@pytest.mark.parametrize(
    ("status", "after"), [("generated", None), ("extensions", None), ("additional", 422)]
)
def test_a_patch_does_not_leave_a_narrative_that_tells_the_old_story(
    client: TestClient, status: str, after: int | None
) -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml">Nam</div>'
    send(client, "PUT", "/Patient/p", person("p", text={"status": status, "div": div}))
    tagged = {"op": "add", "path": "/meta/tag", "value": [{"code": "x"}]}
    assert "text" in patched(client, "/Patient/p", tagged).json()
    answer = patched(client, "/Patient/p", replace("/gender", "female"))
    if after:
        assert refusal(answer, after) == "narrative"
        new = replace("/text/div", div.replace("Nam", "Nữ"))
        answer = patched(client, "/Patient/p", replace("/gender", "female"), new)
        assert "Nữ" in answer.json()["text"]["div"]
    else:
        assert "text" not in answer.json()


def test_a_delete_may_name_the_version(client: TestClient) -> None:
    send(client, "PUT", "/Patient/p", person("p"))
    assert refusal(send(client, "DELETE", "/Patient/p", if_match='W/"2"'), 412)
    gone = send(client, "DELETE", "/Patient/p", if_match='W/"1"')
    assert (gone.status_code, gone.headers["etag"], gone.content) == (204, 'W/"2"', b"")
    assert send(client, "DELETE", "/Patient/p").status_code == 204
    assert send(client, "DELETE", "/Patient/never").status_code == 204
    told = send(client, "DELETE", "/Patient/never", prefer="return=OperationOutcome")
    assert told.json()["issue"][0]["severity"] == "information"


def test_a_conditional_delete_takes_one_by_default(client: TestClient) -> None:
    assert send(client, "DELETE", f"/Patient?{BY_ID}").status_code == 204
    send(client, "PUT", "/Patient/p", person("p"))
    send(client, "PUT", "/Patient/q", person("q"))
    assert refusal(send(client, "DELETE", f"/Patient?{BY_ID}"), 412) == "several-match"
    assert send(client, "DELETE", "/Patient?_id=p").status_code == 204
    assert refusal(send(client, "GET", "/Patient/p"), 410) == "gone"
    assert refusal(send(client, "DELETE", f"/Patient?{BY_ID}", if_match='W/"9"'), 412)
    assert send(client, "DELETE", f"/Patient?{BY_ID}", if_match='W/"1"').status_code == 204


@pytest.mark.parametrize("setting", ["multiple", "no"])
def test_a_conditional_delete_follows_the_setting_and_the_statement_says_so(
    url: str, tmp_path: Path, setting: str
) -> None:
    with Hub(tmp_path, Pack(), database=url, conditional_delete=setting) as hub:
        client = hub.software()
        for id in "pqr":
            send(client, "PUT", f"/Patient/{id}", person(id))
        answer = send(client, "DELETE", f"/Patient?{BY_ID}")
        declared = send(client, "GET", "/metadata").json()["rest"][0]["resource"][100]
        if setting == "multiple":
            assert answer.status_code == 204
            assert refusal(send(client, "GET", "/Patient/q"), 410)
            assert declared["conditionalDelete"] == "multiple"
        else:
            assert refusal(answer, 405) == "conditional-delete"
            assert declared["conditionalDelete"] == "not-supported"


@pytest.mark.parametrize("version", ["9" * 30, "²", "-1", "1e3"])
def test_a_version_that_no_number_can_be_is_not_there(client: TestClient, version: str) -> None:
    send(client, "PUT", "/Patient/p", person("p"))
    answer = send(client, "GET", f"/Patient/p/_history/{version}")
    assert refusal(answer, 404) == "not-found"
