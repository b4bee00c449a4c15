"""Check 28: addresses that lead inside, in every field that takes an address.

A trap listens on this machine; whatever reaches it is bad. Names are resolved by a resolver of our
own that lies as attackers' resolvers do (rebinding: public at the first look, ours at the second),
and no packet leaves the machine. The fields: endpoints of Subscriptions (the handshake too), key
sets of clients (`jwks_uri`), `jku`, `x5u` and `request_uri`, addresses of apps, and the addresses
in records, which nobody may follow.
"""

from __future__ import annotations

import ipaddress
import logging
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from hardening import Outcome
from sokhoe.errors import SokhoeError
from sokhoe.fhir import encode
from sokhoe.trust import ASSERTION_TYPE, Client, Kind, outside
from tests.exchange.launching import an_app, asked
from tests.testland import Pack
from tests.trust.vendor import an_ec_key, claims, signed
from tests.worlds import Hub

LOG = logging.getLogger("sokhoe.exchange")  # it says of each Subscription why it is off
PUBLIC = "93.184.216.34"  # what our resolver says of names that are public
# Inside, but not this machine: no trap can lie there, the guard must refuse by itself.
INSIDE = (
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "198.18.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "0.0.0.0",
    "[fe80::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[::]",
    "[2001:db8::1]",
)


class Trap:
    """Listens, and counts who comes; `redirector` is a listed receiver that sends people here."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._sockets: list[socket.socket] = []
        self.port = self._listen(socket.AF_INET, "127.0.0.1", 0)
        if socket.has_ipv6:
            with suppress(OSError):
                self._listen(socket.AF_INET6, "::1", self.port)
        trap = self

        class Redirecting(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.send_response(302 if "302" in self.path else 307)
                self.send_header("Location", f"http://127.0.0.1:{trap.port}/inside")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *args: Any) -> None:
                return None

        self._redirector = ThreadingHTTPServer(("127.0.0.1", 0), Redirecting)
        self.redirector = int(self._redirector.server_address[1])
        threading.Thread(target=self._redirector.serve_forever, daemon=True).start()

    def _listen(self, family: int, host: str, port: int) -> int:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
        self._sockets.append(listener)
        threading.Thread(target=self._wait, args=(listener,), daemon=True).start()
        return int(listener.getsockname()[1])

    def _wait(self, listener: socket.socket) -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            caller.settimeout(1)
            try:
                said = caller.recv(200)
            except OSError:
                said = b""
            self.seen.append(said[:100].decode("latin-1"))
            caller.close()

    def close(self) -> None:
        for one in self._sockets:
            one.close()
        self._redirector.shutdown()
        self._redirector.server_close()


def addresses(port: int, rng: Random) -> list[str]:
    """Ways to write an address inside; `port` is the trap's."""
    hosts = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "127.0.0.01",
        "2130706433",
        "0x7f000001",
        "0x7f.0x0.0x0.0x1",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "0177.0.0.01",
        "00000177.0.0.1",
        "127.0.0.1.",
        "0",
        "0.0.0.0",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "ip6-localhost",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[0000:0000:0000:0000:0000:0000:0000:0001]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[::]",
        "[::ffff:0.0.0.0]",
        "[2002:7f00:1::]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[::1%25lo]",
        "[::ffff:169.254.169.254]",
        "[2002:a9fe:a9fe::]",
        "①②⑦.⓪.⓪.①",
        "１２７.0.0.1",
        "127。0。0。1",
        "127.0.0.1%00.example.org",
        "%31%32%37.0.0.1",
        "rebind.example",
        "inside.example",
        "both.example",
        "six.example",
        "mapped.example",
        "metadata.example",
        f"127.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}",
        *INSIDE,
    ]
    plain = [f"{scheme}://{host}:{port}/x" for host in hosts for scheme in ("http", "https")]
    odd = [
        f"http://public.example@127.0.0.1:{port}/",
        f"https://public.example:443@127.0.0.1:{port}/",
        f"http://127.0.0.1:{port}@public.example/",
        f"http://public.example#@127.0.0.1:{port}/",
        f"http://public.example\\@127.0.0.1:{port}/",
        f"http://127.0.0.1:{port}\\@public.example/",
        f"http:\\\\127.0.0.1:{port}/",
        f"http:/127.0.0.1:{port}/",
        f"http:127.0.0.1:{port}/",
        f"//127.0.0.1:{port}/",
        f" http://127.0.0.1:{port}/",
        f"http://127.0.0.1:{port}/\r\nHost: public.example",
        f"http://127.0.0.1\t:{port}/",
        f"http://[::1]:{port}\n/",
        f"http://127.0.0.1 :{port}/",
        f"HTTP://127.0.0.1:{port}/",
        f"ftp://127.0.0.1:{port}/",
        f"gopher://127.0.0.1:{port}/_x",
        f"dict://127.0.0.1:{port}/x",
        f"ws://127.0.0.1:{port}/",
        f"ldap://127.0.0.1:{port}/x",
        f"jar:http://127.0.0.1:{port}/!/",
        f"url:http://127.0.0.1:{port}/",
        f"http+unix://127.0.0.1:{port}/",
        "file:///etc/passwd",
        "file://127.0.0.1/etc/passwd",
        "data:application/json,{}",
        "unix:/tmp/x",
        f"https://rebind.example:{port}/keys",
        f"https://public.example.@127.0.0.1:{port}/",
        f"http://%6c%6f%63alhost:{port}/",
        f"http://127.0.0.1:{port:07d}/",
        f"http://127.0.0.1:{port}?@public.example",
        f"http://127.0.0.1:{port};@public.example/",
    ]
    return [*plain, *odd]


