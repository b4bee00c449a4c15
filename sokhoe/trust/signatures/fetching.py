"""Asking others over the line: time stamps, certificate status, signing services.

Addresses come from the settings and from certificates that lead to an authority we trust, never
from a paper somebody hands in. No redirects; the answer is bounded in time and size.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx

from sokhoe.errors import Invalid, Unavailable
from sokhoe.fhir import decode, encode

SECONDS = 10.0
MOST_ANSWER = 1_000_000
MOST_LIST = 20_000_000  # a revocation list of a large authority


@cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the machine's authorities takes longer than asking."""
    return ssl.create_default_context()


def _client() -> httpx.Client:
    return httpx.Client(timeout=SECONDS, follow_redirects=False, trust_env=False, verify=_tls())


def fetch(url: str, *, body: bytes | None = None, kind: str = "", most: int = MOST_ANSWER) -> bytes:
    """GET, or POST of `body`. Raises Unavailable unless the answer is 200 and small enough."""
    status, answer = _send(url, body, {"Content-Type": kind} if kind else {}, most)
    if status != 200:
        raise Unavailable(f"{_host(url)} answered {status}.", slug="trust-service")
    return answer


def post_json(
    url: str, body: Mapping[str, Any], headers: Mapping[str, str], *, most: int
) -> tuple[int, dict[str, Any]]:
    given = {"Content-Type": "application/json", **headers}
    status, answer = _send(url, encode(dict(body)), given, most)
    try:
        value = decode(answer)
    except Invalid as error:
        raise Unavailable(f"{_host(url)} did not answer JSON.", slug="trust-service") from error
    return status, value if isinstance(value, dict) else {}


def _send(url: str, body: bytes | None, headers: Mapping[str, str], most: int) -> tuple[int, bytes]:
    if not url.startswith(("http://", "https://")):
        raise Unavailable(f"{url!r} is not an address we ask.", slug="trust-service")
    method = "GET" if body is None else "POST"
    try:
        with (
            _client() as client,
            client.stream(method, url, content=body, headers=dict(headers)) as answer,
        ):
            held = bytearray()
            for piece in answer.iter_bytes():
                held += piece
                if len(held) > most:
                    raise Unavailable(f"{_host(url)} answers too much.", slug="trust-service")
            return answer.status_code, bytes(held)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unavailable(
            f"{_host(url)} does not answer.",
            hint="What is signed waits, and is completed when the line is back.",
            slug="trust-service",
        ) from error


def _host(url: str) -> str:
    return url.split("/")[2] if url.count("/") > 1 else url[:60]
