"""Where may be sent to: listed hosts, public addresses, and never a way into our own network."""

from __future__ import annotations

import pytest

from sokhoe.errors import Forbidden, Invalid, SokhoeError, Unavailable
from sokhoe.trust.outside import Guard, Place, Resolve, check, listed, resolve

PUBLIC = "93.184.216.34"


def at(url: str, hosts: str, look_up: Resolve = resolve) -> Place:
    return check(url, Guard(listed(hosts), "hosts", "field", look_up))


def place(url: str, hosts: str, *addresses: str) -> str:
    return at(url, hosts, lambda host, port: list(addresses)).url


def test_a_listed_host_is_reached_at_the_address_that_was_checked() -> None:
    got = at("https://Lab.Example.org/in?a=b#c", " lab.example.org , x", lambda h, p: [PUBLIC])
    assert (got.url, got.host, got.name) == (
        f"https://{PUBLIC}:443/in?a=b",
        "lab.example.org",
        "lab.example.org",
    )
    six = at("https://lab.example.org:8443", "*", lambda h, p: ["2606:2800:220::1"])
    assert (six.url, six.host) == ("https://[2606:2800:220::1]:8443/", "lab.example.org:8443")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.3.4",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "2002:7f00:0001::",
        "64:ff9b::a00:1",
    ],
)
def test_an_unlisted_name_that_leads_inside_is_refused(address: str) -> None:
    with pytest.raises(Forbidden):
        place("https://example.org", "*", address)
    with pytest.raises(Forbidden):  # one bad address among good ones is enough
        place("https://example.org", "*", PUBLIC, address)


def test_a_private_host_is_reached_only_when_listed_by_name() -> None:
    assert place("https://lab.lan/x", "lab.lan", "10.0.0.5") == "https://10.0.0.5:443/x"
    with pytest.raises(Forbidden):
        place("http://lab.lan/x", "lab.lan", "10.0.0.5")  # unencrypted over the network


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "0.0.0.0", "::ffff:0.0.0.0"])
def test_some_addresses_are_refused_even_when_listed(address: str) -> None:
    with pytest.raises(Forbidden):
        place("https://lab.lan/x", "lab.lan", address)


def test_plain_http_is_for_this_machine_and_only_when_listed() -> None:
    assert place("http://localhost:9/x", "localhost", "127.0.0.1") == "http://127.0.0.1:9/x"
    assert place("http://localhost:9/x", "localhost:9", "127.0.0.1", "::1")
    for hosts in ("*", "", "localhost:10"):
        with pytest.raises(Forbidden):
            place("http://localhost:9/x", hosts, "127.0.0.1")
    with pytest.raises(Forbidden):
        place("http://example.org/x", "example.org", PUBLIC)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "//example.org",
        "file:///etc/passwd",
        "gopher://example.org",
        "https://",
        "https://user:pw@example.org",
        "https://user@example.org",
        "https://example.org:99999",
        "https://[::1",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        place(url, "*", PUBLIC)


@pytest.mark.parametrize("url", ["https://2130706433/", "https://0x7f.1/", "https://127.1/"])
def test_other_spellings_of_this_machine_are_looked_up_and_refused(url: str) -> None:
    with pytest.raises(SokhoeError):
        at(url, "*")


def test_a_name_that_is_not_known_is_tried_later() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    with pytest.raises(Unavailable):
        at("https://lab.example.org", "*", unknown)
    with pytest.raises(Unavailable):
        place("https://lab.example.org", "*")
