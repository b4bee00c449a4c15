"""How `sokhoe load` sends exchange files: sign in at the gateway, send, ask what became of it.

Fills `exchange.sender`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import httpx

from sokhoe.errors import Invalid, SignIn, Unavailable
from sokhoe.vietnam.files import VisitFile

PATIENCE = 60.0  # seconds to wait for the translation of one file


@dataclass(frozen=True, slots=True)
class Ticket:
    """A file that was accepted and whose outcome is asked for later."""

    tracking: str
    key: str
    token: str


class GatewaySender:
    name = "exchange file"

    def __init__(self) -> None:
        self._kind = VisitFile()
        self._tokens: dict[str, str] = {}

    def recognises(self, content: bytes) -> bool:
        return self._kind.recognises(content)

    def send(self, http: httpx.Client, account: str, content: bytes) -> Ticket:
        """Send one file. Raises Invalid when the gateway refuses it at the door."""
        token = self._token(http, account)
        headers = {"Content-Type": "application/xml", "Authorization": f"Bearer {token}"}
        answer = _said(_asked(http, "POST", "/api/kham-chua-benh/hoan-tat", headers, content))
        return Ticket(answer["data"]["tracking_id"], answer["data"]["ma_lk"], token)

    def outcome(self, http: httpx.Client, ticket: Ticket) -> str:
        """Why a file was refused after all, "" when it is in the record."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            path = "/api/kham-chua-benh/ho-so/trang-thai"
            headers = {"Authorization": f"Bearer {ticket.token}"}
            answer = _said(_asked(http, "GET", path, headers, params={"ma_lk": ticket.key}))
            one = next(r for r in answer["data"]["requests"] if r["tracking_id"] == ticket.tracking)
            if one["validation_status"] == "VALID":
                return ""
            if one["validation_status"] == "INVALID":
                first = next(e for e in one["errors"] if e["severity"] == "ERROR")
                return f"{first['field_path']}: {first['message']}"
            time.sleep(0.2)
        return f"The gateway has not finished it after {PATIENCE:.0f} seconds."

    def _token(self, http: httpx.Client, account: str) -> str:
        if account not in self._tokens:
            name, _, password = account.partition(":")
            body = {"username": name, "password": password}
            try:
                answer = http.post("/api/xac-thuc/token", json=body)
            except httpx.HTTPError as error:
                raise Unavailable(
                    f"The gateway does not answer ({type(error).__name__})."
                ) from None
            if answer.status_code != 200:
                raise SignIn("The gateway refused the account.", hint="--gateway USER:PASSWORD")
            self._tokens[account] = answer.json()["data"]["access_token"]
        return self._tokens[account]


def _asked(
    http: httpx.Client,
    method: str,
    path: str,
    headers: dict[str, str],
    content: bytes = b"",
    params: dict[str, str] | None = None,
) -> httpx.Response:
    try:
        return http.request(method, path, content=content, headers=headers, params=params)
    except httpx.HTTPError as error:
        raise Unavailable(f"The gateway does not answer ({type(error).__name__}).") from None


def _said(answer: httpx.Response) -> dict[str, Any]:
    value: dict[str, Any] = answer.json()
    if answer.status_code != 200:
        errors = answer.json().get("errors") or [{"field_path": "", "message": answer.text[:200]}]
        raise Invalid(f"{errors[0]['field_path']}: {errors[0]['message']}".lstrip(": "))
    return value
