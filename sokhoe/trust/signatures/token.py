"""A token or HSM by PKCS #11: the key never leaves it.

Named by a URI (RFC 7512), of which these parts are read:

    pkcs11:token=TramYTe;object=sign?module-path=/usr/lib/softhsm/libsofthsm2.so
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import pkcs11
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from pkcs11 import Attribute, Mechanism, ObjectClass
from pkcs11.mechanisms import MGF

from sokhoe.errors import Forbidden, Invalid, Unavailable
from sokhoe.trust.signatures.seam import Algorithm, Chain, Signer, algorithm_of

# Drivers of tokens are rarely made for several threads, and a session is logged in or it is not.
_turn = threading.Lock()


@dataclass(frozen=True)
class TokenSigner:
    label: str
    key: Any  # pkcs11.PrivateKey
    chain: Chain
    algorithm: Algorithm

    def sign(self, payloads: Sequence[bytes]) -> list[bytes]:
        try:
            return [self._sign(one) for one in payloads]
        except pkcs11.PKCS11Error as error:
            raise Unavailable(
                f"The token did not sign ({type(error).__name__}).",
                hint="Is it still plugged in?",
                slug="token",
            ) from error

    def _sign(self, payload: bytes) -> bytes:
        if self.algorithm is Algorithm.ES256:
            # no token is sure to hash for ECDSA: it is given the hash
            from hashlib import sha256

            raw = bytes(self.key.sign(sha256(payload).digest(), mechanism=Mechanism.ECDSA))
            half = len(raw) // 2
            r, s = (int.from_bytes(part, "big") for part in (raw[:half], raw[half:]))
            return encode_dss_signature(r, s)
        if self.algorithm is Algorithm.PS256:
            way = (Mechanism.SHA256, MGF.SHA256, 32)
            return bytes(
                self.key.sign(payload, mechanism=Mechanism.SHA256_RSA_PKCS_PSS, mechanism_param=way)
            )
        return bytes(self.key.sign(payload, mechanism=Mechanism.SHA256_RSA_PKCS))


class Token:
    ready = True

    def __init__(self, uri: str, *, pss: bool = False) -> None:
        parts = _parts(uri)
        self._module = parts.get("module-path", "")
        self._token = parts.get("token", "")
        self._object = parts.get("object", "")
        self._pss = pss
        self.label = f"token {self._token}"
        if not self._module or not self._token:
            raise Invalid(
                "A token is named pkcs11:token=…;object=…?module-path=…",
                slug="token-address",
                location="signing_key",
            )

    @contextmanager
    def unlock(self, pin: str, code: str = "") -> Iterator[Signer]:
        with _turn:
            try:
                library = pkcs11.lib(self._module)
                library.reinitialize()  # else a token that was plugged in later is not seen
                session = library.get_token(token_label=self._token).open(user_pin=pin)
            except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange) as error:
                raise Forbidden(
                    "The PIN is wrong.",
                    hint="After a few wrong PINs the token locks itself.",
                    slug="wrong-pin",
                ) from error
            except pkcs11.PinLocked as error:
                raise Forbidden(
                    "The token is locked after too many wrong PINs.",
                    hint="Whoever issued it can unlock it.",
                    slug="token-locked",
                ) from error
            except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
                raise Unavailable(
                    f"There is no token {self._token!r} here.",
                    hint="Plug it in; its driver is the module-path of the setting signing_key.",
                    slug="token",
                ) from error
            with session:
                yield self._signer(session)

    def _signer(self, session: Any) -> TokenSigner:
        wanted = {Attribute.LABEL: self._object} if self._object else {}
        keys = session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, **wanted})
        held = [
            (one[Attribute.ID], x509.load_der_x509_certificate(one[Attribute.VALUE]))
            for one in session.get_objects({Attribute.CLASS: ObjectClass.CERTIFICATE})
        ]
        for key in keys:
            own = next((made for id, made in held if id == key[Attribute.ID]), None)
            if own is not None:
                chain = _ordered(own, [made for _, made in held])
                return TokenSigner(self.label, key, chain, algorithm_of(own, pss=self._pss))
        raise Unavailable(
            f"On the token {self._token!r} there is no key with its certificate.", slug="token"
        )


def _ordered(own: x509.Certificate, held: Sequence[x509.Certificate]) -> Chain:
    """The signer's own first, then whoever issued it, as far as they are on the token."""
    chain = [own]
    while chain[-1].issuer != chain[-1].subject and len(chain) < 8:
        above = next((one for one in held if one.subject == chain[-1].issuer), None)
        if above is None:
            break
        chain.append(above)
    return tuple(chain)


def _parts(uri: str) -> dict[str, str]:
    path, _, query = uri.removeprefix("pkcs11:").partition("?")
    pairs = [one.partition("=") for one in (*path.split(";"), *query.split("&")) if one]
    return {name: unquote(value) for name, _, value in pairs}
