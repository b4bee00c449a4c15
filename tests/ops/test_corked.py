"""Answers leave in one piece, and nothing that was held back is lost or late."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uvicorn
import websockets.sync.client
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from sokhoe.ops.corked import Corked, CorkedProtocol


async def whole(request: Request) -> Response:
    return PlainTextResponse("HTTP/1.1 is what this body begins with")


async def bare(request: Request) -> Response:
    return Response(status_code=304)


async def slow(request: Request) -> Response:
    async def pieces() -> Any:
        await asyncio.sleep(0.5)
        yield b"HTTP/1.1 a"
        yield b"HTTP/1.1 b"

    return StreamingResponse(pieces())


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text((await socket.receive_text()).upper())
    await socket.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    routes = [
        Route("/whole", whole, methods=["GET", "POST"]),
        Route("/bare", bare),
        Route("/slow", slow),
        WebSocketRoute("/echo", echo),
    ]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
        config = uvicorn.Config(
            Starlette(routes=routes), http=CorkedProtocol, log_level="error", ws="websockets-sansio"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield port
        server.should_exit = True
        thread.join(10)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_answers_are_whole(port: int, method: str) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(3):
            answer = client.request(method, "/whole", timeout=3)
            assert answer.status_code == 200
            assert answer.headers["content-length"] == "38"
            body = "" if method == "HEAD" else "HTTP/1.1 is what this body begins with"
            assert answer.text == body


def test_an_answer_without_a_body_is_not_held_back(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert [client.get("/bare", timeout=3).status_code for _ in range(3)] == [304] * 3
        assert client.get("/nothing", timeout=3).status_code == 404
        assert client.get("/whole", headers={"Connection": "close"}).status_code == 200


def test_the_head_of_a_slow_answer_does_not_wait_for_it(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as wire:
        wire.settimeout(0.4)
        wire.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert wire.recv(1000).startswith(b"HTTP/1.1 200")
        wire.settimeout(3)
        rest = b""
        while more := wire.recv(1000):
            rest += more
    assert rest == b"a\r\nHTTP/1.1 a\r\na\r\nHTTP/1.1 b\r\n0\r\n\r\n"


def test_a_head_and_its_body_are_one_write() -> None:
    written: list[bytes] = []

    class Wire:
        def write(self, data: bytes) -> None:
            written.append(data)

    async def answer() -> None:
        corked = Corked(Wire())  # type: ignore[arg-type]
        corked.write(b"HTTP/1.1 200 OK\r\n\r\n")
        corked.write(b"body")
        corked.write(b"more")
        await asyncio.sleep(0)

    asyncio.run(answer())
    assert written == [b"HTTP/1.1 200 OK\r\n\r\nbody", b"more"]


def test_sockets_and_questions_before_a_body_are_answered_at_once(port: int) -> None:
    with websockets.sync.client.connect(f"ws://127.0.0.1:{port}/echo", open_timeout=3) as wire:
        wire.send("xin chào")
        assert wire.recv(3) == "XIN CHÀO"
    with socket.create_connection(("127.0.0.1", port)) as raw:
        raw.settimeout(3)
        raw.sendall(
            b"POST /whole HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        raw.sendall(b"hi")
        assert raw.recv(1000).startswith(b"HTTP/1.1 ")
