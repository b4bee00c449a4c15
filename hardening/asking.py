"""A request as it comes from the wire, without a wire: headers and addresses may hold any bytes.

The path is decoded as uvicorn does it, the app is called as uvicorn calls it; so what fails here
fails there, and twenty thousand requests take minutes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Scope

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Request:
    """`target` is the address as it stands in the first line: path, `?`, query, percent-encoded.
    `stream` makes a body that comes in pieces, and may never end."""

    method: str
    target: str
    headers: tuple[Header, ...] = ()
    body: bytes = b""
    stream: Callable[[], AsyncIterator[bytes]] | None = None

    def __str__(self) -> str:
        said = [f"{name.decode()}: {value[:60]!r}" for name, value in self.headers]
        return f"{self.method} {self.target[:300]} {said} {self.body[:300]!r}"


@dataclass(slots=True)
class Answer:
    """`failure`: an exception that left the app instead of an answer."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    failure: str = ""


async def ask(app: ASGIApp, request: Request, *, client: str = "127.0.0.1") -> Answer:
    """The app's answer to one request."""
    path, _, query = request.target.partition("?")
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [*_sized(request)],
        "client": (client, 40_000),
        "server": ("127.0.0.1", 8600),
        "state": {},
    }
    answer = Answer()
    pieces = request.stream() if request.stream is not None else _at_once(request.body)

    async def receive() -> Message:
        async for piece in pieces:
            more = request.stream is not None
            return {"type": "http.request", "body": piece, "more_body": more}
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, value in message["headers"]
            }
        elif message["type"] == "http.response.body":
            answer.body += message.get("body", b"")

    try:
        await app(scope, receive, send)
    except Exception as error:
        answer.failure = f"{type(error).__name__}: {error}"
    return answer


async def _at_once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _sized(request: Request) -> Sequence[Header]:
    """Headers with the length of the body, as a client must send it."""
    if not request.body:
        return request.headers
    return (*request.headers, (b"content-length", str(len(request.body)).encode()))
