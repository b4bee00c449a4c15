"""Answers leave packed, by zstd or gzip, as the asker takes and likes it (RFC 9110 §12.5.3).

What comes in one piece and is text is packed when it is large enough to gain by it; what comes in
pieces (files, which lie packed already) and pictures leave as they are.
"""

from __future__ import annotations

import re
import threading
import zlib
from functools import lru_cache

import zstandard
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PACKED_FROM = 1_000  # bytes
GZIP_LEVEL = 4
ZSTD_LEVEL = 3  # 3 µs a kilobyte, gzip takes 20; both make a fifth of a Bundle
_TEXT = re.compile(rb"text/(?!event-stream)|[^;]*[/+](?:json|xml|javascript)\b|image/svg")
_at_hand = threading.local()  # a compressor is of one thread at a time


@lru_cache(maxsize=1_024)
def coding_of(accepted: bytes) -> bytes:
    """The coding for this Accept-Encoding: zstd, gzip or none (b"")."""
    weights: dict[bytes, float] = {}
    for part in accepted.split(b","):
        name, *parameters = (piece.strip().lower() for piece in part.split(b";"))
        weights[name] = _weight(parameters)
    rest = weights.get(b"*", 0.0)
    zstd, gzip = weights.get(b"zstd", 0.0), weights.get(b"gzip", rest)
    plain = weights.get(b"identity", 0.0)
    if zstd >= gzip and zstd > 0 and zstd >= plain:
        return b"zstd"
    return b"gzip" if gzip > 0 and gzip >= plain else b""


def takes_gzip(accepted: str) -> bool:
    """Whether a file that lies there as gzip may be sent as it is."""
    weights = {
        name.strip(): _weight([one.strip() for one in rest.encode().split(b";")])
        for name, _, rest in (part.partition(";") for part in accepted.lower().split(","))
    }
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weight(parameters: list[bytes]) -> float:
    for one in parameters:
        name, _, value = one.partition(b"=")
        if name.strip() == b"q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0


def pack(coding: bytes, body: bytes) -> bytes:
    """The body in this coding."""
    if coding == b"zstd":
        if not hasattr(_at_hand, "zstd"):
            _at_hand.zstd = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
        return bytes(_at_hand.zstd.compress(body))
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


class Packing:
    """In front of an application: packs what it answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        accepted = b",".join(
            value for name, value in scope["headers"] if name == b"accept-encoding"
        )
        held: list[Message] = []

        async def packed(message: Message) -> None:
            if message["type"] == "http.response.start":
                held.append(message)
                return
            if held:
                start = held.pop()
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    start, message = _packed(start, message, accepted)
                await send(start)
            await send(message)

        await self._app(scope, receive, packed)


def _packed(start: Message, message: Message, accepted: bytes) -> tuple[Message, Message]:
    body = message.get("body", b"")
    headers = {name.lower(): value for name, value in start["headers"]}
    if (
        len(body) < PACKED_FROM
        or b"content-encoding" in headers
        or not _TEXT.match(headers.get(b"content-type", b""))
    ):
        return start, message
    coding = coding_of(accepted)
    changed = [(b"vary", _with(headers.get(b"vary", b""), b"Accept-Encoding"))]
    if coding:
        body = pack(coding, body)
        changed += [(b"content-encoding", coding), (b"content-length", b"%d" % len(body))]
    names = {name for name, _ in changed}
    kept = [pair for pair in start["headers"] if pair[0].lower() not in names]
    return {**start, "headers": [*kept, *changed]}, {**message, "body": body}


def _with(vary: bytes, name: bytes) -> bytes:
    if name.lower() in vary.lower() or vary == b"*":
        return vary
    return b", ".join(filter(None, (vary, name)))
