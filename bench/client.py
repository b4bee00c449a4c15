"""A load driver that costs little itself: raw keep-alive connections, one process for each client.

Ours must not be what is measured, so no HTTP library: a request is bytes made beforehand, an answer
is read by its Content-Length. Loopback only.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty
from urllib.parse import quote, urlsplit


@dataclass(frozen=True, slots=True)
class Result:
    """Seconds of wall clock, requests, refused ones, and latencies in ms."""

    seconds: float
    requests: int
    failures: int
    p50: float
    p95: float
    clients: int = 1

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def request(
    method: str, url: str, token: str, body: bytes = b"", kind: str = "application/fhir+json"
) -> bytes:
    """The bytes of one HTTP/1.1 request."""
    parts = urlsplit(url)
    path = quote(parts.path + (f"?{parts.query}" if parts.query else ""), "/?&=:,%$+*")
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{bearer}"
        f"Content-Type: {kind}\r\nAccept: application/fhir+json\r\nContent-Length: {len(body)}\r\n"
        "Prefer: return=minimal\r\n\r\n"
    )
    return head.encode() + body


def run(url: str, requests: Sequence[bytes], clients: int, seconds: float = 0) -> Result:
    """Send each request once, spread over the clients; with `seconds`, repeat them for so long."""
    parts = urlsplit(url)
    address = (parts.hostname or "127.0.0.1", parts.port or 80)
    assert address[0] in {"127.0.0.1", "localhost"}, "the driver stays on this machine"
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    shares = [list(requests[number::clients]) for number in range(clients)]
    started = time.perf_counter()
    workers = [
        context.Process(target=_client, args=(address, share, seconds, queue)) for share in shares
    ]
    for worker in workers:
        worker.start()
    found = [_next(queue, workers) for _ in workers]  # type: ignore[no-untyped-call]
    took = time.perf_counter() - started
    for worker in workers:
        worker.join()
    latencies = sorted(one for share, _ in found for one in share)
    return Result(
        took,
        len(latencies),
        sum(failures for _, failures in found),
        latencies[len(latencies) // 2] * 1000,
        latencies[int(len(latencies) * 0.95)] * 1000,
        clients,
    )


def _next(queue, workers):  # type: ignore[no-untyped-def]
    """The next client's answer; a client that ended without one ends the run."""
    while True:
        with contextlib.suppress(Empty):
            return queue.get(timeout=2)
        if any(worker.exitcode for worker in workers):
            raise SystemExit("a client ended without a result; the server may have died")


def _client(address, requests, seconds, queue) -> None:  # type: ignore[no-untyped-def]
    latencies: list[float] = []
    failures = 0
    with socket.create_connection(address) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = wire.makefile("rb", buffering=262_144)
        end = time.perf_counter() + seconds
        while True:
            for one in requests:
                begun = time.perf_counter()
                wire.sendall(one)
                failures += _answer(stream) >= 400
                latencies.append(time.perf_counter() - begun)
                if seconds and time.perf_counter() > end:
                    break
            if not seconds or time.perf_counter() > end:
                break
    queue.put((latencies, failures))


def _ended(what: str) -> SystemExit:
    return SystemExit(f"the server closed the connection {what}; did it die?")


def _answer(stream) -> int:  # type: ignore[no-untyped-def]
    first = stream.readline()
    if not first:
        raise _ended("without an answer")
    status = int(first.split(b" ", 2)[1])
    length = 0
    chunked = False
    while (line := stream.readline()) not in {b"\r\n", b""}:
        name, _, value = line.partition(b":")
        lowered = name.lower()
        if lowered == b"content-length":
            length = int(value)
        elif lowered == b"transfer-encoding":
            chunked = True
    if chunked:
        while size := int(stream.readline(), 16):
            stream.read(size + 2)
        stream.readline()
    elif length:
        stream.read(length)
    return status
