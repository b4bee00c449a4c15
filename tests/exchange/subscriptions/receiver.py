"""A receiver on this machine: it takes real requests over a real socket, and may be slow, rude or
dead."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from sokhoe.fhir import decode


@dataclass(frozen=True)
class Got:
    method: str
    path: str
    headers: dict[str, str]
    body: Any

    def status(self, name: str) -> Any:
        """A value of the status Parameters of a notification."""
        rows = self.body["entry"][0]["resource"]["parameter"]
        row = next(one for one in rows if one["name"] == name)
        return next(value for key, value in row.items() if key.startswith("value"))

    @property
    def kind(self) -> str:
        return str(self.status("type"))

    @property
    def numbers(self) -> list[int]:
        return [
            int(part["valueString"])
            for row in self.body["entry"][0]["resource"]["parameter"]
            if row["name"] == "notification-event"
            for part in row["part"]
            if part["name"] == "event-number"
        ]


@dataclass
class Receiver:
    """`answers`: status codes to give, the last one for ever; `seconds`: how long it thinks."""

    answers: list[int] = field(default_factory=lambda: [200])
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    got: list[Got] = field(default_factory=list)

    def __post_init__(self) -> None:
        receiver = self
        self._lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                content = self.rfile.read(length)
                time.sleep(receiver.seconds)
                with receiver._lock:
                    many = len(receiver.answers) > 1
                    status = receiver.answers.pop(0) if many else receiver.answers[0]
                    body = decode(content) if content else None
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    receiver.got.append(Got(self.command, self.path, headers, body))
                self.send_response(status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            do_POST = do_PUT = answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/in"

    @property
    def refs(self) -> list[str]:
        """What came as plain notifications with a payload, in order."""
        return [one.path.removeprefix("/in/") for one in self.got]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
