"""No signer is set up: a server works without one, and says how to get one."""

from __future__ import annotations

from contextlib import AbstractContextManager

from sokhoe.errors import Unavailable
from sokhoe.trust.signatures.seam import Signer


class NoDevice:
    label = "no signer"
    ready = False

    def unlock(self, pin: str, code: str = "") -> AbstractContextManager[Signer]:
        raise Unavailable(
            "No signer is set up here.",
            hint="Name a token, a signing service or, in the demo, a key file: "
            "sokhoe settings signing_key (docs/signatures.md)",
            slug="no-signer",
        )
