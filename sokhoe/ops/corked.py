"""HTTP answers leave in one piece.

uvicorn hands the head of an answer and its body to the socket one after the other: two system
calls, two packets, and a reader that wakes twice. Here the head waits for the first piece of the
body, at most until the event loop turns. (Half of the time of a read by id was in these calls.)
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD = b"HTTP/1.1 "
_AT_ONCE = (b"HTTP/1.1 100 ", b"HTTP/1.1 101 ")


class Corked:
    """A transport that keeps a head back; all else is the transport's own."""

    def __init__(self, plain: asyncio.Transport) -> None:
        self.plain = plain
        self._loop = asyncio.get_running_loop()
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)

    def write(self, data: bytes) -> None:
        if self._head:
            head, self._head = self._head, b""
            self.plain.write(head + data)
        elif data.startswith(_HEAD) and not data.startswith(_AT_ONCE):
            self._head = data
            self._loop.call_soon(self.flush)  # an answer without a body, or one that comes slowly
        else:
            self.plain.write(data)

    def flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self.plain.write(head)

    def close(self) -> None:
        self.flush()
        self.plain.close()


class CorkedProtocol(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, Corked(transport)))

    def handle_websocket_upgrade(self) -> None:
        self.transport = cast(Any, self.transport).plain
        super().handle_websocket_upgrade()
