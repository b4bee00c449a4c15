"""A token that lies in a folder: SoftHSM, as Debian has it (package softhsm2)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pkcs11 import Attribute, KeyType, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters
from pkcs11.util.rsa import decode_rsa_private_key

from tests.trust.authority import Issued, der

PIN = "1357"


def module() -> str:
    """The driver; without it the tests of tokens are skipped, and in CI they fail."""
    for folder in ("/usr/lib", "/usr/local/lib", "/opt/homebrew/lib"):
        for file in ("softhsm/libsofthsm2.so", "x86_64-linux-gnu/softhsm/libsofthsm2.so"):
            if (Path(folder) / file).is_file() and shutil.which("softhsm2-util"):
                return str(Path(folder) / file)
    if os.environ.get("SOKHOE_CI"):
        raise RuntimeError("SoftHSM is not here: .ci/run installs it (softhsm2)")
    pytest.skip("SoftHSM is not here (apt-get install softhsm2)")


class SoftToken:
    """A fresh token in this folder; `address` names it as the settings do."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, label: str = "TramYTe") -> None:
        tokens = folder / "tokens"
        tokens.mkdir()
        file = folder / "softhsm2.conf"
        file.write_text(f"directories.tokendir = {tokens}\nlog.level = ERROR\n")
        patch.setenv("SOFTHSM2_CONF", str(file))
        self._module = module()
        self._label = label
        subprocess.run(
            [
                *("softhsm2-util", "--init-token", "--free", "--label", label),
                *("--pin", PIN, "--so-pin", "87654321", "--module", self._module),
            ],
            check=True,
            capture_output=True,
            timeout=30,
        )
        self.address = f"pkcs11:token={label};object=sign?module-path={self._module}"

    def take(self, issued: Issued) -> None:
        """Put a key and its certificates on it."""
        library = pkcs11.lib(self._module)
        library.reinitialize()
        with library.get_token(token_label=self._label).open(user_pin=PIN, rw=True) as session:
            held: dict[Any, Any] = _private(issued.key)
            held |= {
                Attribute.TOKEN: True,
                Attribute.LABEL: "sign",
                Attribute.ID: b"\1",
                Attribute.SIGN: True,
            }
            session.create_object(held)
            _put(session, issued.chain)


def _private(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> dict[Any, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        form = serialization.PrivateFormat.TraditionalOpenSSL
        none = serialization.NoEncryption()
        made: dict[Any, Any] = decode_rsa_private_key(
            key.private_bytes(serialization.Encoding.DER, form, none)
        )
        return made
    numbers = key.private_numbers()
    return {
        Attribute.CLASS: ObjectClass.PRIVATE_KEY,
        Attribute.KEY_TYPE: KeyType.EC,
        Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1"),
        Attribute.VALUE: numbers.private_value.to_bytes(32, "big"),
    }


def _put(session: Any, chain: Sequence[x509.Certificate]) -> None:
    for number, one in enumerate(chain):
        session.create_object(
            {
                Attribute.CLASS: ObjectClass.CERTIFICATE,
                Attribute.CERTIFICATE_TYPE: pkcs11.CertificateType.X_509,
                Attribute.TOKEN: True,
                Attribute.ID: bytes([number + 1]),
                Attribute.LABEL: "sign" if number == 0 else "ca",
                Attribute.SUBJECT: one.subject.public_bytes(),
                Attribute.VALUE: der(one),
            }
        )
