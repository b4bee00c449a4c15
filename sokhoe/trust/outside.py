"""Where we send to or fetch from: an address that came from outside (a Subscription, a client's
key set) must not lead into our own network.

The guard against server-side request forgery (OWASP ASVS 5, V1.3.6): the province lists the hosts
(settings `subscription_hosts`, `key_hosts`); names are resolved here, every address is checked, and
the connection goes to the address that was checked (so that a name which resolves differently a
moment later gains nothing). Redirects are not followed, a body has its bound in bytes and time.

    listed by name   https; may lie in the private network; `http` too where it is this machine
    listed as `*`    any other public host, https only
    not listed       refused
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit, urlunsplit

import httpx

from sokhoe import __version__
from sokhoe.errors import Forbidden, Invalid, Unavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]
EVERY = "*"
# What a demo may go to besides: a receiver that somebody tries beside it.
THIS_MACHINE = frozenset({"localhost", "127.0.0.1"})
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")  # an IPv4 address behind NAT64 (RFC 6052)
_PORTS = {"https": 443, "http": 80}
LARGEST = 65_536  # bytes of what is fetched
PATIENCE = 5.0  # seconds for a whole fetch, however slowly it comes


@dataclass(frozen=True, slots=True)
class Guard:
    """`hosts`: where may be gone; `setting`: what lists them; `field`: where the address stood,
    for the error; `look_up`: who resolves names."""

    hosts: frozenset[str]
    setting: str
    field: str
    look_up: Resolve | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """An address that may be sent to: `url` names the checked address, `host` is what the
    receiver is called (for the Host header and its certificate)."""

    url: str
    host: str
    name: str


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a name, by the machine's own resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def listed(setting: str) -> frozenset[str]:
    """The hosts of the setting, by comma."""
    return frozenset(one.strip().lower() for one in setting.split(",") if one.strip())


def check(url: str, guard: Guard) -> Place:
    """Raises Invalid (no such address can be), Forbidden (not allowed), Unavailable (the name
    cannot be resolved now)."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower().rstrip("."), parts.port
    except ValueError:
        raise Invalid(f"{url[:100]!r} is no address.", location=guard.field) from None
    if parts.scheme not in _PORTS or not host or parts.username or parts.password:
        raise Invalid(
            "The address must be https://host/path, without a user name.", location=guard.field
        )
    port = port or _PORTS[parts.scheme]
    named = bool({host, f"{host}:{port}"} & guard.hosts)
    if not named and EVERY not in guard.hosts:
        raise Forbidden(
            f"This server does not go to {host}.",
            hint=f"The operator may list it in the setting {guard.setting}.",
            slug="host-not-listed",
            location=guard.field,
        )
    try:
        look_up = guard.look_up or resolve
        found = [ipaddress.ip_address(one.partition("%")[0]) for one in look_up(host, port)]
    except (OSError, UnicodeError, ValueError):
        found = []
    if not found:
        raise Unavailable(f"The name {host} cannot be resolved.", location=guard.field)
    for one in found:
        if not may_reach(one, named=named, encrypted=parts.scheme == "https"):
            raise Forbidden(
                f"{host} leads to an address that this server does not go to.",
                hint="Plain http is for receivers on the same machine only."
                if parts.scheme == "http"
                else f"Private networks must be listed by name in {guard.setting}.",
                slug="address-refused",
                location=guard.field,
            )
    number = f"[{found[0]}]" if found[0].version == 6 else str(found[0])
    pinned = urlunsplit((parts.scheme, f"{number}:{port}", parts.path or "/", parts.query, ""))
    usual = port == _PORTS[parts.scheme]
    shown = f"[{host}]" if ":" in host else host
    return Place(pinned, shown if usual else f"{shown}:{port}", host)


@cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


def client(place: Place, timeout: float) -> httpx.Client:
    """An HTTP client for a checked place: no proxy of the environment, no redirects."""
    return httpx.Client(
        verify=_trusted() if place.url.startswith("https") else False,
        timeout=timeout,
        trust_env=False,
        follow_redirects=False,
        headers={"Host": place.host, "User-Agent": f"sokhoe/{__version__}"},
    )


def fetch(url: str, guard: Guard, accept: str = "application/json") -> bytes:
    """The body behind a checked address. Raises as `check`, and Unavailable for an answer that is
    not 200, too long, too slow or none."""
    place = check(url, guard)
    ends = time.monotonic() + PATIENCE
    try:
        with (
            client(place, PATIENCE) as http,
            http.stream(
                "GET",
                place.url,
                headers={"Accept": accept, "Accept-Encoding": "identity"},
                extensions={"sni_hostname": place.name},
            ) as answer,
        ):
            if answer.status_code != 200:
                raise _no_answer(place, guard, f"it answered {answer.status_code}")
            return _bounded(answer, place, guard, ends)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise _no_answer(place, guard, type(error).__name__) from None


def _bounded(answer: httpx.Response, place: Place, guard: Guard, ends: float) -> bytes:
    """Raw bytes: a packed body that unpacks to a thousand times as much is not unpacked."""
    body = b""
    for chunk in answer.iter_raw():
        body += chunk
        if len(body) > LARGEST:
            raise _no_answer(place, guard, f"it sends more than {LARGEST} bytes")
        if time.monotonic() > ends:
            raise _no_answer(place, guard, f"it took more than {PATIENCE:g} s")
    return body


def _no_answer(place: Place, guard: Guard, why: str) -> Unavailable:
    return Unavailable(
        f"{place.host} does not give what it should: {why}.",
        slug="outside-silent",
        location=guard.field,
    )


def may_reach(address: Address, *, named: bool, encrypted: bool) -> bool:
    """Whether this address may be sent to. Link-local ones (a cloud's metadata among them),
    multicast and the unspecified never; an IPv4 address inside an IPv6 one counts as itself."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return may_reach(inner, named=named, encrypted=encrypted)
    if (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or (address.is_reserved and not address.is_loopback)
    ):
        return False
    if not encrypted:
        return named and address.is_loopback
    return address.is_global or named
