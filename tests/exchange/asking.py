"""Requests and answers in few words, for the tests of the FHIR API."""

from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient

from sokhoe.fhir import encode


def send(client: TestClient, method: str, path: str, body: Any = None, **headers: str) -> Any:
    """`body` is bytes or a value to be sent as JSON; header names with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    content = body if isinstance(body, bytes) or body is None else encode(body)
    return client.request(method, f"/fhir{path}", content=content, headers=named)


def refusal(answer: Any, status: int) -> str:
    """The answer is an OperationOutcome with this status; its slug."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome", body
    issue = body["issue"][0]
    assert issue["severity"] == "error"
    assert issue["diagnostics"]
    return str(issue["details"]["coding"][0]["code"])


def bundle(type: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": type, "entry": list(entries)}


def entry(method: str, url: str, resource: Any = None, full: str = "", **more: str) -> Any:
    out: dict[str, Any] = {"request": {"method": method, "url": url, **more}}
    if resource is not None:
        out["resource"] = resource
    if full:
        out["fullUrl"] = full
    return out
