"""Addresses that lead inside, in short; `make hardening` tries each in each field."""

from __future__ import annotations

import socket
import threading
from random import Random

import pytest

from hardening import ssrf
from sokhoe.errors import SokhoeError
from sokhoe.trust import outside

HOSTS = frozenset({"*"})


def test_nobody_comes_into_the_trap() -> None:
    outcome = ssrf.run(n=340, seed=5)
    assert not outcome.bad, outcome.examples
    assert outcome.planted_caught


def test_the_trap_sees_who_comes() -> None:
    trap = ssrf.Trap()
    try:
        assert len(ssrf.addresses(trap.port, Random(1))) >= 120
        with socket.create_connection(("127.0.0.1", trap.port)) as caller:
            caller.sendall(b"hello")
            caller.recv(1)
        assert trap.seen == ["hello"]
    finally:
        trap.close()


def test_the_guard_alone_refuses_every_address() -> None:
    guard = outside.Guard(HOSTS, "key_hosts", "jwks_uri")
    with ssrf.no_way_out():
        for url in ssrf.addresses(9, Random(1)):
            try:
                place = outside.check(url, guard)
            except SokhoeError:
                continue
            assert ssrf.PUBLIC in place.url, (url, place)  # what is public, by number and for good


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", "302"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 70_000, "more than"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 70_000, "more than"),
        (b"nonsense\r\n\r\n", "RemoteProtocolError"),
    ],
)
def test_a_fetch_has_its_bounds(answer: bytes, why: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]

        def serve() -> None:
            caller, _ = listener.accept()
            with caller:
                caller.recv(1000)
                caller.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        guard = outside.Guard(frozenset({"127.0.0.1"}), "key_hosts", "jwks_uri")
        with pytest.raises(SokhoeError, match=why):
            outside.fetch(f"http://127.0.0.1:{port}/keys", guard)
        thread.join(5)
