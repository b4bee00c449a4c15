"""Which device a server signs with: one line of the settings.

""                                        none
file:/path/key.p12                        a key file (demo only)
pkcs11:token=…;object=…?module-path=…     a token
https://service/csc/v2?credential=…       a signing service
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from sokhoe.errors import Invalid
from sokhoe.settings import Settings
from sokhoe.trust.signatures.none import NoDevice
from sokhoe.trust.signatures.seam import Device


def device_at(address: str, *, demo: bool = False, token: str = "", pss: bool = False) -> Device:
    """The device of such a line. `token`: what a signing service knows this server by; `pss`: RSA
    keys sign by PSS. Raises Invalid for a line that is none of these."""
    if not address:
        return NoDevice()
    if address.startswith("file:"):
        from sokhoe.trust.signatures.software import KeyFile

        return KeyFile(Path(address.removeprefix("file:")), demo=demo, pss=pss)
    if address.startswith("pkcs11:"):
        from sokhoe.trust.signatures.token import Token

        return Token(address, pss=pss)
    if address.startswith(("https://", "http://")):
        from sokhoe.trust.signatures.remote import Remote

        if not demo and not address.startswith("https://"):
            raise Invalid(
                "A signing service is asked over https.", slug="settings", location="signing_key"
            )
        parts = urlsplit(address)
        credential = parse_qs(parts.query).get("credential", [""])[0]
        return Remote(address.partition("?")[0], credential, token, pss=pss)
    raise Invalid(
        f"signing_key is none of file:, pkcs11:, https:, but {address[:40]!r}.",
        hint="See docs/signatures.md.",
        slug="settings",
        location="signing_key",
    )


def device_of(settings: Settings) -> Device:
    return device_at(
        settings.signing_key, demo=settings.is_demo, token=settings.signing_service_token
    )
