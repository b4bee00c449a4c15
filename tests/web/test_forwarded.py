"""Proxies that the operator named are believed, nobody else is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from hardening.asking import Answer, Request, ask
from sokhoe.errors import Invalid
from sokhoe.web.forwarded import BASE, Forwarded, networks
from tests.testland import Pack
from tests.worlds import Hub, a_patient

OURS = "http://127.0.0.1:8600"


def told(headers: dict[str, str], peer: str = "10.0.0.1") -> tuple[str, str | None]:
    """The asker's address, and our own, as the application learns them."""
    seen: list[tuple[str, str | None]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["client"][0], scope.get(BASE)))

    wire = tuple((name.lower().encode(), value.encode()) for name, value in headers.items())
    believing = Forwarded(app, networks("10.0.0.0/8, ::1"), OURS)
    asyncio.run(ask(believing, Request("GET", "/fhir", wire), client=peer))
    return seen[0]


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({}, ("10.0.0.1", None)),
        ({"X-Forwarded-For": "1.2.3.4"}, ("1.2.3.4", OURS)),
        ({"X-Forwarded-For": "6.6.6.6, 1.2.3.4"}, ("1.2.3.4", OURS)),
        ({"X-Forwarded-For": "1.2.3.4, 10.0.0.9"}, ("1.2.3.4", OURS)),
        ({"X-Forwarded-For": "1.2.3.4:5555"}, ("1.2.3.4", OURS)),
        ({"X-Forwarded-For": "unknown"}, ("10.0.0.1", OURS)),
        ({"X-Forwarded-For": "nonsense, 10.0.0.2"}, ("10.0.0.2", OURS)),
        ({"X-Forwarded-Host": "kham.example"}, ("10.0.0.1", "http://kham.example")),
        (
            {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example, kham.example:8443"},
            ("10.0.0.1", "https://kham.example:8443"),
        ),
        (
            {"X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/tinh/vl/"},
            ("10.0.0.1", "https://127.0.0.1:8600/tinh/vl"),
        ),
        ({"X-Forwarded-Proto": "javascript"}, ("10.0.0.1", OURS)),
        ({"X-Forwarded-Host": "a b"}, ("10.0.0.1", OURS)),
        ({"X-Forwarded-Host": "kham.example/x?"}, ("10.0.0.1", OURS)),
        ({"X-Forwarded-Prefix": "/a/../b?<"}, ("10.0.0.1", OURS)),
        (
            {"Forwarded": 'for="[2001:db8::1]:4711";proto=https;host=kham.example'},
            ("2001:db8::1", "https://kham.example"),
        ),
        (
            {"Forwarded": "for=6.6.6.6;host=evil.example, for=1.2.3.4;host=kham.example"},
            ("1.2.3.4", "http://kham.example"),
        ),
        ({"Forwarded": "for=_hidden", "X-Forwarded-For": "1.2.3.4"}, ("10.0.0.1", OURS)),
        ({"Forwarded": ";;;=,"}, ("10.0.0.1", OURS)),
    ],
)
def test_a_trusted_proxy_is_believed(
    headers: dict[str, str], wanted: tuple[str, str | None]
) -> None:
    assert told(headers) == wanted


def test_nobody_else_is_believed() -> None:
    lies = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Host": "evil.example", "Forwarded": "for=x"}
    for peer in ("11.0.0.1", "2001:db8::1", "testclient"):
        assert told(lies, peer) == (peer, None)


def test_a_setting_that_names_no_address_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="trusted_proxies"):
        Hub(tmp_path / "hub", Pack(), trusted_proxies="my proxy")


def fhir(hub: Hub, target: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named["authorization"] = hub.software().headers["Authorization"]
    wire = tuple((name.encode(), value.encode()) for name, value in named.items())
    return asyncio.run(ask(hub.app, Request("GET", target, wire)))


PROXY: dict[str, Any] = {"x_forwarded_host": "kham.example", "x_forwarded_proto": "https"}


def test_links_lead_to_where_the_asker_came_from(tmp_path: Path) -> None:
    with Hub(tmp_path / "hub", Pack(), trusted_proxies="127.0.0.1") as hub:
        hub.put(a_patient("p1", citizen_id="1"))
        for target in (
            "/fhir/Patient?identifier=1",
            "/fhir/Patient?name=an",
            "/fhir/Patient/p1/_history",
        ):
            body = fhir(hub, target, x_forwarded_for="1.2.3.4", **PROXY).body.decode()
            assert '"fullUrl":"https://kham.example/fhir/Patient/p1"' in body
            assert OURS not in body
        assert hub.store.entries(count=1)[0].entry.address == "1.2.3.4"


def test_without_the_setting_links_lead_here(tmp_path: Path) -> None:
    with Hub(tmp_path / "hub", Pack()) as hub:
        hub.put(a_patient("p1"))
        answer = fhir(hub, "/fhir/Patient?name=an", x_forwarded_for="1.2.3.4", **PROXY)
        assert f'"fullUrl":"{OURS}/fhir/Patient/p1"' in answer.body.decode()
        assert hub.store.entries(count=1)[0].entry.address == "127.0.0.1"
