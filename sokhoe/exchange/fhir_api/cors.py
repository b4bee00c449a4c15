"""Pages of other origins may use the API, if the operator names these origins (`cors_origins`).

Only the API and its tokens: a page of ours is nobody else's business. Cookies are never taken, so
what such a page can do is what its own access token allows.
"""

from __future__ import annotations

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

PATHS = ("/fhir", "/oauth/", "/.well-known/")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
SENT = (
    *("Authorization", "Content-Type", "Accept", "Prefer", "If-Match", "If-None-Match"),
    *("If-None-Exist", "If-Modified-Since", "Content-Encoding", "X-Security-Context"),
)
SEEN = (
    *("ETag", "Location", "Content-Location", "Last-Modified", "Retry-After", "X-Progress"),
    *("Expires", "WWW-Authenticate"),
)


class Cors:
    def __init__(self, app: ASGIApp, origins: str) -> None:
        self._app = app
        self._open = CORSMiddleware(
            app,
            allow_origins=[one.strip() for one in origins.split(",") if one.strip()],
            allow_methods=METHODS,
            allow_headers=SENT,
            expose_headers=SEEN,
            max_age=600,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        mine = scope["type"] == "http" and scope["path"].startswith(PATHS)
        await (self._open if mine else self._app)(scope, receive, send)
