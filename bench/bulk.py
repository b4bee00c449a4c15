"""Rows about much at once: `$export`, `$import`, `sokhoe load --bulk`.

Each takes a running server or a folder and returns rows as `bench/__main__.py` prints them: what,
the figure, how it was measured.
"""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx

from sokhoe.fhir import decode, encode
from sokhoe.store import open_store

Row = tuple[str, str, str]
Cpu = Callable[[], float]
_URN = re.compile(rb"urn:uuid:([0-9a-f-]{36})")
_ID = re.compile(rb'"id":"[0-9a-f]{6}([0-9a-f-]{30})"')


def ndjson(bundles: Sequence[bytes], copies: int, target: Path) -> int:
    """The resources of transaction bundles as NDJSON, as often as wanted, each copy of other
    people; returns how many lines."""
    lines: list[bytes] = []
    types: dict[bytes, bytes] = {}
    for bundle in bundles:
        for entry in decode(bundle)["entry"]:
            resource = entry["resource"]
            resource["id"] = entry.get("fullUrl", resource.get("id", "")).rpartition(":")[2]
            types[resource["id"].encode()] = resource["resourceType"].encode()
            lines.append(encode(resource))
    with target.open("wb") as file:
        for copy in range(copies):
            start = b"%06x" % copy

            def named(match: re.Match[bytes], start: bytes = start) -> bytes:
                return types.get(match[1], b"Patient") + b"/" + start + match[1][6:]

            for line in lines:
                own = _ID.sub(rb'"id":"' + start + rb'\1"', line, count=1)
                file.write(_URN.sub(named, own) + b"\n")
    return len(lines) * copies


def _until_done(http: httpx.Client, address: str) -> dict[str, object]:
    for _ in range(6_000):
        answer = http.get(address)
        if answer.status_code == 200:
            found: dict[str, object] = answer.json()
            return found
        if answer.status_code != 202:
            raise SystemExit(f"{address}: {answer.status_code} {answer.text[:500]}")
        time.sleep(0.05)
    raise SystemExit(f"{address} never came to an end")


def _client(url: str, token: str) -> httpx.Client:
    return httpx.Client(
        base_url=url,
        timeout=600,
        headers={"Authorization": f"Bearer {token}", "Prefer": "respond-async"},
    )


def export_rows(url: str, token: str, cpu: Cpu) -> list[Row]:
    """Everything out of a server that holds something: until the list of files is there, and
    until they are fetched."""
    with _client(url, token) as http:
        begun, spent = time.perf_counter(), cpu()
        taken = http.get("/fhir/$export")
        if taken.status_code != 202:
            raise SystemExit(f"$export: {taken.status_code} {taken.text[:500]}")
        manifest = _until_done(http, taken.headers["content-location"])
        made, spent = time.perf_counter() - begun, cpu() - spent
        files = manifest["output"]
        assert isinstance(files, list)
        count = sum(one["count"] for one in files)
        size = 0
        for one in files:
            with http.stream("GET", one["url"]) as answer:
                answer.raise_for_status()
                size += sum(len(chunk) for chunk in answer.iter_raw())
        fetched = time.perf_counter() - begun
        http.delete(taken.headers["content-location"])
    how = f"CPU {spent / count * 1e6:,.0f} µs each; {count:,} resources, {size / count:,.0f} B each"
    return [
        ("`$export` of everything, files ready", f"{count / made:,.0f} resources/s", how),
        (
            "`$export` of everything, files fetched",
            f"{count / fetched:,.0f} resources/s",
            "1 client",
        ),
    ]


def import_rows(url: str, token: str, cpu: Cpu, source: Path, count: int) -> list[Row]:
    """NDJSON uploaded to a running server, compressed. `cpu`: of the server and its children."""
    packed = gzip.compress(source.read_bytes(), 1)
    with _client(url, token) as http:
        begun, spent = time.perf_counter(), cpu()
        headers = {"Content-Type": "application/fhir+ndjson", "Content-Encoding": "gzip"}
        taken = http.post("/fhir/$import", content=packed, headers=headers)
        if taken.status_code != 202:
            raise SystemExit(f"$import: {taken.status_code} {taken.text[:500]}")
        _until_done(http, taken.headers["content-location"])
        took, spent = time.perf_counter() - begun, cpu() - spent
    how = f"CPU {spent / count * 1e6:,.0f} µs each in the serving process; {count:,} resources"
    return [("`$import` of uploaded NDJSON", f"{count / took:,.0f} resources/s", how)]


def load_rows(folder: Path, database: str, source: Path, count: int) -> list[Row]:
    """`sokhoe load --bulk` into an empty memory; `database` "" for SQLite in the folder."""
    import resource

    url = database or f"sqlite:///{folder / 'sokhoe.db'}"
    open_store(url).close()
    command = [sys.executable, "-m", "sokhoe", "load", "--bulk", str(source), "--data", str(folder)]
    command += ["--database", database] if database else []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    took = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    what = "`sokhoe load --bulk`" + (" (without the database's own CPU)" if database else "")
    how = f"CPU {spent / count * 1e6:,.0f} µs each; {count:,} resources, start and ANALYZE included"
    return [(what, f"{count / took:,.0f} resources/s", how)]