def redirecting(port: int) -> list[str]:
    """A receiver that may be sent to, and sends us on to the trap."""
    return [f"http://127.0.0.1:{port}/302", f"http://127.0.0.1:{port}/307"]


class Resolver:
    """A resolver that lies. Numbers are read by the machine's own, which knows all spellings."""

    def __init__(self) -> None:
        self._asked: dict[str, int] = {}
        self._real = socket.getaddrinfo
        self._names = {
            "public.example": ["93.184.216.34"],
            "inside.example": ["127.0.0.1"],
            "both.example": [PUBLIC, "127.0.0.1"],
            "six.example": ["::1"],
            "mapped.example": ["::ffff:127.0.0.1"],
            "metadata.example": ["169.254.169.254"],
            "localhost": ["127.0.0.1", "::1"],
            "ip6-localhost": ["::1"],
        }

    def __call__(self, host: Any, port: Any, *args: Any, **more: Any) -> Any:
        name = (host.decode() if isinstance(host, bytes) else str(host)).lower().rstrip(".")
        if name == "rebind.example":
            self._asked[name] = self._asked.get(name, 0) + 1
            found = [PUBLIC] if self._asked[name] % 2 else ["127.0.0.1"]
        elif name in self._names:
            found = self._names[name]
        elif any(letter in "ghijklmnopqrsuvwyz" for letter in name):
            raise socket.gaierror(f"no such name: {name}")
        else:
            return self._real(host, port, *args, **more)
        return [
            (
                socket.AF_INET6 if ":" in one else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (one, port, 0, 0) if ":" in one else (one, port),
            )
            for one in found
        ]


@contextmanager
def no_way_out() -> Iterator[None]:
    """Connections to this machine are made; others end before a packet is sent."""
    real = socket.create_connection

    def connect(address: Any, *args: Any, **more: Any) -> socket.socket:
        try:
            inside = ipaddress.ip_address(str(address[0]).partition("%")[0])
            here = inside.is_loopback or inside.is_unspecified
        except ValueError:
            here = True  # a name: whoever connects by name gets what the resolver says
        if not here:
            raise OSError("no way out")
        return real(address, *args, **more)

    with (
        mock.patch("socket.create_connection", connect),
        mock.patch("socket.getaddrinfo", Resolver()),
    ):
        yield


# -- the fields --------------------------------------------------------------------------------

Field = Callable[[Hub, str, int], None]


def a_key_set(hub: Hub, url: str, number: int) -> None:
    """`jwks_uri` of a client that then sends a word."""
    client = Client(f"c{number}", "C", Kind.KEY, ("system/*.rs",), jwks_uri=url)
    try:
        hub.gate.clients.add(client)
    except SokhoeError:
        return
    said = claims(client.id, aud=f"{hub.settings.url}/oauth/token")
    _word(hub, signed(said, an_ec_key("k")))


def a_header(hub: Hub, url: str, number: int) -> None:
    """`jku` and `x5u` in the header of a word, `request_uri` in a question."""
    said = claims("known", aud=f"{hub.settings.url}/oauth/token")
    _word(hub, signed(said, an_ec_key("k"), jku=url, x5u=url))
    hub.client().get("/oauth/authorize", params=asked(hub, request_uri=url, redirect_uri=url))


def an_app_s_address(hub: Hub, url: str, number: int) -> None:
    """Where an app is opened and answered: never gone to by the server."""
    for kind in Kind:
        app = Client(f"a{number}{kind}", "A", kind, ("openid",), redirects=(url,), launch=url)
        try:
            hub.gate.clients.add(replace(app, jwks_uri=url if kind is Kind.KEY else ""))
        except SokhoeError:
            continue


