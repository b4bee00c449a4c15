"""Signing at a trust service (Cloud Signature Consortium API, versions 1.0.4 and 2).

The service holds the key; it is given hashes, never the papers. For each batch:

    credentials/info        the certificate chain, how many signatures one permission allows
    credentials/authorize   PIN or one-time code → SAD, good for these hashes
    signatures/signHash     the hashes → the signatures, in the same order
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from cryptography import x509

from sokhoe.errors import Forbidden, SokhoeError, Unavailable
from sokhoe.trust.signatures.fetching import MOST_ANSWER, post_json
from sokhoe.trust.signatures.seam import Algorithm, Chain, Signer, algorithm_of

SHA256 = "2.16.840.1.101.3.4.2.1"
# signAlgo: RSASSA-PKCS1-v1_5 with SHA-256, RSASSA-PSS, ecdsa-with-SHA256
OIDS = {
    Algorithm.RS256: "1.2.840.113549.1.1.11",
    Algorithm.PS256: "1.2.840.113549.1.1.10",
    Algorithm.ES256: "1.2.840.10045.4.3.2",
}
# RSASSA-PSS-params of SHA-256, MGF1 with SHA-256, salt of 32 bytes (RFC 4055)
PSS_PARAMS = "MDSgDzANBglghkgBZQMEAgEFAKEcMBoGCSqGSIb3DQEBCDANBglghkgBZQMEAgEFAKIDAgEg"
Ask = Callable[[str, dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class RemoteSigner:
    """`most`: how many hashes one permission may cover; a larger batch asks for several."""

    label: str
    chain: Chain
    algorithm: Algorithm
    ask: Ask
    credential: str
    version: int
    most: int
    secrets: dict[str, str]

    def sign(self, payloads: Sequence[bytes]) -> list[bytes]:
        found: list[bytes] = []
        for start in range(0, len(payloads), self.most):
            found += self._some(payloads[start : start + self.most])
        return found

    def _some(self, payloads: Sequence[bytes]) -> list[bytes]:
        hashes = [base64.b64encode(sha256(one).digest()).decode() for one in payloads]
        named = "hash" if self.version == 1 else "hashes"
        algorithm = "hashAlgo" if self.version == 1 else "hashAlgorithmOID"
        about = {"credentialID": self.credential, named: hashes}
        authorize: dict[str, Any] = {**about, "numSignatures": len(hashes)}
        if self.version == 1:
            authorize |= self.secrets
        else:
            secrets = {"PIN": "PIN", "OTP": "OTP"}
            authorize |= {
                algorithm: SHA256,
                "authData": [
                    {"id": secrets[name], "value": value} for name, value in self.secrets.items()
                ],
            }
        sad = self.ask("credentials/authorize", authorize).get("SAD")
        request = {**about, "SAD": sad, algorithm: SHA256, "signAlgo": OIDS[self.algorithm]}
        if self.algorithm is Algorithm.PS256:
            request["signAlgoParams"] = PSS_PARAMS
        signatures = self.ask("signatures/signHash", request).get("signatures")
        if not isinstance(signatures, list) or len(signatures) != len(payloads):
            raise _odd()
        try:
            return [base64.b64decode(one, validate=True) for one in signatures]
        except (ValueError, TypeError) as error:
            raise _odd() from error


class Remote:
    """`url` ends with the version (`…/csc/v1`, `…/csc/v2`); `token`: the service's OAuth token for
    this server; `credential`: which of the user's keys."""

    ready = True

    def __init__(self, url: str, credential: str, token: str = "", *, pss: bool = False) -> None:
        self.label = f"signing service {url.split('/')[2] if '//' in url else url}"
        self._url = url.rstrip("/")
        self._credential = credential
        self._token = token
        self._pss = pss
        self._version = 2 if self._url.endswith("v2") else 1

    @contextmanager
    def unlock(self, pin: str, code: str = "") -> Iterator[Signer]:
        asked = {
            "credentialID": self._credential,
            "certificates": "chain",
            "certInfo": False,
            "authInfo": True,
        }
        info = self._ask("credentials/info", asked)
        try:
            held = [base64.b64decode(one) for one in info["cert"]["certificates"]]
            chain = tuple(x509.load_der_x509_certificate(one) for one in held)
            most = max(1, min(int(info.get("multisign", 1)), 1_000))
            own = chain[0]
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise _odd() from error
        if info.get("key", {}).get("status", "enabled") != "enabled":
            raise Unavailable("This key is closed at the signing service.", slug="remote-signer")
        secrets = {name: value for name, value in (("PIN", pin), ("OTP", code)) if value}
        yield RemoteSigner(
            self.label,
            chain,
            algorithm_of(own, pss=self._pss),
            self._ask,
            self._credential,
            self._version,
            most,
            secrets,
        )

    def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        status, answer = post_json(f"{self._url}/{path}", body, headers, most=MOST_ANSWER)
        if status == 200:
            return answer
        error = str(answer.get("error", ""))
        if error in {"invalid_pin", "invalid_otp"}:
            raise Forbidden("The PIN or the code is wrong.", slug="wrong-pin")
        raise Unavailable(
            f"The signing service refused ({error or status}).",
            hint=str(answer.get("error_description", ""))[:200],
            slug="remote-signer",
        )


def _odd() -> SokhoeError:
    return Unavailable("The signing service answered something strange.", slug="remote-signer")
