"""The server side of a signing service (Cloud Signature Consortium API), as far as we speak it: a
PIN opens a permission (SAD) for just the hashes that were named, once."""

from __future__ import annotations

import base64
import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from tests.trust.authority import Issued, der

HASHED = Prehashed(hashes.SHA256())
PIN = "246810"


class Refused(Exception):
    pass


class SigningService:
    """`with SigningService(issued) as it:` speaks both versions at `it.url`/csc/v1 and /csc/v2."""

    def __init__(self, issued: Issued, most: int = 100) -> None:
        self.issued = issued
        self.most = most
        self.authorized = 0
        self.answer_short = False
        self._permissions: dict[str, list[str]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, version: int, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("credentialID") != "doctor-1":
            raise Refused("invalid_request")
        named = body.get("hash" if version == 1 else "hashes", [])
        match path:
            case "credentials/info":
                held = [base64.b64encode(der(one)).decode() for one in self.issued.chain]
                return {
                    "key": {"status": "enabled"},
                    "cert": {"certificates": held},
                    "multisign": self.most,
                }
            case "credentials/authorize":
                if _pin(version, body) != PIN:
                    raise Refused("invalid_pin")
                if body["numSignatures"] != len(named) or len(named) > self.most:
                    raise Refused("invalid_request")
                sad = secrets.token_hex(16)
                self._permissions[sad] = list(named)
                self.authorized += 1
                return {"SAD": sad}
            case "signatures/signHash":
                if self._permissions.pop(body.get("SAD", ""), None) != named:
                    raise Refused("invalid_sad")
                made = [self._sign(base64.b64decode(one), body["signAlgo"]) for one in named]
                shown = made[:-1] if self.answer_short else made
                return {"signatures": [base64.b64encode(one).decode() for one in shown]}
        raise Refused("invalid_request")

    def _sign(self, digest: bytes, algorithm: str) -> bytes:
        key = self.issued.key
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key.sign(digest, ec.ECDSA(HASHED))
        assert isinstance(key, rsa.RSAPrivateKey)
        if algorithm.endswith(".10"):
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
            return key.sign(digest, pss, HASHED)
        return key.sign(digest, padding.PKCS1v15(), HASHED)

    def __enter__(self) -> SigningService:
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(timeout=5)
        self._server.server_close()


def _pin(version: int, body: dict[str, Any]) -> str:
    if version == 1:
        return str(body.get("PIN", ""))
    return str({one["id"]: one["value"] for one in body.get("authData", [])}.get("PIN", ""))


def _handler(service: SigningService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            _, _, version, path = self.path.split("/", 3)
            status, answer = 200, {}
            try:
                answer = service.answer(int(version[1:]), path, body)
            except Refused as refusal:
                status, answer = 400, {"error": str(refusal)}
            held = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(held)))
            self.end_headers()
            self.wfile.write(held)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
