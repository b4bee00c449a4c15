"""Behind a proxy: who really asks, and under which address we are known out there.

Only a proxy that the operator named (`trusted_proxies`) is believed; from anybody else these
headers are words. Read are `Forwarded` (RFC 7239) or, where it is not sent, X-Forwarded-For,
-Proto, -Host and -Prefix. The address of the asker is the last one that is no proxy of ours; proto,
host and prefix are those of the proxy next to us: whatever stands before them may be invented.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

from sokhoe.errors import Invalid

BASE = "sokhoe.base"  # in the scope: the address of this server as the asker's proxy knows it
_HOST = re.compile(r"(?:[A-Za-z0-9\-._]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?\Z")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9\-._~]{1,64}){1,8}\Z")
_PAIR = re.compile(r'\s*([A-Za-z]+)\s*=\s*(?:"([^"]*)"|([^;,"\s]*))\s*')

Network = IPv4Network | IPv6Network


def networks(setting: str) -> tuple[Network, ...]:
    """The proxies of the setting: addresses or networks, by comma. Raises Invalid."""
    try:
        return tuple(ip_network(one.strip()) for one in setting.split(",") if one.strip())
    except ValueError as error:
        raise Invalid(
            f"Setting trusted_proxies: {error}.",
            hint="Write addresses or networks: 127.0.0.1, 10.0.0.0/8",
            slug="setting-type",
            location="trusted_proxies",
        ) from None


class Forwarded:
    """In front of an application: tells it what a trusted proxy says of the asker."""

    def __init__(self, app: ASGIApp, trusted: Sequence[Network], base: str) -> None:
        self._app = app
        self._trusted = tuple(trusted)
        self._base = base

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client") if scope["type"] in ("http", "websocket") else None
        if client and self._is_ours(client[0]):
            scope = self._told(scope)
        await self._app(scope, receive, send)

    def _is_ours(self, address: str) -> bool:
        try:
            found = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(found.version == one.version and found in one for one in self._trusted)

    def _told(self, scope: Scope) -> Scope:
        steps = _steps(scope["headers"])
        if not steps:
            return scope
        out = dict(scope)
        for step in reversed(steps):
            address = _bare(step.get("for", ""))
            if not address:
                break
            out["client"] = (address, 0)
            if not self._is_ours(address):
                break
        nearest = steps[-1]
        proto, host = nearest.get("proto", "").lower(), nearest.get("host", "")
        prefix = nearest.get("prefix", "").rstrip("/")
        scheme, _, known = self._base.partition("://")
        if proto in ("http", "https"):
            scheme = proto
            out["scheme"] = {"http": "ws", "https": "wss"}[proto] if _ws(scope) else proto
        if _HOST.match(host):
            known = host
            kept = [pair for pair in scope["headers"] if pair[0] != b"host"]
            out["headers"] = [*kept, (b"host", host.encode())]
        out[BASE] = f"{scheme}://{known}{prefix if _PREFIX.match(prefix) else ''}"
        return out


def _ws(scope: Scope) -> bool:
    return bool(scope["type"] == "websocket")


def _steps(headers: Sequence[tuple[bytes, bytes]]) -> list[Mapping[str, str]]:
    """What each proxy on the way said, the nearest last."""
    joined: dict[bytes, str] = {}
    for name, value in headers:
        text = value.decode("latin-1")
        joined[name] = f"{joined[name]},{text}" if name in joined else text
    if b"forwarded" in joined:
        return [_pairs(one) for one in joined[b"forwarded"].split(",")]
    lists = {
        key: [one.strip() for one in joined[name].split(",")]
        for key, name in (
            ("for", b"x-forwarded-for"),
            ("proto", b"x-forwarded-proto"),
            ("host", b"x-forwarded-host"),
            ("prefix", b"x-forwarded-prefix"),
        )
        if name in joined
    }
    if not lists:
        return []
    steps: list[dict[str, str]] = [{"for": one} for one in lists.pop("for", [""])]
    steps[-1] |= {key: values[-1] for key, values in lists.items()}
    return list(steps)


def _pairs(step: str) -> Mapping[str, str]:
    found = (_PAIR.match(part) for part in step.split(";"))
    return {one[1].lower(): one[2] or one[3] or "" for one in found if one}


def _bare(address: str) -> str:
    """Without the port and the brackets; nothing for what is no address (`unknown`, `_hidden`)."""
    if address.startswith("["):
        address = address[1:].partition("]")[0]
    elif address.count(":") == 1:
        address = address.partition(":")[0]
    try:
        return str(ip_address(address))
    except ValueError:
        return ""
