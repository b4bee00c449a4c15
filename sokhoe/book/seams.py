"""What the Health Book asks of a country: how its e-ID names a citizen.

The Null twin reads the names that OpenID Connect itself knows, and the citizen's number from the
claim that the settings name (`SOKHOE_OIDC_CITIZEN_CLAIM`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sokhoe.errors import Invalid

_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True, slots=True)
class CitizenFacts:
    """What the e-ID vouches for. `birth_date` as FHIR date; `level`: how surely the e-ID knows
    this person (0: it does not say, 2: seen in person with an official document)."""

    citizen_id: str
    name: str
    birth_date: str
    level: int


class SignIn(Protocol):
    """How one country's e-ID speaks OpenID Connect."""

    @property
    def scope(self) -> str:
        """Scopes to ask for, separated by spaces; must contain openid."""

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Signatures that are accepted on its answers. Never none, never a shared secret."""

    @property
    def lowest_level(self) -> int:
        """The level from which a citizen may read the record."""

    def facts(self, claims: Mapping[str, Any]) -> CitizenFacts:
        """The verified claims as facts. Raises Invalid (`eid-claims`) when one is missing."""


class PlainSignIn:
    """The Null twin: standard claim names."""

    scope = "openid profile"
    algorithms = ("RS256", "ES256", "EdDSA")
    lowest_level = 2

    def __init__(self, citizen_claim: str = "citizen_id") -> None:
        self._citizen_claim = citizen_claim

    def facts(self, claims: Mapping[str, Any]) -> CitizenFacts:
        def text(name: str) -> str:
            value = claims.get(name)
            if not isinstance(value, str) or not value.strip():
                raise Invalid(
                    f"The e-ID's answer has no {name}.",
                    hint="Ask the e-ID provider to release this claim to our client.",
                    slug="eid-claims",
                    location=name,
                )
            return value.strip()

        born = text("birthdate")
        if not _DATE.match(born):
            raise Invalid(
                "The e-ID's answer has no whole birth date.",
                slug="eid-claims",
                location="birthdate",
            )
        return CitizenFacts(text(self._citizen_claim), text("name"), born, _level(claims))


def _level(claims: Mapping[str, Any]) -> int:
    """The last digit of `acr` ("2", "level2", "urn:…:loa:2"); 0 when it says none."""
    acr = claims.get("acr")
    found = re.search(r"(\d)\D*$", acr) if isinstance(acr, str) else None
    return int(found[1]) if found else 0
