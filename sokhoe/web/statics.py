"""Static files: read once, compressed once, kept by browsers for a year under a content hash."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from sokhoe.web.packing import takes_gzip

FOLDER = Path(__file__).parent / "static"
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
}
YEAR = "public, max-age=31536000, immutable"
# Without the hash in the address the browser has to ask each time; the ETag keeps that cheap.
ASK = "no-cache"


@dataclass(frozen=True, slots=True)
class File:
    kind: str
    body: bytes
    packed: bytes  # gzip; empty where it would not be smaller
    mark: str


def _file(path: Path) -> File:
    body = path.read_bytes()
    packed = gzip.compress(body, 9, mtime=0)
    return File(
        KINDS[path.suffix],
        body,
        packed if len(packed) < len(body) * 0.9 else b"",
        sha256(body).hexdigest()[:16],
    )


@cache
def files() -> dict[str, File]:
    """All static files by name."""
    return {path.name: _file(path) for path in sorted(FOLDER.iterdir()) if path.suffix in KINDS}


def asset(name: str) -> str:
    """The address of a static file with its content hash. Raises KeyError for an unknown name."""
    return f"/static/{name}?v={files()[name].mark}"


async def serve(request: Request) -> Response:
    """GET /static/{name}."""
    found = files().get(request.path_params["name"])
    if found is None:
        return Response("There is no such file.", status_code=404, media_type="text/plain")
    headers = {
        "ETag": f'"{found.mark}"',
        "Cache-Control": YEAR if request.query_params.get("v") == found.mark else ASK,
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    body = found.body
    if found.packed and takes_gzip(request.headers.get("accept-encoding", "")):
        headers["Content-Encoding"] = "gzip"
        body = found.packed
    return Response(body, headers=headers, media_type=found.kind)
