"""Where we send to: an address that came from a Subscription must not lead into our own network.

The guard against server-side request forgery (OWASP ASVS 5, V1.3.6): the province lists the hosts
it sends to (setting `subscription_hosts`); names are resolved here, every address is checked, and
the connection goes to the address that was checked (so that a name which resolves differently a
moment later gains nothing). Redirects are not followed.

    listed by name   https; may lie in the private network; `http` too where it is this machine
    listed as `*`    any other public host, https only
    not listed       refused
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from sokhoe.errors import Forbidden, Invalid, Unavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]
EVERY = "*"
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")  # an IPv4 address behind NAT64 (RFC 6052)
_PORTS = {"https": 443, "http": 80}
_WHERE = "Subscription.channel.endpoint"


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


def check(url: str, hosts: frozenset[str], look_up: Resolve = resolve) -> Place:
    """Raises Invalid (no such address can be), Forbidden (not allowed), Unavailable (the name
    cannot be resolved now)."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower().rstrip("."), parts.port
    except ValueError:
        raise Invalid(f"{url[:100]!r} is no address.", location=_WHERE) from None
    if parts.scheme not in _PORTS or not host or parts.username or parts.password:
        raise Invalid(
            "The endpoint must be https://host/path, without a user name.", location=_WHERE
        )
    port = port or _PORTS[parts.scheme]
    named = bool({host, f"{host}:{port}"} & hosts)
    if not named and EVERY not in hosts:
        raise Forbidden(
            f"This server does not send to {host}.",
            hint="The operator may list it in the setting subscription_hosts.",
            slug="host-not-listed",
            location=_WHERE,
        )
    try:
        found = [ipaddress.ip_address(one.partition("%")[0]) for one in look_up(host, port)]
    except (OSError, UnicodeError, ValueError):
        found = []
    if not found:
        raise Unavailable(f"The name {host} cannot be resolved.", location=_WHERE)
    for one in found:
        if not may_reach(one, named=named, encrypted=parts.scheme == "https"):
            raise Forbidden(
                f"{host} leads to an address that this server does not send to.",
                hint="Plain http is for receivers on the same machine only."
                if parts.scheme == "http"
                else "Private networks must be listed by name in subscription_hosts.",
                slug="address-refused",
                location=_WHERE,
            )
    number = f"[{found[0]}]" if found[0].version == 6 else str(found[0])
    pinned = urlunsplit((parts.scheme, f"{number}:{port}", parts.path or "/", parts.query, ""))
    usual = port == _PORTS[parts.scheme]
    shown = f"[{host}]" if ":" in host else host
    return Place(pinned, shown if usual else f"{shown}:{port}", host)


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