def an_endpoint(hub: Hub, url: str, number: int) -> None:
    """Subscriptions: plain, and by topic, which shakes hands first."""
    program = hub.app.state.program
    guide = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
    plain = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "x",
        "criteria": "Observation",
        "channel": {"type": "rest-hook", "endpoint": url, "payload": "application/fhir+json"},
    }
    program.post("/fhir/Subscription", content=encode(plain))
    if number % 3 == 0:
        program.post(
            "/fhir/Subscription",
            content=encode(
                {
                    **plain,
                    "meta": {"profile": [guide + "backport-subscription"]},
                    "criteria": "urn:sokhoe:topic:Observation",
                }
            ),
        )


def a_record(hub: Hub, url: str, number: int) -> None:
    """Addresses in records and parameters."""
    program = hub.app.state.program
    records: list[dict[str, Any]] = [
        {
            "resourceType": "DocumentReference",
            "status": "current",
            "content": [{"attachment": {"url": url}}],
        },
        {"resourceType": "Patient", "photo": [{"url": url}], "link": []},
        {"resourceType": "CodeSystem", "status": "active", "content": "complete", "url": url},
        {
            "resourceType": "ValueSet",
            "status": "active",
            "compose": {"include": [{"valueSet": [url]}]},
        },
    ]
    for one in records:
        program.post(f"/fhir/{one['resourceType']}", content=encode(one))
    for path, query in (
        ("/fhir/ValueSet/$expand", {"url": url}),
        ("/fhir/CodeSystem/$lookup", {"system": url, "code": "a"}),
        ("/fhir/Patient", {"_profile": url}),
    ):
        program.get(path, params=query)
    source = {"name": "input", "part": [{"name": "url", "valueUrl": url}]}
    parameters = {"resourceType": "Parameters", "parameter": [source]}
    program.post("/fhir/$import", content=encode(parameters), headers={"Prefer": "respond-async"})


FIELDS: tuple[Field, ...] = (a_key_set, an_endpoint, a_header, an_app_s_address, a_record)


def _word(hub: Hub, word: str) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": word,
    }
    hub.client().post("/oauth/token", data=form)


# -- the check -----------------------------------------------------------------------------------


@contextmanager
def a_hub(trap: Trap) -> Iterator[Hub]:
    """A hub that may go to any public address and to the one receiver beside it."""
    folder = Path(tempfile.mkdtemp(prefix="sokhoe-ssrf-"))
    hosts = f"*,127.0.0.1:{trap.redirector}"
    with Hub(folder, Pack(), subscription_hosts=hosts, key_hosts=hosts) as hub:
        hub.app.state.program = hub.software()
        an_app(hub)
        yield hub
    shutil.rmtree(folder, ignore_errors=True)


def deliver(hub: Hub) -> None:
    """Let all Subscriptions begin, write something that they want, and let the postman run dry."""
    _run_dry(hub)
    hub.put({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "id": "o"})
    _run_dry(hub)


def _run_dry(hub: Hub, seconds: float = 10.0) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if not sum(one.step() for one in hub.app.state.followers):  # each of them, not the first
            return
        time.sleep(0.002)


def _tries(trap: Trap, n: int, rng: Random) -> list[tuple[Field, str]]:
    """So many pairs of field and address, each address in the first two fields first of all."""
    every = [*addresses(trap.port, rng), *redirecting(trap.redirector)]
    pairs = [(field, url) for field in FIELDS for url in every]
    return pairs[:n] if n < len(pairs) else pairs


def run(n: int = 1_000, seed: int = 20261123) -> Outcome:
    rng = Random(seed)
    trap = Trap()
    try:
        with no_way_out(), mock.patch.object(LOG, "disabled", True):
            with a_hub(trap) as hub:
                tries = _tries(trap, n, rng)
                for number, (field, url) in enumerate(tries):
                    field(hub, url, number)
                deliver(hub)
            time.sleep(0.2)
            bad = list(trap.seen)
            trap.seen.clear()
            caught = _planted(trap)
    finally:
        trap.close()
    words = tuple(f"somebody came: {one!r}" for one in bad[:20])
    return Outcome("28 SSRF", len(tries), len(bad), caught, seed, words)


def _planted(trap: Trap) -> bool:
    """A guard that lets every address through must be seen, in both fields that send."""
    found = []
    url = f"http://127.0.0.1:{trap.port}/planted"
    for field in (a_key_set, an_endpoint):
        trap.seen.clear()
        with a_hub(trap) as hub, mock.patch.object(outside, "may_reach", lambda *_, **__: True):
            field(hub, url, 1)
            deliver(hub)
            time.sleep(0.2)
        found.append(bool(trap.seen))
    return all(found)
