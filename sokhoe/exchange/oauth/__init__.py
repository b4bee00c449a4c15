"""Tokens for software: OAuth 2 as SMART on FHIR uses it.

    token       POST /oauth/token: client credentials with a secret or a signed word
    well_known  what a program reads first: where everything is and what is supported
    asking      the forms of these addresses, and who sends them

docs/smart.md shows a vendor the way.
"""

from starlette.routing import Route

from sokhoe.exchange.oauth import token, well_known


def routes() -> list[Route]:
    return [*token.routes(), *well_known.routes()]


__all__ = ["routes"]
