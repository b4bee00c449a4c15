"""The rows of docs/performance.md: each one a piece of work, its rate, its CPU, its latency."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from typing import Any

import httpx

from bench import mix
from bench.client import Result, request, run
from bench.servers import Server, come_to_rest
from sokhoe.fhir import decode, encode

CLIENTS = 4
MANY = 64
QUERY_ROUNDS = 40  # each shape is asked so often at each size


def row(server: Server, what: str, result: Result, each: int, unit: str, cpu: Cost) -> None:
    if result.failures:
        raise SystemExit(f"{what}: {result.failures} of {result.requests} failed")
    note = f"p50 {result.p50:.1f} ms, p95 {result.p95:.1f} ms; {result.clients} clients"
    rate = f"{each / result.seconds:,.0f} {unit}/s"
    server.rows.append((what, rate, "; ".join((*cpu.since(each), note))))


class Cost:
    """CPU from here on, of the server and of its database."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._own, self._database = server.cpu(), server.database_cpu()

    def since(self, each: int) -> list[str]:
        if not self._server.pid:
            return []
        said = [f"CPU {(self._server.cpu() - self._own) / each * 1e6:,.0f} µs each"]
        if self._server.database_pid:
            used = self._server.database_cpu() - self._database
            said.append(f"{used / each * 1e6:,.0f} µs in PostgreSQL")
        return said


def importing(server: Server, name: str, bodies: list[bytes], total: int) -> None:
    posts = [request("POST", server.fhir, server.token, body) for body in bodies]
    cost = Cost(server)
    result = run(server.url, posts, CLIENTS)
    row(server, f"import, transaction bundles ({name})", result, total, "resources", cost)
    come_to_rest(server)


def reading(server: Server, seconds: float) -> None:
    """Read by id and the two searches that a clinic asks most."""
    fhir = server.fhir
    headers = {"Authorization": f"Bearer {server.token}"} if server.token else {}
    page = httpx.get(f"{fhir}/Patient?_count=200", headers=headers, timeout=60).json()
    patients = [one["resource"] for one in page["entry"]]
    numbers = [one["identifier"][0]["value"] for one in patients if one.get("identifier")]
    page = httpx.get(f"{fhir}/Observation?_count=500", headers=headers, timeout=60).json()
    codes = sorted({one["resource"]["code"]["coding"][0]["code"] for one in page["entry"]})
    for what, urls in (
        ("read by id", [f"{fhir}/Patient/{one['id']}" for one in patients]),
        ("search Patient?identifier=", [f"{fhir}/Patient?identifier={n}" for n in numbers]),
        (
            "search Observation?patient=&code=&_sort=-date&_count=50",
            [
                f"{fhir}/Observation?patient={one['id']}&code={codes[at % len(codes)]}"
                "&_sort=-date&_count=50"
                for at, one in enumerate(patients)
            ],
        ),
    ):
        gets = [request("GET", url, server.token) for url in urls]
        run(server.url, gets, CLIENTS, 0.5)
        cost = Cost(server)
        result = run(server.url, gets, CLIENTS, seconds)
        row(server, what, result, result.requests, "requests", cost)


def creating(server: Server, count: int = 1_500) -> None:
    """One resource for each request, durable: alone, and by 64 clients at once."""
    fsync = fsync_ms()
    for clients, share in ((1, count // 5), (MANY, count)):
        posts = [
            request("POST", f"{server.fhir}/Observation", server.token, _pulse(number))
            for number in range(share)
        ]
        cost, before = Cost(server), server.transactions()
        result = run(server.url, posts, clients)
        row(server, "create one resource", result, share, "resources", cost)
        together = server.transactions() - before
        if together:
            what, value, note = server.rows[-1]
            note += f"; {share / together:.1f} commits per durable transaction"
            note += f"; one fsync here: {fsync:.2f} ms"
            server.rows[-1] = (what, value, note)


def fsync_ms() -> float:
    """p50 of a small write with fsync, on the disk that the measured servers use."""
    taken = []
    with tempfile.NamedTemporaryFile(prefix="sokhoe-bench-") as file:
        for _ in range(60):
            file.write(b"x" * 4096)
            file.flush()
            begun = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1000


def _pulse(number: int) -> bytes:
    return encode(
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
            "effectiveDateTime": f"2026-11-{1 + number % 20:02}T08:00:00+07:00",
            "valueQuantity": {
                "value": 60 + number % 60,
                "unit": "/min",
                "system": "http://unitsofmeasure.org",
                "code": "/min",
            },
        }
    )


def growth(server: Server, bodies: list[bytes], sizes: list[int]) -> None:
    """The p50 of thirty searches at each size, and by how much it grows from the first to the
    last."""
    bundles: list[dict[str, Any]] = [decode(body) for body in bodies]
    people, shared = mix.templates(bundles)
    posts = [mix.transaction(shared)]
    done = 0
    middles: list[float] = []
    for size in sizes:
        group: list[dict[str, Any]] = []
        for number, record in enumerate(mix.copies(people, done, size), 1):
            group += record
            if number % mix.TOGETHER == 0 or done + number == size:
                posts.append(mix.transaction(group))
                group = []
        made = [request("POST", server.fhir, server.token, post) for post in posts]
        loaded = run(server.url, made[:1], 1)  # what all share comes first
        rest = run(server.url, made[1:], CLIENTS)
        if loaded.failures or rest.failures:
            raise SystemExit(f"{loaded.failures + rest.failures} transactions failed")
        posts, done = [], size
        come_to_rest(server)
        middles.append(_asked(server, people, size))
        posts = []
    last = server.rows.pop()
    grown = middles[-1] / middles[0]
    server.rows.append((last[0], last[1], f"{last[2]}; grew {grown:.2f} ×"))


def _asked(server: Server, people: list[list[dict[str, Any]]], size: int) -> float:
    """Ask every shape; the p50 over all of them in ms. Adds a row with the slowest ones."""
    gets: dict[str, list[bytes]] = {}
    for seed in range(QUERY_ROUNDS):
        for shape, path in mix.queries(people, size, seed).items():
            gets.setdefault(shape, []).append(request("GET", f"{server.fhir}/{path}", server.token))
    each = {shape: run(server.url, asked, 1) for shape, asked in gets.items()}
    failed = {shape: result.failures for shape, result in each.items() if result.failures}
    # the mix as one stream, so that each shape weighs the same
    stream = [asked[at] for at in range(QUERY_ROUNDS) for asked in gets.values()]
    cost = Cost(server)
    result = run(server.url, stream, CLIENTS)
    slow = sorted(each.items(), key=lambda one: -one[1].p50)[:4]
    said = [f"p50 {result.p50:.2f} ms, p95 {result.p95:.1f} ms"]
    said += cost.since(result.requests)
    said.append("slowest: " + ", ".join(f"{shape} {one.p50:.1f}" for shape, one in slow))
    said.append(f"errors {result.failures}" + (f" {failed}" if failed else ""))
    rate = f"{result.rate:,.0f} requests/s"
    server.rows.append((f"mix of {len(gets)} searches, {size:,} patients", rate, "; ".join(said)))
    return result.p50
