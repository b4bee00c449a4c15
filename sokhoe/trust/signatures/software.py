"""A key in a PKCS#12 file. Whoever copies the file can sign: for the demo and for tests only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from sokhoe.errors import Forbidden, Unavailable
from sokhoe.trust.signatures.seam import Algorithm, Chain, Signer, algorithm_of

PSS = padding.PSS(padding.MGF1(hashes.SHA256()), 32)


@dataclass(frozen=True)
class SoftwareSigner:
    label: str
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    chain: Chain
    algorithm: Algorithm

    def sign(self, payloads: Sequence[bytes]) -> list[bytes]:
        return [self._sign(one) for one in payloads]

    def _sign(self, payload: bytes) -> bytes:
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return self.key.sign(payload, ec.ECDSA(hashes.SHA256()))
        way = PSS if self.algorithm is Algorithm.PS256 else padding.PKCS1v15()
        return self.key.sign(payload, way, hashes.SHA256())


class KeyFile:
    ready = True

    def __init__(self, file: Path, *, demo: bool, pss: bool = False) -> None:
        self.label = f"key file {file.name}"
        self._file = file
        self._demo = demo
        self._pss = pss

    @contextmanager
    def unlock(self, pin: str, code: str = "") -> Iterator[Signer]:
        if not self._demo:
            raise Forbidden(
                "A key in a file may sign only in the demo.",
                hint="Use a token (pkcs11:…) or a signing service (https://…).",
                slug="software-key",
            )
        try:
            held = self._file.read_bytes()
        except OSError as error:
            raise Unavailable(f"{self._file} cannot be read.", slug="no-signer") from error
        try:
            key, own, others = pkcs12.load_key_and_certificates(held, pin.encode())
        except ValueError as error:
            raise Forbidden("The PIN is wrong.", slug="wrong-pin") from error
        if own is None or not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise Unavailable(f"{self._file} holds no key to sign with.", slug="no-signer")
        chain = (own, *others)
        yield SoftwareSigner(self.label, key, chain, algorithm_of(own, pss=self._pss))
