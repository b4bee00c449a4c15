"""Answers are packed as the asker likes it, and only where it helps."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest
import zstandard
from starlette.responses import Response, StreamingResponse
from starlette.testclient import TestClient

from sokhoe.web import Packing, coding_of, takes_gzip


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("", ""),
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("GZIP", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("gzip;q=0", ""),
        ("gzip;q=0, zstd;q=0", ""),
        ("zstd;q=0, *", "gzip"),
        ("*", "gzip"),
        ("*;q=0", ""),
        ("identity, gzip;q=0.5", ""),
        ("identity;q=0.5, gzip", "gzip"),
        ("br, deflate", ""),
        ("gzip;q=nonsense", ""),
        ("gzip ; q=0.5 , zstd ; q=0.4", "gzip"),
        (",,;;=", ""),
    ],
)
def test_the_coding_is_the_one_that_is_liked_best(accepted: str, coding: str) -> None:
    assert coding_of(accepted.encode()).decode() == coding
    if coding == "gzip":
        assert takes_gzip(accepted)


def asked(response: Response, accepted: str) -> Any:
    client = TestClient(Packing(response))
    with client.stream("GET", "/", headers={"Accept-Encoding": accepted}) as answer:
        return answer, b"".join(answer.iter_raw())


LONG = "Sổ Khoẻ " * 500


@pytest.mark.parametrize(
    "kind",
    ["application/fhir+json; charset=utf-8", "text/html", "application/fhir+xml", "image/svg+xml"],
)
def test_text_is_packed(kind: str) -> None:
    for accepted, unpack in (("gzip", gzip.decompress), ("zstd", zstandard.decompress)):
        answer, raw = asked(Response(LONG, media_type=kind, headers={"Vary": "Origin"}), accepted)
        assert answer.headers["content-encoding"] == accepted
        assert answer.headers["vary"] == "Origin, Accept-Encoding"
        assert int(answer.headers["content-length"]) == len(raw) < len(LONG)
        assert unpack(raw).decode() == LONG
    answer, raw = asked(Response(LONG, media_type=kind), "identity")
    assert (raw.decode(), answer.headers["vary"]) == (LONG, "Accept-Encoding")


def test_what_would_not_gain_stays_as_it_is() -> None:
    async def pieces() -> Any:
        yield LONG.encode()
        await asyncio.sleep(0)
        yield LONG.encode()

    packed = gzip.compress(LONG.encode())
    for response, body in (
        (Response("short", media_type="text/html"), b"short"),
        (Response(LONG, media_type="image/png"), LONG.encode()),
        (Response(LONG, media_type="text/event-stream"), LONG.encode()),
        (Response(LONG), LONG.encode()),
        (StreamingResponse(pieces(), media_type="text/html"), LONG.encode() * 2),
        (Response(packed, media_type="text/css", headers={"Content-Encoding": "br"}), packed),
    ):
        answer, raw = asked(response, "gzip")
        assert raw == body
        assert answer.headers.get("content-encoding", "br") == "br"
